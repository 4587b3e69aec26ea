"""The training loop: resume, signals, memory, modes, schedules. Real networks, tiny images."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from inspector.errors import InandoutError
from inspector.preprocess import InputSpec
from models.classifier import STAGES, Classifier, ClassifierConfig
from models.head import Disturbance, HeadConfig
from trainer import classify
from trainer.interruption import Interrupted
from trainer.recipe import TrainSection
from trainer.training_set import TrainingImage

ROOT = Path(__file__).parents[2]
SPEC = InputSpec(width=32, height=32)


def draw_images(folder: Path, count: int = 12) -> list[TrainingImage]:
    rng = np.random.default_rng(0)
    images = []
    for number in range(count):
        pixels = rng.integers(90, 110, (32, 32), dtype=np.uint8)
        if number % 3 == 0:
            pixels[8:20, 8:20] = 250
        path = folder / f"{number:02d}.png"
        cv2.imwrite(str(path), pixels)
        images.append(TrainingImage(path, int(number % 3 == 0)))
    return images


def task(images, **train):
    recipe = TrainSection(**{"epochs": 2, "batch": 4, "ema": 0.9, "workers": 0, "learning_rate": 0.01} | train)
    return classify.TrainingTask(images, images, SPEC, recipe, seed=1, fresh=STAGES)


def model(seed=0):
    torch.manual_seed(seed)
    return Classifier(ClassifierConfig())


@pytest.fixture
def images(tmp_path):
    return draw_images(tmp_path)


def test_loss_falls_and_the_history_tells_it(images, tmp_path):
    history = classify.train(model(), task(images, epochs=4, frozen="none"), tmp_path, Accelerator(cpu=True))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["learning_rate"] < history[0]["learning_rate"]
    assert json.loads((tmp_path / "history.json").read_text()) == history
    assert list((tmp_path / "tensorboard").iterdir())


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
import test_classify as t
from accelerate import Accelerator
folder = Path(sys.argv[1])
task = t.task(t.draw_images(folder), epochs=3, optimiser=sys.argv[2], checkpoint_seconds=1e-6)
from trainer import classify
from trainer.interruption import Interrupted
try:
    classify.train(t.model(), task, folder, Accelerator(cpu=True))
except classify.Interrupted as stop:
    print(stop)
    sys.exit(3)
"""


def run_script(folder: Path, optimiser: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    code = SCRIPT.format(root=str(ROOT), tests=str(Path(__file__).parent))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), optimiser], stdout=subprocess.DEVNULL, env=environment
    )


def wait_for_step(process: subprocess.Popen, folder: Path, step: int) -> None:
    state = folder / "checkpoint" / "state.json"
    for _ in range(6000):
        if process.poll() is not None:
            pytest.fail("training ended before it could be stopped")
        try:
            if json.loads(state.read_text())["step"] >= step:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.01)
    pytest.fail("no checkpoint appeared")


@pytest.mark.slow
@pytest.mark.parametrize(("optimiser", "how"), [("sgd", signal.SIGKILL), ("adamw", signal.SIGINT)])
def test_a_stopped_run_ends_at_the_weights_of_an_uninterrupted_one(tmp_path, optimiser, how):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_script(whole, optimiser).wait() == 0
    process = run_script(broken, optimiser)
    wait_for_step(process, broken, step=2)
    process.send_signal(how)
    assert process.wait() == (-9 if how == signal.SIGKILL else 3)
    assert not (broken / classify.WEIGHTS).exists()
    assert run_script(broken, optimiser).wait() == 0
    expected, resumed = load_file(whole / classify.WEIGHTS), load_file(broken / classify.WEIGHTS)
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name
    rows = [json.loads((folder / classify.HISTORY).read_text()) for folder in (whole, broken)]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]


