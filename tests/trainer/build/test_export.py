"""The export gate on a real export: equal logits pass, others are refused, and the edge sees the model's contract."""

from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch

from inspector.errors import InandoutError
from models.classifier import Classifier, ClassifierConfig
from models.head import HeadConfig
from models.network import Network
from trainer.build import export
from trainer.recipe import resolve
from trainer.torch_scores import score


@pytest.fixture(scope="module")
def case(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(4)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 255, (40, 40), dtype=np.uint8))
    torch.manual_seed(0)
    head = HeadConfig(levels=("layer2", "layer3"), feature_norm=True, pooling="topk")
    model = Network(Classifier(ClassifierConfig(heads={"plain": head})))
    torch.nn.init.normal_(model.classifier.heads["plain"].levels["layer3"][1].weight, std=0.5)
    recipe = resolve("default", {"input.width": 48, "input.height": 64})
    logits = score(model, paths, recipe.input, torch.device("cpu")).logits
    calibration = tiny.calibration(threshold=0.5)
    return SimpleNamespace(model=model, recipe=recipe, paths=paths, logits=logits, calibration=calibration)


def test_the_exported_model_keeps_the_contract(case, tmp_path):
    export.work(case.model, case.recipe, case.paths, case.logits, case.calibration, tmp_path)
    graph = onnx.load(tmp_path / export.MODEL).graph
    (images,) = graph.input
    shape = images.type.tensor_type.shape.dim
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [dim.dim_value for dim in shape[1:]] == [64, 48, 3]
    assert shape[0].dim_param
    assert [output.name for output in graph.output] == ["logit", "cam"]


@pytest.mark.parametrize("shift", [0.5, -0.5])
def test_a_model_that_differs_from_torch_is_refused(case, tmp_path, shift):
    with pytest.raises(InandoutError, match="export refused: over 4 real images"):
        export.work(case.model, case.recipe, case.paths, case.logits + shift, case.calibration, tmp_path)
