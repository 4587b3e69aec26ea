"""The official KolektorSDD2 archive: where it is, what is in it, and how it becomes a folder."""

import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from inspector.errors import DataError
from trainer.data.download import Report, download
from trainer.data.newfolder import new_folder
from trainer.data.readers import ksdd2

URL = "https://go.vicos.si/kolektorsdd2"
"""The authors' link; leads to `https://data.vicos.si/datasets/KSDD/KolektorSDD2.zip`. Licence: CC BY-NC-SA 4.0."""

SHA256 = "edcdb486809b24f1d17b785e30c52fafc5999554dd5fe18ddf77b61ceb6f36a8"
"""Of the archive of 853 126 555 bytes; not published by the authors, but reported alike by several who use the set."""

COUNTS: Mapping[tuple[str, int], int] = {("train", 0): 2085, ("train", 1): 246, ("test", 0): 894, ("test", 1): 110}
"""Images by split and label, as in the publication."""

_MEMBER = re.compile(r"(?:\w[^/]*/)?(train|test)/(\d+(?:_GT)?\.png)")
_MOST_BYTES = 4 << 30


def fetch(
    output: Path,
    report: Report,
    url: str = URL,
    sha256: str | None = SHA256,
    counts: Mapping[tuple[str, int], int] = COUNTS,
) -> None:
    """Download, check and unpack into a new folder `output` with `train/` and `test/`.

    The archive lies beside `output` as `KolektorSDD2.zip` meanwhile; one that is there already is used and kept.

    Args:
        output: a folder that does not exist or is empty; it appears when everything is right.
        report: see `download`.
        url, sha256, counts: of another edition.

    Raises:
        DataError: `output` is in use, the download failed, or the archive is not what it should be.
        SinkError: the disk refuses.
    """
    archive = output.absolute().parent / "KolektorSDD2.zip"
    brought = not archive.exists()
    with new_folder(output) as folder:
        if brought:
            download(url, archive, sha256, report)
        try:
            _unpack(archive, folder)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise DataError(f"{archive} is damaged ({error}): delete it and run the command again") from None
        try:
            found = Counter((str(sample.split), sample.label) for sample in ksdd2.read(folder))
        except DataError as error:
            words = str(error).replace(str(folder), archive.name)
            raise DataError(f"{archive} is not KolektorSDD2: {words}") from None
        if found != Counter(counts):
            raise DataError(
                f"{archive} is not KolektorSDD2: good/defect images are {_words(found)}, expected {_words(counts)}; "
                "delete it and run the command again"
            )
    if brought:
        archive.unlink()


def _unpack(archive: Path, folder: Path) -> None:
    """Write the numbered images and masks, whatever else the archive holds; reading verifies each CRC."""
    with zipfile.ZipFile(archive) as content:
        members = [(found, info) for info in content.infolist() if (found := _MEMBER.fullmatch(info.filename))]
        if sum(info.file_size for _, info in members) > _MOST_BYTES:
            raise DataError(f"{archive} would unpack to more than {_MOST_BYTES} bytes: this is not KolektorSDD2")
        for split in ("train", "test"):
            (folder / split).mkdir()
        for found, info in members:
            with content.open(info) as source, (folder / found[1] / found[2]).open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _words(counts: Mapping[tuple[str, int], int]) -> str:
    return ", ".join(f"{split} {counts.get((split, 0), 0)}/{counts.get((split, 1), 0)}" for split in ("train", "test"))
