"""Stage `export`: the network as ONNX, behind a gate that real evaluation images must pass."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inspector import imagefile, preprocess
from inspector.backends.onnxruntime import OnnxRuntimeBackend
from inspector.decision import probability_of
from inspector.errors import InandoutError
from inspector.manifest import Calibration, Parity
from models.network import Network
from trainer.recipe import Recipe
from trainer.stages import write_json

MODEL = "model.onnx"
OPSET = 20
_GATE_IMAGES = 256


def work(
    model: Network,
    recipe: Recipe,
    paths: Sequence[Path],
    logits: npt.NDArray[np.float32],
    calibration: Calibration,
    folder: Path,
) -> None:
    """Write `model.onnx` and `parity.json`.

    Args:
        paths, logits: real evaluation images and what torch said of them.

    Raises:
        InandoutError: the exported model's probabilities differ by more than the tolerance, or a verdict flips.
    """
    to_onnx(model.cpu().eval(), recipe, folder / MODEL)
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _GATE_IMAGES)).astype(int))
    report = parity(folder / MODEL, recipe, [paths[index] for index in chosen], logits[chosen], calibration)
    write_json(folder / "parity.json", report.model_dump())
    if report.max_probability_difference > report.tolerance or report.verdict_flips:
        raise InandoutError(
            f"export refused: over {report.images} real images the exported model differs by up to "
            f"{report.max_probability_difference:.2e} (tolerance {report.tolerance:g}) and flips "
            f"{report.verdict_flips} verdict(s); see {folder / 'parity.json'}"
        )


def to_onnx(model: Network, recipe: Recipe, destination: Path) -> None:
    """Export through torch's current exporter: uint8 `images (batch, H, W, 3)` in, `logit` and `cam` out."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    example = torch.zeros((2, recipe.input.height, recipe.input.width, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.onnx.export(
            model,
            (example,),
            destination,
            input_names=["images"],
            output_names=["logit", "cam"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def parity(
    model: Path,
    recipe: Recipe,
    paths: Sequence[Path],
    logits: npt.NDArray[np.float32],
    calibration: Calibration,
) -> Parity:
    """Run the exported model image by image and compare with torch."""
    backend = OnnxRuntimeBackend(model)
    exported = np.empty(len(paths), np.float32)
    for index, path in enumerate(paths):
        fitted = preprocess.fit(imagefile.read(path), recipe.input)
        exported[index] = backend.run(fitted[None])[0][0]
    decision = calibration.decision()
    flips = sum(
        decision.judge(float(ours))[1] != decision.judge(float(theirs))[1]
        for ours, theirs in zip(logits, exported, strict=True)
    )
    scale = (calibration.temperature, calibration.bias)
    difference = np.abs(probability_of(logits, *scale) - probability_of(exported, *scale))
    return Parity(
        images=len(paths),
        max_probability_difference=float(difference.max()),
        tolerance=recipe.export.tolerance,
        verdict_flips=flips,
        runtime=backend.name,
    )
