"""`inandout-train export-lora`: the file, and one line where it cannot be made."""

import json

import pytest
from click.testing import CliRunner
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from models import lora
from trainer.augment.stable_diffusion import adapters
from trainer.cli import cli
from trainer.generator_sections import StableDiffusionSection


@pytest.fixture(scope="module")
def trained(tiny_diffusion, tmp_path_factory):
    """A run folder with a generator's adapters, and its base model."""
    folder = tmp_path_factory.mktemp("export")
    base = tiny_diffusion.make(folder / "base")
    pipeline = StableDiffusionPipeline.from_pretrained(base, safety_checker=None, requires_safety_checker=False)
    adapters.place(pipeline, StableDiffusionSection(linear_rank=4, conv_rank=2), seed=3)
    for network in adapters.networks(pipeline).values():
        for weight in lora.parameters(network):
            weight.data += 0.05
    adapters.save(pipeline, folder / "run" / "fine_tune" / "adapters")
    (folder / "run" / "recipe.json").write_text(json.dumps({"stable_diffusion": {"base": str(base)}}))
    return folder


def _run(*words):
    return CliRunner().invoke(cli, ["export-lora", *map(str, words)])


def test_a_run_and_a_trained_generator_give_the_same_file(trained, tmp_path):
    found = _run(trained / "run", tmp_path / "new" / "kohya.safetensors")
    assert found.exit_code == 0, found.output
    assert "wrote" in found.output
    again = _run(trained / "run" / "fine_tune", tmp_path / "again.safetensors", "--base", trained / "base")
    assert again.exit_code == 0, again.output
    one, other = load_file(tmp_path / "new" / "kohya.safetensors"), load_file(tmp_path / "again.safetensors")
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)
    assert any(name.startswith("lora_te_text_model") for name in one)
    assert any(name.startswith("lora_unet") and "resnets" in name for name in one)


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("base", "file", "no adapters in"),
        ("run/fine_tune", "file", "name it with --base"),
        ("run", ".", "exists: choose another name"),
        ("run", "/proc/none/file", "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(trained, tmp_path, source, destination, words):
    found = _run(trained / source, tmp_path / destination)
    assert found.exit_code == 1
    assert words in str(found.exception) and "\n" not in str(found.exception)
