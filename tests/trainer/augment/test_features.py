import numpy as np
import pytest
import torch
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor

from inspector.errors import InandoutError
from trainer.augment.features import Features

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (50, 40, 3), dtype=np.uint8) for _ in range(17)]


@pytest.fixture(scope="module")
def features() -> Features:
    return Features("none")


def test_features_are_torchvisions_layer3(features):
    """The network is private, so its weights are what the reference shares with it; the rest is torchvision's."""
    reference = resnet50(weights=None).eval()
    told = reference.load_state_dict(features._network.backbone.state_dict(), strict=False)
    assert not told.unexpected_keys
    assert all(key.startswith(("layer4", "fc")) for key in told.missing_keys)
    x = torch.from_numpy(np.stack(IMAGES[:2])).permute(0, 3, 1, 2) / 255.0
    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.inference_mode():
        expected = create_feature_extractor(reference, ["layer3"])(x)["layer3"].permute(0, 2, 3, 1).numpy()
    found = features.of(IMAGES[:2])
    assert found.shape == (2, 4, 3, 1024) and found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_an_image_has_the_same_features_in_any_batch(features):
    together = features.of(iter(IMAGES))
    assert len(together) == 17
    for index in (0, 15, 16):
        np.testing.assert_allclose(
            together[index], features.of([IMAGES[index]])[0], rtol=2e-3, atol=1e-3 * together.max()
        )


def test_random_weights_are_always_the_same_and_disturb_nothing(features):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(Features("none").of(IMAGES[:1]), features.of(IMAGES[:1]))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_image_is_refused(features):
    with pytest.raises(ValueError, match="no image"):
        features.of([])


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InandoutError, match=r"gone\.safetensors"):
        Features(str(tmp_path / "gone.safetensors"))
