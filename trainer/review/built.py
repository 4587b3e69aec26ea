"""The images that the last build generated, shown beside those drawn here."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspector.bundle import sha256_of
from trainer.review.store import NewImage, ReviewStore
from trainer.stages import read_json

_FOLDER = "generate"


class LastBuild:
    """Watches `generate/records.json` of a run; a build may replace it while the page is open.

    Attributes:
        stamp: the modification time, in ns, of the records shown; None where there are none, -1 before the first call.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self.stamp: int | None = -1

    def refresh(self, store: ReviewStore) -> None:
        """Show what the last build generated, if that has changed since the last call.

        Raises:
            SinkError: the store cannot be written.
        """
        records = self._run / _FOLDER / "records.json"
        try:
            stamp = records.stat().st_mtime_ns
        except FileNotFoundError:  # a build on its way writes it last
            stamp = None
        if stamp == self.stamp:
            return
        images: list[NewImage] = []
        made_at = ""
        if stamp is not None:
            made_at = datetime.fromtimestamp(stamp / 1e9, UTC).isoformat(timespec="milliseconds")
            drawn = store.drawn_content()  # accepted images that the build took over are here already
            try:
                found = [self._image(record) for record in read_json(records)]
            except (FileNotFoundError, ValueError):  # the build is replacing them right now: ask again next time
                return
            images = [image for image in found if image.sha256 not in drawn]
        store.show_built(images, made_at)
        self.stamp = stamp

    def _image(self, record: dict[str, Any]) -> NewImage:
        path = Path(_FOLDER) / record["path"]
        mask = path.with_name(f"{path.stem}_mask.png")
        provenance = record["provenance"]
        return NewImage(
            path=path.as_posix(),
            mask=mask.as_posix() if (self._run / mask).is_file() else None,
            sha256=sha256_of(self._run / path),
            split=record["split"],
            prompt=provenance.get("prompt"),
            seed=provenance.get("seed"),
            source=provenance.get("source"),
            provenance=provenance,
        )
