"""Schedules and parameter groups, by hand."""

import pytest
import torch

from models.classifier import Classifier, ClassifierConfig
from models.head import HeadConfig
from trainer import optimisation
from trainer.optimisation import narrow_pooling
from trainer.recipe import TrainSection


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("constant", 35, 0.1),
        ("cosine", 0, 0.01),
        ("cosine", 9, 0.1),
        ("cosine", 10, 0.1),
        ("cosine", 25, 0.05),
        ("cosine", 40, 0.0),
    ],
)
def test_learning_rate(schedule, step, expected):
    recipe = TrainSection(epochs=4, schedule=schedule, learning_rate=0.1, warmup_epochs=1)
    assert optimisation.learning_rate(recipe, step, per_epoch=10) == pytest.approx(expected, abs=1e-9)


def test_loaded_stages_learn_slower_than_fresh_ones():
    optimiser = optimisation.make_optimiser(
        Classifier(ClassifierConfig()), TrainSection(loaded_scale=0.1), fresh=["layer4"]
    )
    groups = {group["scale"]: sum(p.numel() for p in group["params"]) for group in optimiser.param_groups}
    net = Classifier(ClassifierConfig())
    fresh = sum(p.numel() for module in (net.backbone.layer4, net.heads) for p in module.parameters())
    assert groups[1.0] == fresh
    assert groups[0.1] == sum(p.numel() for p in net.parameters()) - fresh


def test_pooling_narrows_to_its_share_while_training_and_is_narrow_in_evaluation():
    net = Classifier(ClassifierConfig(heads={"plain": HeadConfig(levels=("layer1",), pooling="topk", share=0.1)}))
    head = net.heads["plain"]
    shares = []
    for done in (0.0, 0.125, 0.25, 1.0):
        narrow_pooling(net, TrainSection(pool_warmup=0.25), done)
        shares.append(head.share)
    assert shares == [1.0, 0.5, 0.1, 0.1]
    narrow_pooling(net, TrainSection(pool_warmup=0), 0.0)
    assert head.share == 0.1
    narrow_pooling(net, TrainSection(), 0.0)
    stages = {"layer1": torch.randn(2, 256, 5, 4)}
    logit, cam = head.train()(stages)
    torch.testing.assert_close(logit, cam.mean((1, 2)))
    logit, cam = head.eval()(stages)
    torch.testing.assert_close(logit, cam.flatten(1).topk(2).values.mean(1))
