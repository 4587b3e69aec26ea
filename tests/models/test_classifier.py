"""The classifier against torchvision's own ResNet-50, and start weights in both stride layouts."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

from models import weights
from models.classifier import Classifier, ClassifierConfig
from models.head import HeadConfig


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def one_head(**options):
    return ClassifierConfig(heads={"plain": HeadConfig(**options)})


def reference(seed=0):
    torch.manual_seed(seed)
    net = resnet50(weights=None, num_classes=1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    return net.eval()


def normalised(images):
    x = images.permute(0, 3, 1, 2) / 255.0
    return (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def test_mean_pooled_map_is_torchvisions_linear_head(images):
    net, model = reference(), Classifier(one_head(pooling="mean")).eval()
    state = {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}
    model.backbone.load_state_dict(state)
    model.heads["plain"].levels["layer4"][1].weight.data = net.fc.weight.data[:, :, None, None]
    model.heads["plain"].levels["layer4"][1].bias.data = net.fc.bias.data
    with torch.inference_mode():
        logit, cam = model(images)["plain"]
        expected = net(normalised(images)).squeeze(1)
    assert cam.shape == (2, 3, 2)
    torch.testing.assert_close(logit, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cam.mean((1, 2)), logit)


@pytest.mark.parametrize(
    ("variant", "stride_on"), [("v1 (stride 2 on conv1)", "conv1"), ("v1.5", "conv2"), (None, "conv2")]
)
def test_stride_follows_the_files_metadata(tmp_path, variant, stride_on):
    state = {
        name: value for name, value in reference().state_dict().items() if name.startswith(("conv1", "bn1", "layer1"))
    }
    save_file(state, tmp_path / "w.safetensors", metadata=None if variant is None else {"variant": variant})
    start = weights.read(tmp_path / "w.safetensors")
    assert start.stride_on == stride_on
    block = Classifier(ClassifierConfig(stride_on=start.stride_on)).backbone.layer2[0]
    strides = {"conv1": block.conv1.stride, "conv2": block.conv2.stride}
    assert strides.pop(stride_on) == (2, 2)
    assert set(strides.values()) == {(1, 1)}


def test_missing_stages_are_listed_and_loaded_ones_copied(tmp_path):
    left_out = ("layer4", "fc", "bn1.num_batches_tracked")
    state = {name: value for name, value in reference().state_dict().items() if not name.startswith(left_out)}
    save_file(state, tmp_path / "w.safetensors")
    model = Classifier(ClassifierConfig())
    assert weights.load(model.backbone, weights.read(tmp_path / "w.safetensors")) == ["layer4"]
    torch.testing.assert_close(model.backbone.layer3[2].conv2.weight, state["layer3.2.conv2.weight"])


@pytest.mark.parametrize(
    ("levels", "grid", "has_layer4"),
    [(("layer3",), (6, 4), False), (("layer4",), (3, 2), True), (("layer2", "layer4"), (12, 8), True)],
)
def test_levels_set_the_grid_and_drop_what_comes_after(images, levels, grid, has_layer4):
    model = Classifier(one_head(levels=levels, feature_norm=True, pooling="topk", share=0.1)).eval()
    with torch.inference_mode():
        logit, cam = model(images)["plain"]
    assert cam.shape == (2, *grid)
    assert hasattr(model.backbone, "layer4") == has_layer4
    torch.testing.assert_close(logit, cam.flatten(1).topk(-(-grid[0] * grid[1] // 10)).values.mean(1))


def test_the_map_adds_the_levels_on_the_first_ones_grid(images):
    torch.manual_seed(0)
    both = Classifier(one_head(levels=("layer3", "layer4"))).eval()
    with torch.inference_mode():
        net = both.backbone
        x = net.maxpool(net.relu(net.bn1(net.conv1(normalised(images)))))
        layer3 = net.layer3(net.layer2(net.layer1(x)))
        levels = both.heads["plain"].levels
        fine, coarse = levels["layer3"](layer3), levels["layer4"](net.layer4(layer3))
        enlarged = torch.nn.functional.interpolate(coarse, size=(6, 4), mode="bilinear")
        torch.testing.assert_close(both(images)["plain"][1], (fine + enlarged).squeeze(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, "conv1.weight has shape (64, 3, 3, 3)"),
        ({"encoder.weight": torch.zeros(4)}, "no tensor matches"),
    ],
    ids=["another shape", "another network"],
)
def test_foreign_weights_are_refused(tmp_path, tensors, says):
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(weights.WeightsError) as caught:
        weights.load(Classifier(ClassifierConfig()).backbone, weights.read(tmp_path / "w.safetensors"))
    assert says in str(caught.value)


def test_a_pickled_checkpoint_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(weights.WeightsError, match="safetensors"):
        weights.read(tmp_path / "w.pt")


def test_hidden_channels_are_added_over_levels_rectified_and_mapped(images):
    config = one_head(levels=("layer2", "layer3"), feature_norm=True, hidden=8, pooling="topk", share=0.01)
    torch.manual_seed(0)
    model = Classifier(config).eval()
    head = model.heads["plain"]
    with torch.inference_mode():
        logit, cam = model(images)["plain"]
        stages = model.stages(images)
        fine, coarse = (level[1](level[0](stages[name])) for name, level in head.levels.items())
        coarse = torch.nn.functional.interpolate(coarse, fine.shape[2:], mode="bilinear")
        expected = head.last[1]((fine + coarse).clamp(min=0))[:, 0]
    assert cam.shape == (2, 12, 8)
    torch.testing.assert_close(cam, expected)
    torch.testing.assert_close(logit, cam.flatten(1).max(1).values)
    assert ClassifierConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
