"""Pools of gated synthetic images on the disk: every image drawn, kept or rejected with its reason; resumable."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.errors import DataError
from trainer.augment import Augmenter, SyntheticImage
from trainer.augment.gate import Gate, Judgement
from trainer.data.newfolder import write_png
from trainer.stages import read_json, write_json

logger = logging.getLogger(__name__)
RECORDS = "records.json"
_CHUNK = 16

Record = dict[str, Any]


def fill(
    augmenter: Augmenter,
    wanted: int,
    seed: int,
    folder: Path,
    gate: Gate | None,
    attempts: int,
    on_kept: Callable[[int, int], None] = lambda kept, wanted: None,
) -> list[Record]:
    """Draw until `wanted` images passed the gate, or `attempts` times as many were drawn.

    Args:
        augmenter: ready to draw.
        wanted: images to keep.
        seed: of the drawing.
        folder: `<k>.png`, `<k>_mask.png` and `records.json` land here; what is there already is gone on from.
        gate: None keeps every image whose mask is not empty.
        attempts: images drawn for each one wanted, at most.
        on_kept: called with the number of images kept so far, and the number wanted.

    Returns:
        One record an image drawn: `path, kept, reason, figures, provenance`; paths are relative to the folder.

    Raises:
        DataError: no image passed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = read_json(folder / RECORDS) if (folder / RECORDS).is_file() else []
    kept = sum(record["kept"] for record in records)
    while kept < wanted and len(records) < attempts * wanted:
        count = min(_CHUNK, attempts * wanted - len(records), max(4, wanted - kept))
        images = list(augmenter.generate(count, seed, len(records)))
        judgements = [_shown(image) for image in images] if gate is None else gate.judge(images)
        for image, judgement in zip(images, judgements, strict=True):
            records.append(_write(image, folder, len(records), judgement))
        write_json(folder / RECORDS, records)
        kept = sum(record["kept"] for record in records)
        on_kept(min(kept, wanted), wanted)
    reasons = Counter(record["reason"] for record in records if not record["kept"])
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    logger.info("%s: %d drawn, %d kept%s", folder.name, len(records), kept, f" ({told})" if told else "")
    if wanted and not kept:
        off = "" if gate is None else ", or switch the gate off with --set gate.enabled=false"
        raise DataError(
            f"all {len(records)} images of {folder.name} were rejected ({told}): look at {folder}, "
            f"change the generator's settings{off}"
        )
    if kept < wanted:
        logger.warning("%s: only %d of %d wanted images passed the gate", folder.name, kept, wanted)
    return records


def kept(folder: Path, limit: int | None = None) -> list[Path]:
    """The images that passed, in the order they were drawn."""
    return [folder / record["path"] for record in read_json(folder / RECORDS) if record["kept"]][:limit]


def mask_of(path: Path) -> Path:
    """Where the mask of a pool's image lies, if its generator told one."""
    return path.with_name(f"{path.stem}_mask.png")


def _shown(image: SyntheticImage) -> Judgement:
    """Without a gate, only what shows nothing is rejected: its label would be false."""
    empty = image.mask is not None and not image.mask.any()
    return Judgement(not empty, "not visible" if empty else "")


def _write(image: SyntheticImage, folder: Path, number: int, judgement: Judgement) -> Record:
    name = f"{number:05d}"
    write_png(folder / f"{name}.png", image.pixels)
    if image.mask is not None:
        write_png(mask_of(folder / f"{name}.png"), image.mask)
    return {
        "path": f"{name}.png",
        "mask": None if image.mask is None else mask_of(Path(f"{name}.png")).name,
        "kept": judgement.kept,
        "reason": judgement.reason,
        "figures": judgement.figures,
        "provenance": image.provenance,
    }
