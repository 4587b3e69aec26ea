"""ONNX Runtime: what it refuses to load, and what it reports as its own failure."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inspector import backends
from inspector.backends.onnxruntime import OnnxRuntimeBackend
from inspector.errors import BackendError


def identity_model(path: Path, source: str, target: str, kind: int = TensorProto.UINT8) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Identity", [source], [target])],
        "identity",
        [helper.make_tensor_value_info(source, kind, ["n", 48, 32, 3])],
        [helper.make_tensor_value_info(target, kind, ["n", 48, 32, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_name_says_what_it_really_runs_on(tiny_bundle) -> None:
    assert backends.create("onnxruntime", tiny_bundle()).name in ("onnxruntime/cpu", "onnxruntime/cuda")


def test_unknown_backend(tiny_bundle) -> None:
    with pytest.raises(BackendError, match="no backend named 'abacus': choose one of onnxruntime"):
        backends.create("abacus", tiny_bundle())


def test_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(BackendError, match=r"cannot load .*model\.onnx") as caught:
        OnnxRuntimeBackend(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        pytest.param("pictures", "logit", TensorProto.UINT8, id="input name"),
        pytest.param("images", "score", TensorProto.UINT8, id="outputs"),
        pytest.param("images", "logit", TensorProto.FLOAT, id="float input"),
    ],
)
def test_model_with_another_interface(tmp_path: Path, source: str, target: str, kind: int) -> None:
    with pytest.raises(BackendError, match="export it again"):
        OnnxRuntimeBackend(identity_model(tmp_path / "model.onnx", source, target, kind))


def test_wrong_shape_is_a_backend_error(tiny_bundle) -> None:
    backend = OnnxRuntimeBackend(tiny_bundle().model_path(), threads=1)
    with pytest.raises(BackendError, match="ONNX Runtime failed") as caught:
        backend.run(np.zeros((1, 5, 5, 3), np.uint8))
    assert "\n" not in str(caught.value)
