"""What a build takes from the review: images accepted here, and images of its own that were rejected."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.bundle import sha256_of
from trainer.review.store import Reviewed, ReviewStore
from trainer.stages import read_json

STORE = Path("review") / "review.db"
_RECORDS = Path("generate") / "records.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcceptedImage:
    """A defect image that a person accepted for training.

    Attributes:
        path: PNG file, RGB, at the size of the model it was drawn for.
        mask: PNG file, 255 where the defect is, or None where the generator could not tell.
        sha256: of the file at `path`, for fingerprints.
        provenance: the generator's, and under `review` the image's number, prompt, seed, source and times.
    """

    path: Path
    mask: Path | None
    sha256: str
    provenance: Mapping[str, Any]


def load(run: Path) -> list[AcceptedImage]:
    """The images accepted in the review of a run, in the order they were drawn; none where nothing was reviewed.

    A file that is gone or was changed since it was judged is left out, with a logged line.

    Raises:
        SinkError: the review's store cannot be read.
    """
    if not (run / STORE).is_file():
        return []
    with ReviewStore(run / STORE) as store:
        images = store.accepted()
    return [_accepted(run, image) for image in images if _as_judged(run, image)]


def rejected(run: Path) -> set[str]:
    """The records of `generate/records.json`, by their path, whose pictures were rejected in the review.

    Pictures are known by their content: a file that a later build drew anew under an old name is not rejected. Ask
    once the stage `generate` is done, and leave the files out of training. The stage's own inputs must not depend on
    the answer: a stage that left the pictures out would have no record to find them by the next time.

    Raises:
        SinkError: the review's store cannot be read.
    """
    if not (run / STORE).is_file() or not (run / _RECORDS).is_file():
        return set()
    with ReviewStore(run / STORE) as store:
        content = store.rejected_content()
    if not content:
        return set()
    paths = [record["path"] for record in read_json(run / _RECORDS)]
    return {path for path in paths if sha256_of(run / _RECORDS.parent / path) in content}


def _as_judged(run: Path, image: Reviewed) -> bool:
    path = run / image.path
    if not path.is_file() or (image.mask is not None and not (run / image.mask).is_file()):
        logger.warning("%s was accepted in the review but is gone: left out", path)
        return False
    if sha256_of(path) != image.sha256:
        logger.warning("%s was changed after it was accepted in the review: left out", path)
        return False
    return True


def _accepted(run: Path, image: Reviewed) -> AcceptedImage:
    review = {
        "image": image.id,
        "prompt": image.prompt,
        "seed": image.seed,
        "source": image.source,
        "drawn_at": image.made_at,
        "accepted_at": image.judged_at,
    }
    return AcceptedImage(
        path=run / image.path,
        mask=None if image.mask is None else run / image.mask,
        sha256=image.sha256,
        provenance={**image.provenance, "review": review},
    )
