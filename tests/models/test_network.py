"""One logit and one map from several kinds of evidence."""

import pytest
import torch

from models.classifier import Classifier, ClassifierConfig
from models.head import HeadConfig
from models.memory import MemoryConfig, PatchMemory
from models.network import Fusion, Network, Part

HEADS = {
    "plain": HeadConfig(levels=("layer3",), feature_norm=True),
    "dense": HeadConfig(levels=("layer2", "layer3"), feature_norm=True, hidden=4, pooling="topk", share=0.01),
}


def remembering() -> PatchMemory:
    memory = PatchMemory(MemoryConfig(grid="fine", dimensions=8, patches=5)).eval()
    for name in ("projection", "offset", "bank"):
        torch.nn.init.normal_(getattr(memory, name), std=0.1)
    memory.squares.copy_(memory.bank.square().sum(1))
    return memory


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (2, 64, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(1)
    made = Classifier(ClassifierConfig(heads=HEADS)).eval()
    for head in made.heads.values():
        for level in head.levels.values():
            torch.nn.init.normal_(level[1].weight, std=0.3)
    return made


@torch.inference_mode()
def test_the_sum_over_parts_on_the_finest_grid(images, classifier):
    fusion = Fusion({"plain": Part(0.5, 1.0), "dense": Part(2.0, -1.0), "memory": Part(3.0, 0.25)}, bias=0.125)
    network = Network(classifier, remembering(), fusion).eval()
    logit, cam = network(images)
    evidence = network.evidence(images, ["plain", "dense", "memory"])
    assert evidence["plain"][1].shape == (2, 4, 3) and cam.shape == (2, 8, 6)
    distances = evidence["memory"][1].flatten(1).topk(3).values.mean(1)  # a twentieth of 8 x 6 cells
    torch.testing.assert_close(evidence["memory"][0], distances)
    expected = (
        0.5 * (evidence["plain"][0] - 1) + 2 * (evidence["dense"][0] + 1) + 3 * (evidence["memory"][0] - 0.25) + 0.125
    )
    torch.testing.assert_close(logit, expected)
    plain = torch.nn.functional.interpolate(evidence["plain"][1][:, None], (8, 6), mode="bilinear")[:, 0]
    fused = 0.5 * (plain - 1) + 2 * (evidence["dense"][1] + 1) + 3 * (evidence["memory"][1] - 0.25) + 0.125
    torch.testing.assert_close(cam, fused)


@torch.inference_mode()
def test_a_single_head_passes_through_and_several_are_meant(images, classifier):
    alone = Network(classifier, fusion=Fusion({"dense": Part(1.0)})).eval()
    logit, cam = alone(images)
    torch.testing.assert_close(logit, classifier(images)["dense"][0], rtol=0, atol=0)
    torch.testing.assert_close(cam, classifier(images)["dense"][1], rtol=0, atol=0)
    mean = sum(evidence[0] for evidence in classifier(images).values()) / 2
    torch.testing.assert_close(Network(classifier).eval()(images)[0], mean)


def test_a_fusion_is_written_and_read():
    fusion = Fusion({"plain": Part(0.5, 1.0), "memory": Part(2.0)}, bias=-1.5)
    assert Fusion.from_dict(fusion.as_dict()) == fusion
