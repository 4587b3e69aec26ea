"""Prompts: length, clip skip, and agreement with the pipeline's own encoding."""

import pytest
import torch

from inspector.errors import DataError, RecipeError
from trainer.augment.stable_diffusion import text


@pytest.mark.parametrize("words", [75, 76])
def test_a_prompt_may_fill_the_encoder_but_not_overflow_it(pipeline, words):
    """77 tokens, of which two mark start and end."""
    prompt = " ".join(["background"] * words)
    if words == 75:
        assert text.tokenise(pipeline, [prompt]).shape == (1, 77)
    else:
        with pytest.raises(DataError, match=r'"background .*: 78 tokens.*limit is 77; shorten it') as caught:
            text.tokenise(pipeline, ["skt background", prompt])
        assert "\n" not in str(caught.value)


def test_states_are_the_pipelines_own_without_clip_skip(pipeline):
    prompts = ["skt background", "background cracked"]
    expected, _ = pipeline.encode_prompt(prompts, "cpu", 1, False)
    torch.testing.assert_close(text.prompt_states(pipeline, prompts), expected)


@pytest.mark.parametrize("skip", [1, 2, 3])
def test_clip_skip_stops_before_the_last_layers(pipeline, skip):
    """Against an encoder that has lost these layers."""
    ids = text.tokenise(pipeline, ["skt background"])
    states = text.encode(pipeline.text_encoder, ids, skip)
    pipeline.text_encoder.encoder.layers = pipeline.text_encoder.encoder.layers[: 4 - skip]
    torch.testing.assert_close(states, pipeline.text_encoder(ids).last_hidden_state)


def test_more_layers_than_there_are_cannot_be_skipped(pipeline):
    with pytest.raises(RecipeError, match="clip_skip is 4, and the text encoder has 3 layers"):
        text.prompt_states(pipeline, ["background"], 4)
