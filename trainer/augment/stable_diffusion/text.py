"""Prompts to token ids to text states, with clip skip, and no silent truncation."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from inspector.errors import DataError, RecipeError


def tokenise(pipeline: StableDiffusionPipeline, prompts: Sequence[str]) -> torch.Tensor:
    """Token ids `(N, L)` of the prompts, padded to the text encoder's length, on the CPU.

    Raises:
        DataError: a prompt is too long for the text encoder, which would otherwise read its beginning only.
    """
    tokenizer = pipeline.tokenizer
    limit = min(tokenizer.model_max_length, pipeline.text_encoder.config.max_position_embeddings)
    for prompt in prompts:
        count = len(tokenizer(prompt, truncation=False, verbose=False).input_ids)
        if count > limit:
            raise DataError(
                f'the prompt "{prompt}" is too long for the text encoder: {count} tokens, start and end included, '
                f"and the limit is {limit}; shorten it"
            )
    encoded = tokenizer(list(prompts), padding="max_length", max_length=limit, return_tensors="pt")
    return encoded.input_ids


def encode(text_encoder: torch.nn.Module, ids: torch.Tensor, clip_skip: int = 1) -> torch.Tensor:
    """Text states `(N, L, C)` of token ids `(N, L)` on the encoder's device.

    Args:
        text_encoder: CLIP's.
        ids: from `tokenise`.
        clip_skip: 1 reads the last layer, 2 the one before it, and so on; the final norm follows in any case.

    Raises:
        RecipeError: the encoder has fewer layers.
    """
    states = text_encoder(ids, output_hidden_states=True).hidden_states
    if clip_skip >= len(states):
        raise RecipeError(
            f"stable_diffusion.clip_skip is {clip_skip}, and the text encoder has {len(states) - 1} layers: lower it"
        )
    # Older transformers keep CLIP's parts one level down, in `text_model`.
    parts: Any = getattr(text_encoder, "text_model", text_encoder)
    return parts.final_layer_norm(states[-clip_skip])


def prompt_states(pipeline: StableDiffusionPipeline, prompts: Sequence[str], clip_skip: int = 1) -> torch.Tensor:
    """Text states `(N, L, C)` of prompts, as the pipeline takes them in `prompt_embeds`; see `tokenise`, `encode`.

    The pipeline's own `clip_skip` argument reaches for an attribute that newer text encoders do not have.
    """
    encoder = pipeline.text_encoder
    return encode(encoder, tokenise(pipeline, prompts).to(encoder.device), clip_skip)