class Hungry(torch.nn.Module):
    """Runs out of memory above `limit` images at once, with the message of a real device."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.limit, self.seen = limit, []

    def forward(self, images, disturbance=None):
        self.seen.append(len(images))
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        means = images.float().mean((1, 2, 3)) * self.weight
        return {"dense": (means, means[:, None, None].expand(-1, 2, 2))}


@pytest.mark.parametrize("weight", [0.0, 0.5])
@pytest.mark.parametrize(("limit", "seen"), [(8, [8]), (4, [8, 4, 4]), (2, [8, 4, 2, 2, 2, 2])])
def test_out_of_memory_halves_the_batch_and_keeps_the_step(limit, seen, weight, caplog):
    hungry, whole = Hungry(limit), Hungry(8)
    images = torch.randint(0, 255, (8, 2, 2, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    truths = torch.randint(0, 3, (8, 2, 2), generator=torch.Generator().manual_seed(2))
    batch = classify.Batch(images, torch.tensor([0.0, 1.0] * 4), truths)
    losses = []
    for net in (hungry, whole):
        state = {"micro_batch": 8}
        optimiser = torch.optim.SGD(net.parameters(), 0.01)
        told = dataclasses.replace(task([]), pixel_weight=weight)
        losses.append(classify.step(net, optimiser, batch, state, Accelerator(cpu=True), told))
    assert hungry.seen == seen
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.testing.assert_close(hungry.weight, whole.weight)
    assert ("out of memory with 8 images" in caplog.text) == (limit < 8)


def test_out_of_memory_with_a_single_image_says_what_to_do():
    net = Hungry(0)
    with pytest.raises(InandoutError, match=r"lower train.batch or input.width"):
        classify.step(
            net,
            torch.optim.SGD(net.parameters(), 0.1),
            classify.Batch(torch.zeros((4, 2, 2, 3), dtype=torch.uint8), torch.zeros(4), torch.zeros((4, 0, 0))),
            {"micro_batch": 4},
            Accelerator(cpu=True),
            task([]),
        )


def test_batch_norm_learns_in_every_epoch_but_not_in_frozen_stages(images, tmp_path):
    """A published script sets train() once, so that its batch norm stands still after the first evaluation."""
    seen = []
    net = model()

    def look(_row):
        seen.append((net.backbone.bn1.running_mean.clone(), net.backbone.layer4[0].bn1.running_mean.clone()))

    chosen = dataclasses.replace(task(images, epochs=3, frozen="layer1", ema=0.0), on_epoch=look)
    before = net.backbone.conv1.weight.clone()
    classify.train(net, chosen, tmp_path, Accelerator(cpu=True))
    for earlier, later in itertools.pairwise(seen):
        assert torch.equal(earlier[0], later[0])
        assert not torch.equal(earlier[1], later[1])
    assert torch.equal(before, net.backbone.conv1.weight)


@pytest.mark.parametrize(
    ("asked_to_stop", "says"), [(True, "go on from the last checkpoint"), (False, "Lower train.workers")]
)
def test_a_loader_process_that_dies_is_one_line(images, tmp_path, asked_to_stop, says):
    def die(_row):
        if asked_to_stop:
            os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")

    doomed = dataclasses.replace(task(images), on_epoch=die)
    with pytest.raises(InandoutError, match=says):
        classify.train(model(), doomed, tmp_path, Accelerator(cpu=True))


@pytest.mark.parametrize(("count", "ranks"), [(8, 2), (7, 2), (1, 2), (5, 3)])
def test_shards_cover_a_batch_in_equal_parts(count, ranks):
    batch = list(range(count))
    parts = [classify.shard(batch, rank, ranks) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    assert set(itertools.chain(*parts)) == set(batch)


def test_a_loss_that_explodes_stops_with_advice(images, tmp_path):
    net = model()
    net.heads["plain"].levels["layer4"][1].weight.data.fill_(float("inf"))
    with pytest.raises(InandoutError, match=r"lower train.learning_rate"):
        classify.train(net, task(images), tmp_path, Accelerator(cpu=True))


def test_the_pixel_loss_teaches_where_drawn_defects_lie(images, tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 1
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    told = [dataclasses.replace(image, mask=tmp_path / "mask.png" if image.label else None) for image in images]
    head = HeadConfig(levels=("layer2",), feature_norm=True, hidden=8, pooling="topk", share=0.1)
    net = Classifier(ClassifierConfig(heads={"dense": head}))
    work = dataclasses.replace(task(told, epochs=6, flips=False), pixel_weight=1.0)
    classify.train(net, work, tmp_path / "run", Accelerator(cpu=True))
    pixels = torch.from_numpy(cv2.imread(str(told[0].path)))[None]
    with torch.inference_mode():
        cam = net(pixels)["dense"][1][0]
    inside = torch.zeros((4, 4), dtype=torch.bool)
    inside[1:3, 1:3] = True
    assert cam[inside].min() > cam[~inside].max()


def test_noise_on_good_images_features_teaches_without_any_defect(images, tmp_path):
    good = [image for image in images if not image.label]
    head = HeadConfig(levels=("layer2",), feature_norm=True, hidden=8, pooling="topk", share=0.1)
    torch.manual_seed(0)
    net = Classifier(ClassifierConfig(heads={"dense": head}))
    work = dataclasses.replace(task(good, epochs=20, frozen="layer2"), pixel_weight=1.0, noise=2.0)
    classify.train(net, work, tmp_path, Accelerator(cpu=True))
    pixels = torch.from_numpy(cv2.imread(str(good[0].path)))[None]
    places = torch.zeros((1, 4, 4), dtype=torch.bool)
    places[0, 1, 2] = True
    with torch.inference_mode():
        logits, cams = net(pixels, Disturbance(torch.tensor([0]), places, 2.0, seed=5))["dense"]
    assert logits[1] > logits[0]
    assert int(cams[1].argmax()) == 6


def test_an_interrupted_training_with_noise_ends_at_the_same_weights(images, tmp_path):
    head = HeadConfig(levels=("layer2",), feature_norm=True, hidden=8, pooling="topk", share=0.1)
    noisy = dataclasses.replace(task(images, epochs=2), pixel_weight=1.0, noise=1.0)
    ends = []
    for name, stop in (("whole", False), ("stopped", True)):
        torch.manual_seed(0)
        net = Classifier(ClassifierConfig(heads={"dense": head}))
        if stop:
            interrupt = dataclasses.replace(noisy, on_epoch=lambda row: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(Interrupted):
                classify.train(net, interrupt, tmp_path / name, Accelerator(cpu=True))
        classify.train(net, noisy, tmp_path / name, Accelerator(cpu=True))
        ends.append(net.heads["dense"].last[1].weight.detach().clone())
    assert torch.equal(*ends)
