import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector.errors import InandoutError
from trainer.augment.stable_diffusion import pipeline

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


@pytest.fixture(scope="module")
def whole(tiny_diffusion, tmp_path_factory) -> Path:
    return tiny_diffusion.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def base(whole, tmp_path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(whole, tmp_path / "base"))


def _edit(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _rename(path: Path, change) -> None:
    save_file({change(name): tensor for name, tensor in load_file(path).items()}, path)


def _drop(path: Path, name: str) -> None:
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path)


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _pickle(path: Path) -> None:
    path.rename(path.with_suffix(".bin"))


def test_loads_every_tensor_of_the_files_without_the_safety_checker(whole):
    loaded = pipeline.load(str(whole))
    assert loaded.safety_checker is None
    for part, file in ((loaded.unet, UNET), (loaded.vae, VAE)):
        stored = load_file(whole / file)
        assert stored.keys() == part.state_dict().keys()
        assert all(torch.equal(stored[name], tensor) for name, tensor in part.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "text_model."], ids=["today's names", "names of the published checkpoints"])
def test_text_encoder_weights_load_under_either_name(base, prefix):
    expected = pipeline.load(str(base)).text_encoder.state_dict()
    _rename(base / TEXT, lambda name: prefix + name.removeprefix("text_model."))
    loaded = pipeline.load(str(base)).text_encoder.state_dict()
    assert all(torch.equal(expected[name], tensor) for name, tensor in loaded.items())


def test_autoencoder_weights_load_under_the_published_checkpoints_names(base):
    expected = pipeline.load(str(base)).vae.state_dict()
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def change(name: str) -> str:
        for new, former in old.items():
            name = name.replace(f"attentions.0.{new}", f"attentions.0.{former}")
        return name

    _rename(base / VAE, change)
    assert any("proj_attn" in name for name in load_file(base / VAE))
    loaded = pipeline.load(str(base)).vae.state_dict()
    assert all(torch.equal(expected[name], tensor) for name, tensor in loaded.items())


def test_half_precision_files_load_in_full_precision(base):
    for file in (UNET, VAE, TEXT):
        path = base / file
        tensors = {name: tensor.half() for name, tensor in load_file(path).items()}
        save_file(tensors, path.with_suffix(".fp16.safetensors"))
        path.unlink()
    loaded = pipeline.load(str(base))
    for part in (loaded.unet, loaded.vae, loaded.text_encoder):
        assert {tensor.dtype for tensor in part.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda base: (base / UNET).unlink(), "lacks weights", id="unet gone"),
        pytest.param(lambda base: shutil.rmtree(base / "vae"), "lacks weights", id="autoencoder's folder gone"),
        pytest.param(lambda base: _pickle(base / UNET), "never read", id="pickled weights only"),
        pytest.param(lambda base: _halve(base / UNET), "cannot be loaded", id="unet cut short"),
        pytest.param(lambda base: _halve(base / TEXT), "cannot be loaded", id="text encoder cut short"),
        pytest.param(lambda base: _drop(base / UNET, "conv_in.bias"), "lack 1 tensor", id="unet lacks a tensor"),
        pytest.param(lambda base: _drop(base / VAE, "decoder.conv_in.bias"), "lack 1 tensor", id="autoencoder too"),
        pytest.param(
            lambda base: _edit(base / "unet/config.json", cross_attention_dim=64), "cannot be loaded", id="wrong shapes"
        ),
        pytest.param(lambda base: shutil.rmtree(base / "tokenizer"), "tokenizer", id="tokenizer gone"),
        pytest.param(lambda base: shutil.rmtree(base / "scheduler"), "cannot load", id="scheduler gone"),
        pytest.param(lambda base: (base / "model_index.json").unlink(), "diffusers' layout", id="no index"),
        pytest.param(lambda base: (base / "model_index.json").write_text("{"), "diffusers' layout", id="index damaged"),
        pytest.param(lambda base: (base / "model_index.json").write_text("[]"), "diffusers' layout", id="index a list"),
        pytest.param(
            lambda base: _edit(
                base / "model_index.json", text_encoder_2=["transformers", "CLIPTextModelWithProjection"]
            ),
            "not a Stable Diffusion 1.x or 2.x",
            id="SDXL",
        ),
        pytest.param(
            lambda base: _edit(
                base / "model_index.json", unet=[None, None], transformer=["diffusers", "FluxTransformer2DModel"]
            ),
            "not a Stable Diffusion 1.x or 2.x",
            id="a transformer instead of a UNet",
        ),
    ],
)
def test_a_spoilt_folder_is_one_line(base, spoil, says):
    spoil(base)
    with pytest.raises(InandoutError, match=says) as caught:
        pipeline.load(str(base))
    assert "\n" not in str(caught.value)
    assert str(base) in str(caught.value)


def test_an_inpainting_model_is_not_fine_tuned(tiny_diffusion, tmp_path):
    with pytest.raises(InandoutError, match="9 channels"):
        pipeline.load(str(tiny_diffusion.make_inpaint(tmp_path / "inpaint")))


@pytest.mark.parametrize("make", ["make", "make_inpaint"])
def test_either_kind_of_model_inpaints(tiny_diffusion, tmp_path, make):
    loaded = pipeline.load_inpainting(str(getattr(tiny_diffusion, make)(tmp_path / "base")))
    assert type(loaded).__name__ == "StableDiffusionInpaintPipeline"


@pytest.mark.parametrize("base", ["/nowhere/model", "./model", "a/b/c", "model"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(base):
    with pytest.raises(InandoutError, match="no folder"):
        pipeline.load(base)


def test_a_hub_out_of_reach_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InandoutError, match="cannot be fetched from the hub") as caught:
        pipeline.load("nobody/nothing-of-that-name")
    assert "\n" not in str(caught.value)
