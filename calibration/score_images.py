"""Score image files with a bundle's model, through the product's one preprocessing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from calibration.binary import Scores
from inspector import backends, imagefile
from inspector.bundle import Bundle
from inspector.errors import DataError
from inspector.preprocess import fit

_BATCH = 8


def logits_of(bundle: Bundle, paths: Sequence[Path], threads: int = 0) -> Iterator[tuple[Scores, list[str]]]:
    """Score files a few at a time, so that nothing but these few is ever in memory.

    Yields:
        for each run of at most 8 files their logits, not finite where the file cannot be used, and the reasons why not.

    Raises:
        BackendError: the runtime is missing or failed.
    """
    backend = backends.create("onnxruntime", bundle, threads)
    for start in range(0, len(paths), _BATCH):
        files = paths[start : start + _BATCH]
        logits, images, readable, reasons = np.full(len(files), np.nan), [], [], []
        for position, path in enumerate(files):
            try:
                images.append(fit(imagefile.read(path), bundle.manifest.input))
                readable.append(position)
            except DataError as error:
                reasons.append(str(error))
        if images:
            logits[readable] = backend.run(np.stack(images))[0]
            reasons += [
                f"{files[k]} gets the score {logits[k]} from the model" for k in readable if not np.isfinite(logits[k])
            ]
        yield logits, reasons
