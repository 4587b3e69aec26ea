"""Stage `index`: read the data set, decode every image once, fingerprint the content."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from inspector import imagefile
from inspector.errors import DataError
from trainer.data.samples import DataSet, Sample
from trainer.data.split import group_near_duplicates
from trainer.stages import digest, read_json, write_json

_SHOWN = 5


def inputs(dataset: DataSet) -> dict[str, Any]:
    """What the stage depends on, cheap to compute: names, labels, sizes and times of all files."""
    listing = [
        (str(sample.path), sample.label, sample.split, sample.group, stat.st_size, stat.st_mtime_ns)
        for sample in dataset.samples
        for stat in [sample.path.stat()]
    ]
    return {"root": str(dataset.root), "layout": dataset.layout, "files": digest(listing)}


def work(dataset: DataSet, folder: Path) -> None:
    """Write `samples.json` and `fingerprint.json`.

    Raises:
        DataError: files that cannot be decoded, all of them counted and the first ones named.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(_content, [sample.path for sample in dataset.samples]))
    problems = [str(outcome) for outcome in outcomes if isinstance(outcome, DataError)]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(outcomes)} images cannot be read: {'; '.join(problems[:_SHOWN])}"
            f"{' ...' if len(problems) > _SHOWN else ''}; see 'inandout-train data check {dataset.root}'"
        )
    samples = group_near_duplicates(dataset.samples)
    fingerprint = digest(
        [
            (sample.path.relative_to(dataset.root).as_posix(), sample.label, content)
            for sample, content in zip(samples, outcomes, strict=True)
        ]
    )
    save_samples(folder / "samples.json", samples)
    write_json(folder / "fingerprint.json", {"sha256": fingerprint, "images": len(samples)})


def save_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples as JSON."""
    write_json(
        path,
        [
            {
                "path": str(sample.path),
                "label": sample.label,
                "split": sample.split,
                "group": sample.group,
                "mask": None if sample.mask is None else str(sample.mask),
                "defect_type": sample.defect_type,
            }
            for sample in samples
        ],
    )


def load_samples(path: Path) -> list[Sample]:
    """Read what `save_samples` wrote."""
    return [
        Sample(**{**row, "path": Path(row["path"]), "mask": None if row["mask"] is None else Path(row["mask"])})
        for row in read_json(path)
    ]


def _content(path: Path) -> str | DataError:
    try:
        imagefile.read(path)
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except DataError as error:
        return error
