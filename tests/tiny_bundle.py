"""A real bundle of a few kilobytes: its ONNX model takes the darkest 8 x 8 patch for the defect."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inspector.bundle import Bundle, describe, write
from inspector.manifest import Calibration, Manifest, ModelEntry, Parity
from inspector.preprocess import InputSpec

PATCH = 8
CREATED = "2026-01-01T00:00:00Z"


def calibration(threshold: float = 0.5, review_band: tuple[float, float] | None = None) -> Calibration:
    """An operating point for the tiny bundle; a frame whose darkest patch is below mid-grey is a defect at 0.5."""
    return Calibration(
        policy="max-f1", threshold=threshold, review_band=review_band, n_defect=1, n_ok=1, created=CREATED
    )


def make(
    path: Path,
    width: int = 32,
    height: int = 48,
    operating_point: Calibration | None = None,
    name: str = "tiny",
    texts: Mapping[str, str] | None = None,
) -> Bundle:
    """Write a bundle folder at `path` and load it.

    The model's `cam (N, height / 8, width / 8)` is `10 * (0.5 - mean grey of the patch / 255)`, its `logit (N,)`
    the maximum of the cam: a white image scores -5, one with an all-black patch (on the 8-pixel grid) +5.

    Args:
        path: where the bundle goes; an older one there is replaced.
        width, height: the model's input size in pixels, multiples of 8.
        operating_point: default `calibration()`.
        name: the manifest's name.
        texts: further files of the bundle, name -> content.
    """
    if width % PATCH or height % PATCH:
        raise ValueError(f"{width} x {height} is not a multiple of {PATCH}")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        onnx.save(_model(width, height), model)
        further = {}
        for file, content in (texts or {}).items():
            further[file] = Path(folder) / file
            further[file].write_text(content)
        manifest = Manifest(
            name=name,
            created=CREATED,
            models=[ModelEntry(**describe(model).model_dump(), precision="fp32")],
            files=[describe(file) for file in further.values()],
            input=InputSpec(width=width, height=height),
            calibration=operating_point or calibration(),
            parity=Parity(
                images=1, max_probability_difference=0.0, tolerance=1e-4, verdict_flips=0, runtime="onnxruntime"
            ),
        )
        return write(path, manifest, {"model.onnx": model, **further})


def image(width: int = 32, height: int = 48, darkest: int | None = None, background: int = 220) -> np.ndarray:
    """A `(height, width, 3)` uint8 picture of one grey, with one 8 x 8 patch of grey `darkest` where that is given."""
    pixels = np.full((height, width, 3), background, np.uint8)
    if darkest is not None:
        pixels[2 * PATCH : 3 * PATCH, PATCH : 2 * PATCH] = darkest
    return pixels


def _model(width: int, height: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["patches"], kernel_shape=[PATCH] * 2, strides=[PATCH] * 2),
        helper.make_node("ReduceMean", ["patches"], ["grey"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["grey", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["cam"]),
        helper.make_node("ReduceMax", ["cam"], ["logit"], axes=[1, 2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", height, width, 3])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["n", height // PATCH, width // PATCH]),
        ],
        [
            numpy_helper.from_array(np.array(-10 / 255, np.float32), "gain"),
            numpy_helper.from_array(np.array(5.0, np.float32), "offset"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
