"""Adapters saved, loaded and exported: what comes back draws exactly what was trained."""

import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from inspector.errors import DataError
from models import lora
from trainer.augment.stable_diffusion import adapters, text


def trained(pipeline: StableDiffusionPipeline, section) -> StableDiffusionPipeline:
    """With adapters that change something, as after training."""
    adapters.place(pipeline, section, seed=3)
    source = torch.Generator().manual_seed(5)
    for network in adapters.networks(pipeline, section.text_encoder).values():
        for weight in lora.parameters(network):
            weight.data += 0.05 * torch.randn(weight.shape, generator=source)
    return pipeline


@torch.no_grad()
def answer(pipeline) -> torch.Tensor:
    """What the UNet says to fixed noise under a prompt: text encoder, attention and convolutions all take part."""
    states = text.prompt_states(pipeline, ["skt background"], 2)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    return pipeline.unet(latents, torch.tensor([300]), encoder_hidden_states=states).sample


@pytest.mark.parametrize("text_encoder", [True, False])
def test_saved_and_loaded_adapters_answer_alike_to_the_bit(pipelines, section, tmp_path, text_encoder):
    ours = trained(pipelines(), section(text_encoder=text_encoder))
    adapters.save(ours, tmp_path / "adapters")
    fresh = pipelines()
    before = answer(fresh)
    adapters.load_into(fresh, tmp_path / "adapters")
    assert torch.equal(answer(fresh), answer(ours)) and not torch.equal(before, answer(ours))
    adapters.load_into(fresh, tmp_path / "adapters")  # in place of those just loaded
    assert torch.equal(answer(fresh), answer(ours))


def test_the_libraries_find_freshly_placed_adapters_and_leave_none_when_unloading(pipelines, section):
    ours = trained(pipelines(), section())
    plain = answer(pipelines())
    assert ours.get_list_adapters() == {"unet": [lora.ADAPTER], "text_encoder": [lora.ADAPTER]}
    ours.disable_lora()
    assert torch.equal(answer(ours), plain)
    ours.enable_lora()
    ours.set_adapters(lora.ADAPTER, 0.5)
    half = answer(ours)
    ours.set_adapters(lora.ADAPTER, 1.0)
    ours.fuse_lora(lora_scale=0.5)
    ours.unload_lora_weights()
    torch.testing.assert_close(answer(ours), half, rtol=1e-4, atol=1e-5)
    assert not torch.equal(half, plain)
    assert not any(True for network in adapters.networks(ours).values() for _ in lora.adapters(network))


def test_diffusers_reads_the_file_by_itself(pipelines, section, tmp_path):
    ours = trained(pipelines(), section())
    adapters.save(ours, tmp_path / "adapters")
    fresh = pipelines()
    fresh.load_lora_weights(str(tmp_path / "adapters"))
    assert torch.equal(answer(fresh), answer(ours))


def test_half_the_adapters_is_not_enough(pipelines, section, tmp_path):
    """What is lost when alphas stay behind: the reason why they travel in the metadata."""
    ours = trained(pipelines(), section())
    adapters.save(ours, tmp_path / "adapters")
    file = tmp_path / "adapters" / adapters.WEIGHTS
    save_file(load_file(file), tmp_path / "bare.safetensors")
    fresh = pipelines()
    fresh.load_lora_weights(str(tmp_path), weight_name="bare.safetensors")
    assert (answer(fresh) - answer(ours)).abs().max() > 1e-3


