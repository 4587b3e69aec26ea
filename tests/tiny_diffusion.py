"""Stable Diffusion pipelines of about a megabyte, built from configs: real parts, real layout, random weights."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SEED = 20240227
TOKENS = 77
_WORDS = ("background", "skt", "scratched", "cracked", "surface", "a")
_START, _END = "<|startoftext|>", "<|endoftext|>"


def make(folder: Path, in_channels: int = 4) -> Path:
    """Write a Stable Diffusion 1.x pipeline in diffusers' layout, the same weights each time; return `folder`.

    Its UNet has what the full one has: transformer blocks with 1x1 projections, ResNet blocks with and without
    shortcut, a down- and an upsampler. The autoencoder's factor is 8; the text encoder has three layers, so that
    clip skip 2 and 3 differ. `in_channels` is 4, or 9 for an inpainting UNet.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        tokenizer = make_tokenizer()
        pipeline = StableDiffusionPipeline(
            vae=_autoencoder(),
            text_encoder=_text_encoder(tokenizer),
            tokenizer=tokenizer,
            unet=_denoiser(in_channels),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                clip_sample=False,
                set_alpha_to_one=False,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def make_inpaint(folder: Path) -> Path:
    """Write a pipeline whose UNet also takes the mask and the masked image, as inpainting models do."""
    return make(folder, in_channels=9)


def make_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-level tokenizer with a vocabulary that knows few words; any other text is spelled in letters."""
    letters = _byte_letters()
    vocabulary = letters + [f"{letter}</w>" for letter in letters]
    merges = []
    for word in _WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts[:2] = ["".join(parts[:2])]
            vocabulary.append(parts[0])
    merges, vocabulary = list(dict.fromkeys(merges)), list(dict.fromkeys(vocabulary))
    numbers = {token: number for number, token in enumerate([*vocabulary, _START, _END])}
    return CLIPTokenizer(vocab=numbers, merges=merges, model_max_length=TOKENS)


def _byte_letters() -> list[str]:
    """The 256 printable characters that stand for bytes in byte-level BPE."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in own] + [chr(256 + place) for place in range(256 - len(own))]


def _denoiser(in_channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.18215,
    )


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config).eval()
