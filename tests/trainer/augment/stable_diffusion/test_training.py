"""The loop: what it learns, both loss terms, resume to the bit, processes, refusals. A real pipeline, tiny."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from inspector.errors import DataError, InandoutError
from inspector.preprocess import InputSpec
from models import lora
from trainer.augment.stable_diffusion import adapters, training
from trainer.interruption import Interrupted

ROOT = Path(__file__).parents[4]
SPEC = InputSpec(width=32, height=64)


def tune(pipeline, section, instances, regularisation, folder, epochs=2, on_step=lambda step, steps: None):
    folder.mkdir(exist_ok=True)
    accelerator = Accelerator(cpu=True)
    training.fine_tune(
        pipeline, instances, regularisation, section, SPEC, epochs, 1, folder, accelerator, on_step=on_step
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapters" / adapters.WEIGHTS)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open() as handle:
        return list(csv.DictReader(handle))


def same(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_every_adapter_learns_and_both_losses_are_logged(pipeline, section, pictures, tmp_path):
    """The published code's first two faults: no convolution adapted, no prior preservation."""
    steps = []
    frozen = {name: weight.clone() for name, weight in pipeline.unet.named_parameters()}
    placed = (
        (pipeline.unet, lora.unet_placement(pipeline.unet)),
        (pipeline.text_encoder, lora.text_placement(pipeline.text_encoder, skipped=1)),
    )
    tune(
        pipeline,
        section(),
        pictures("part", 3, 32, 64),
        pictures("class", 4, 32, 64),
        tmp_path / "run",
        on_step=lambda step, total: steps.append((step, total)),
    )
    assert steps == [(step, 6) for step in range(1, 7)]
    for network, placement in placed:
        deltas = {name: layer.get_delta_weight("default") for name, layer in lora.adapters(network)}
        assert deltas.keys() == {*placement.linear, *placement.conv}
        assert all(delta.abs().max() > 0 for delta in deltas.values())
    for name, weight in pipeline.unet.named_parameters():
        base = frozen.get(name.replace(".base_layer", ""))
        assert base is None or torch.equal(weight, base), name
    table = rows(tmp_path / "run")
    assert [int(row["step"]) for row in table] == list(range(1, 7))
    assert all(float(row["instance_loss"]) > 0 and float(row["prior_loss"]) > 0 for row in table)
    assert all(row["instance_loss"] != row["prior_loss"] for row in table)
    assert [float(row["learning_rate"]) for row in table] == pytest.approx([1e-3, 5e-4] * 3)  # three restarts
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_it_learns_what_it_is_shown(pipeline, section, pictures, tmp_path):
    chosen = section(repeats=40, batch=4, learning_rate=1e-2, schedule="constant", min_snr=None)
    tune(pipeline, chosen, pictures("part", 1, 32, 64), pictures("class", 2, 32, 64), tmp_path / "run", epochs=3)
    table = rows(tmp_path / "run")
    losses = [[float(row[kind]) for row in table] for kind in ("instance_loss", "prior_loss")]
    for kind in losses:
        assert sum(kind[-10:]) < sum(kind[:10])


def test_without_regularisation_images_it_says_so(pipeline, section, pictures, tmp_path, caplog):
    tune(pipeline, section(), pictures("part", 2, 32, 64), [], tmp_path / "run", epochs=1)
    assert "nothing preserves the class" in caplog.text
    assert [row["prior_loss"] for row in rows(tmp_path / "run")] == ["", ""]


class Stop(Exception):
    """Stands for a kill between two steps."""


@pytest.mark.parametrize("optimiser", ["adamw", "adamw8bit"])
def test_a_killed_run_ends_at_the_weights_of_an_uninterrupted_one(pipelines, section, pictures, tmp_path, optimiser):
    chosen = section(optimiser=optimiser, checkpoint_seconds=1e-9, conv_rank=32)
    given = pictures("part", 3, 32, 64), pictures("class", 3, 40, 40)
    tune(pipelines(), chosen, *given, tmp_path / "whole")

    kills = [2, 3, 6]

    def kill(step, _steps):
        # before the step's checkpoint is written, so that it is done again
        if kills and step == kills[0]:
            kills.pop(0)
            raise Stop

    for _ in range(3):
        with pytest.raises(Stop):
            tune(pipelines(), chosen, *given, tmp_path / "killed", on_step=kill)
    tune(pipelines(), chosen, *given, tmp_path / "killed", on_step=kill)
    assert same(tmp_path / "whole", tmp_path / "killed")
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")


def test_a_finished_run_only_loads(pipelines, section, pictures, tmp_path, monkeypatch):
    given = pictures("part", 2, 32, 64), pictures("class", 2, 32, 64)
    first, again = pipelines(), pipelines()
    tune(first, section(), *given, tmp_path / "run", epochs=1)
    monkeypatch.setattr(training, "Step", None)
    tune(
        again, section(merge_alpha={"zero_shot": 1, "few_shot": 1, "full_shot": 1}), *given, tmp_path / "run", epochs=1
    )
    for one, other in zip(lora.parameters(first.unet), lora.parameters(again.unet), strict=True):
        assert torch.equal(one, other)


def test_other_settings_or_images_start_afresh(pipelines, section, pictures, tmp_path, caplog):
    priors = pictures("class", 2, 32, 64)
    tune(pipelines(), section(), pictures("part", 2, 32, 64), priors, tmp_path / "run", epochs=1)
    before = weights(tmp_path / "run")
    tune(pipelines(), section(), pictures("other", 2, 32, 64), priors, tmp_path / "run", epochs=1)
    assert "is of other images or settings: fine-tuning starts afresh" in caplog.text
    assert any(not torch.equal(before[name], tensor) for name, tensor in weights(tmp_path / "run").items())
    assert [int(row["step"]) for row in rows(tmp_path / "run")] == [1, 2]


