"""Which modules get an adapter: the published trainer left the 3x3 convolutions out without a word."""

import re
from collections import Counter

import pytest
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from models import lora

RANKS = lora.Ranks(linear_rank=8, linear_alpha=4.0, conv_rank=2, conv_alpha=1.0)


def full_unet(**options) -> UNet2DConditionModel:
    """Stable Diffusion 1.5's UNet, without data."""
    with torch.device("meta"):
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, **options)


def full_text_encoder() -> CLIPTextModel:
    """CLIP ViT-L/14's text encoder, without data."""
    with torch.device("meta"):
        return CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        )


def tiny_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def test_the_full_unet_gets_what_c3lier_names():
    """Counted by hand: 16 transformers (6 down, 1 middle, 9 up), 22 ResNet blocks (8, 2, 12), 3 + 3 samplers."""
    placement = lora.unet_placement(full_unet())
    short = Counter(
        re.sub(r"^.*?\.(attentions|resnets|downsamplers|upsamplers)\.\d+\.", "", n) for n in placement.linear
    )
    block = "transformer_blocks.0"
    projections = [f"{block}.attn{n}.{part}" for n in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0")]
    assert short == dict.fromkeys(
        ["proj_in", "proj_out", *projections, f"{block}.ff.net.0.proj", f"{block}.ff.net.2"], 16
    )
    ends = Counter(name.rpartition(".")[2] for name in placement.conv)
    assert ends == {"conv1": 22, "conv2": 22, "conv": 6}


def test_the_full_unet_leaves_out_what_c3lier_does_not_name():
    placed = {*lora.unet_placement(full_unet()).linear, *lora.unet_placement(full_unet()).conv}
    left = {
        re.sub(r"\d+", "N", name)
        for name, module in full_unet().named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and name not in placed
    }
    blocks = ("down_blocks.N", "mid_block", "up_blocks.N")
    assert left == {"conv_in", "conv_out", "time_embedding.linear_N"} | {
        f"{block}.resnets.N.{part}"
        for block in blocks
        for part in ("time_emb_proj", "conv_shortcut")
        if (block, part) != ("mid_block", "conv_shortcut")
    }


def test_linear_projections_of_stable_diffusion_2_are_adapted_too():
    placement = lora.unet_placement(full_unet(use_linear_projection=True))
    assert sum(name.endswith((".proj_in", ".proj_out")) for name in placement.linear) == 32


@pytest.mark.parametrize(("skipped", "count"), [(0, 72), (1, 66), (2, 60)])
def test_skipped_text_layers_get_no_adapter(skipped, count):
    placement = lora.text_placement(full_text_encoder(), skipped)
    assert len(placement.linear) == count
    assert not any(f"layers.{number}." in name for name in placement.linear for number in range(12 - skipped, 12))


def test_adapters_have_the_rank_and_alpha_of_their_kind():
    unet = tiny_unet()
    placement = lora.unet_placement(unet)
    lora.place(unet, placement, RANKS)
    for name, layer in lora.adapters(unet):
        rank, alpha = (2, 1.0) if name in placement.conv else (8, 4.0)
        assert layer.lora_A["default"].weight.shape[0] == rank, name
        assert layer.scaling["default"] == alpha / rank, name


@pytest.mark.parametrize("ranks", [lora.Ranks(8, 4.0, 3, 1.0), lora.Ranks(8, 4.0, 2, 2.0), lora.Ranks(9, 4.0, 2, 1.0)])
def test_adapters_of_another_rank_or_alpha_are_found(ranks):
    unet = tiny_unet()
    placement = lora.unet_placement(unet)
    lora.place(unet, placement, ranks)
    with pytest.raises(lora.ArchitectureError, match="not as ordered"):
        lora.check_placed(unet, placement, RANKS)


def test_a_trainer_that_skips_the_convolutions_is_found():
    """LierLa where C3Lier was ordered: the published code's first fault."""
    unet = tiny_unet()
    placement = lora.unet_placement(unet)
    lora.place(unet, lora.Placement(placement.linear), RANKS)
    with pytest.raises(lora.ArchitectureError, match=r"not as ordered on .*conv1"):
        lora.check_placed(unet, placement, RANKS)


def headless() -> UNet2DConditionModel:
    unet = tiny_unet()
    unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.to_k = torch.nn.Identity()
    return unet


def plain() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=(32, 64),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            mid_block_type=None,
        )


def flow() -> torch.nn.Module:
    with torch.device("meta"):
        return SD3Transformer2DModel(num_layers=1, num_attention_heads=2, attention_head_dim=8)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (headless, r"lacks down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"),
        (plain, "lacks any transformer blocks"),
        (flow, "a SD3Transformer2DModel is not the UNet"),
    ],
)
def test_a_wrong_unet_is_named_with_what_it_lacks(make, named):
    with pytest.raises(lora.ArchitectureError, match=named):
        lora.unet_placement(make())


def test_a_wrong_text_encoder_is_named_with_what_it_lacks():
    with torch.device("meta"):
        vae = AutoencoderKL()
    with pytest.raises(lora.ArchitectureError, match="AutoencoderKL.* lacks transformer layers"):
        lora.text_placement(vae)
    with pytest.raises(lora.ArchitectureError, match="12 layers, of which 12 cannot be skipped"):
        lora.text_placement(full_text_encoder(), skipped=12)
    broken = full_text_encoder()
    broken.encoder.layers[3].mlp.fc2 = torch.nn.Identity()
    with pytest.raises(lora.ArchitectureError, match=r"lacks encoder.layers.3.mlp.fc2"):
        lora.text_placement(broken)


def test_an_adapter_that_changes_nothing_is_found():
    unet = tiny_unet()
    placement = lora.unet_placement(unet)
    lora.place(unet, placement, RANKS)
    assert lora.idle_adapters(unet) == [name for name, _ in lora.adapters(unet)]
    layers = dict(lora.adapters(unet))
    for layer in layers.values():
        torch.nn.init.ones_(layer.lora_B["default"].weight)
    lora.check_trained({"UNet": unet})
    lost = placement.conv[0]
    torch.nn.init.zeros_(layers[lost].lora_B["default"].weight)
    with pytest.raises(lora.ArchitectureError, match=f"UNet's adapters change nothing on {lost}$"):
        lora.check_trained({"UNet": unet})
    with pytest.raises(lora.ArchitectureError, match="the UNet has no adapter"):
        lora.check_trained({"UNet": tiny_unet()})