def test_kohyas_file_has_its_keys_and_each_its_alpha(pipelines, section, tmp_path):
    ours = trained(pipelines(), section(linear_rank=4, linear_alpha=2.0, conv_rank=2, conv_alpha=1.0))
    adapters.export_kohya(ours, tmp_path / "kohya.safetensors")
    stored = load_file(tmp_path / "kohya.safetensors")
    names = {name.partition(".")[0] for name in stored}
    assert len(stored) == 3 * len(names)
    assert len(names) == sum(1 for net in adapters.networks(ours).values() for _ in lora.adapters(net))
    for name, rank, alpha, shape in [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0", 4, 2.0, (4, 16)),
        ("lora_unet_down_blocks_0_attentions_0_proj_in", 4, 2.0, (4, 16, 1, 1)),
        ("lora_unet_down_blocks_0_resnets_0_conv1", 2, 1.0, (2, 16, 3, 3)),
        ("lora_unet_down_blocks_0_downsamplers_0_conv", 2, 1.0, (2, 16, 3, 3)),
        ("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 4, 2.0, (4, 32)),
    ]:
        assert stored[f"{name}.alpha"].item() == alpha
        assert stored[f"{name}.lora_down.weight"].shape == shape
        assert stored[f"{name}.lora_up.weight"].shape[1] == rank


def test_a_reader_of_kohyas_format_gets_the_same_weights(pipelines, section, tmp_path):
    """Deltas by that format's own rule, up @ down * alpha / rank, added to the base by hand."""
    ours = trained(pipelines(), section())
    adapters.export_kohya(ours, tmp_path / "kohya.safetensors")
    stored = load_file(tmp_path / "kohya.safetensors")
    plain = pipelines()
    for prefix, network in (("lora_unet_", plain.unet), ("lora_te_text_model_", plain.text_encoder)):
        for name, module in network.named_modules():
            key = prefix + name.replace(".", "_")
            if f"{key}.alpha" in stored:
                down, up = stored[f"{key}.lora_down.weight"], stored[f"{key}.lora_up.weight"]
                delta = (up.flatten(1) @ down.flatten(1)).view_as(module.weight)
                module.weight.data += delta * stored[f"{key}.alpha"] / len(down)
    torch.testing.assert_close(answer(plain), answer(ours), rtol=1e-4, atol=1e-5)


def test_diffusers_reads_kohyas_file(pipelines, section, tmp_path):
    ours = trained(pipelines(), section())
    adapters.export_kohya(ours, tmp_path / "kohya.safetensors")
    fresh = pipelines()
    fresh.load_lora_weights(str(tmp_path), weight_name="kohya.safetensors")
    torch.testing.assert_close(answer(fresh), answer(ours), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_adapters_and_a_rerun_starts_afresh(pipelines, section):
    one, other, third = pipelines(), pipelines(), pipelines()
    adapters.place(trained(one, section()), section(), seed=1)
    adapters.place(other, section(), seed=1)
    adapters.place(third, section(), seed=2)
    first, second, different = (lora.parameters(pipeline.unet)[0] for pipeline in (one, other, third))
    assert torch.equal(first, second) and not torch.equal(first, different)
    assert {weight.dtype for weight in lora.parameters(one.unet)} == {torch.float32}
    learned = {id(weight) for net in adapters.networks(one).values() for weight in lora.parameters(net)}
    for network in (one.unet, one.text_encoder, one.vae):
        assert {id(weight) for weight in network.parameters() if weight.requires_grad} <= learned


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def drop(file):
    with safe_open(file, "pt") as handle:
        metadata = handle.metadata()
    tensors = load_file(file)
    del tensors[next(name for name in tensors if "resnets" in name)]
    save_file(tensors, file, metadata)


def shrink(file):
    with safe_open(file, "pt") as handle:
        metadata = handle.metadata()
    save_file({name: tensor[:1].contiguous() for name, tensor in load_file(file).items()}, file, metadata)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "are damaged"),
        (drop, "do not fit this model"),
        (shrink, "do not fit this model"),
        (lambda file: shutil.rmtree(file.parent), "no adapters in .*: fine-tune first"),
    ],
)
def test_adapters_that_cannot_be_used_are_one_line(pipelines, section, tmp_path, damage, message):
    adapters.save(trained(pipelines(), section()), tmp_path / "adapters")
    damage(tmp_path / "adapters" / adapters.WEIGHTS)
    with pytest.raises(DataError, match=message) as caught:
        adapters.load_into(pipelines(), tmp_path / "adapters")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_older_adapters(pipelines, section, tmp_path, monkeypatch):
    ours = trained(pipelines(), section())
    adapters.save(ours, tmp_path / "adapters")
    sound = (tmp_path / "adapters" / adapters.WEIGHTS).read_bytes()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StableDiffusionPipeline, "save_lora_weights", full)
    with pytest.raises(OSError, match="No space left"):
        adapters.save(ours, tmp_path / "adapters")
    assert (tmp_path / "adapters" / adapters.WEIGHTS).read_bytes() == sound
    assert [path.name for path in tmp_path.iterdir()] == ["adapters"]


def test_a_wrong_model_is_named(pipeline, section):
    pipeline.unet.down_blocks[0].resnets[0].conv1 = torch.nn.Identity()
    with pytest.raises(DataError, match=r"cannot fine-tune tiny: the UNet lacks down_blocks.0.resnets.0.conv1"):
        adapters.place(pipeline, section(), 0)