def test_gradient_checkpointing_changes_memory_only(pipelines, section, pictures, tmp_path):
    given = pictures("part", 2, 32, 64), pictures("class", 2, 32, 64)
    for name, on in (("on", True), ("off", False)):
        tune(pipelines(), section(gradient_checkpointing=on), *given, tmp_path / name, epochs=1)
    ours, theirs = weights(tmp_path / "on"), weights(tmp_path / "off")
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-4)


def test_bf16_trains_float32_adapters_on_bf16_weights(pipeline, section, pictures, tmp_path):
    given = pictures("part", 2, 32, 64), pictures("class", 2, 32, 64)
    tune(pipeline, section(precision="bf16"), *given, tmp_path / "run", epochs=1)
    assert pipeline.unet.conv_in.weight.dtype == torch.bfloat16
    assert {tensor.dtype for tensor in weights(tmp_path / "run").values()} == {torch.float32}


def test_adapters_that_did_not_move_are_an_error(pipeline, section, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_args, **_options: None)
    with pytest.raises(InandoutError, match="the unet's adapters change nothing on"):
        tune(pipeline, section(), pictures("part", 2, 32, 64), [], tmp_path / "run", epochs=1)
    assert not (tmp_path / "run" / "adapters").exists()


def test_a_loss_that_is_not_finite_stops_training(pipeline, section, pictures, tmp_path):
    pipeline.unet.conv_out.weight.data.fill_(float("inf"))
    with pytest.raises(InandoutError, match="no longer finite at step 1: lower"):
        tune(pipeline, section(), pictures("part", 2, 32, 64), [], tmp_path / "run", epochs=1)


def test_a_prompt_too_long_stops_before_anything_is_done(pipeline, section, tmp_path):
    with pytest.raises(DataError, match="is too long for the text encoder"):
        tune(pipeline, section(instance_prompt="word " * 80), [], [], tmp_path / "run")


SCRIPT = """
import json, logging, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
import tiny_diffusion, test_training as t
from diffusers import StableDiffusionPipeline
from trainer.generator_sections import StableDiffusionSection
from trainer.interruption import Interrupted
folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
if not (folder / "base").exists():
    tiny_diffusion.make(folder / "base")
pipeline = StableDiffusionPipeline.from_pretrained(folder / "base", safety_checker=None)
images = [[Path(name) for name in names] for names in given["images"]]
try:
    t.tune(pipeline, StableDiffusionSection(**given["section"]), *images, folder / sys.argv[3])
except Interrupted as stop:
    print(stop)
    sys.exit(3)
"""


def start(folder: Path, name: str, section, images, *launcher: str) -> subprocess.Popen:
    code = SCRIPT.format(paths=[str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)])
    script = folder / "script.py"
    script.write_text(code)
    given = {"section": section.model_dump(mode="json"), "images": [[str(path) for path in one] for one in images]}
    command = [sys.executable, *launcher, str(script), str(folder), json.dumps(given), name]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)


def wait_for_a_checkpoint(process: subprocess.Popen, folder: Path, step: int) -> None:
    for _ in range(12000):
        if process.poll() is not None:
            pytest.fail("fine-tuning ended before it could be stopped")
        try:
            if json.loads((folder / "checkpoint" / "state.json").read_text())["step"] >= step:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.01)
    pytest.fail("no checkpoint appeared")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_signalled_process_ends_at_the_same_weights(pipelines, section, pictures, tmp_path, how):
    chosen = section(repeats=6, checkpoint_seconds=1e-9)
    given = pictures("part", 3, 32, 64), pictures("class", 3, 32, 64)
    process = start(tmp_path, "stopped", chosen, given)
    wait_for_a_checkpoint(process, tmp_path / "stopped", 3)
    process.send_signal(how)
    assert process.wait(timeout=300) == (3 if how == signal.SIGINT else -how)
    assert start(tmp_path, "stopped", chosen, given).wait(timeout=600) == 0
    assert start(tmp_path, "whole", chosen, given).wait(timeout=600) == 0
    assert same(tmp_path / "stopped", tmp_path / "whole")
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_share_each_batch_and_learn_what_one_does(section, pictures, tmp_path):
    chosen = section(batch=4)
    given = pictures("part", 4, 32, 64), pictures("class", 4, 32, 64)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    start(tmp_path, "alone", chosen, given).wait(timeout=600)
    assert start(tmp_path, "shared", chosen, given, *launcher).wait(timeout=600) == 0
    alone, shared = rows(tmp_path / "alone"), rows(tmp_path / "shared")
    assert len(alone) == len(shared) == 4
    for one, other in zip(alone, shared, strict=True):
        for term in ("instance_loss", "prior_loss"):
            assert float(other[term]) == pytest.approx(float(one[term]), rel=1e-3)
    ours, theirs = weights(tmp_path / "alone"), weights(tmp_path / "shared")
    for name, tensor in ours.items():
        if "lora_B" in name:  # which starts at zero, so that it holds just what was learned
            assert (tensor - theirs[name]).norm() < 0.05 * tensor.norm(), name


def test_a_signal_leaves_a_checkpoint(pipeline, section, pictures, tmp_path):
    def interrupt(step, _steps):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="interrupted at step 2; run the same command to go on"):
        tune(pipeline, section(), pictures("part", 3, 32, 64), [], tmp_path / "run", on_step=interrupt)
    assert json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())["step"] == 2
