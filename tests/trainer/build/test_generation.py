"""The stages fine_tune, generate and mix in a real build, with the in-domain generator."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from click.testing import CliRunner
from safetensors.torch import save_file

from inspector import bundle
from models.classifier import Classifier, ClassifierConfig
from trainer.build import fine_tune, generate
from trainer.cli import cli
from trainer.data import readers, synth
from trainer.recipe import resolve
from trainer.review import accepted
from trainer.review.built import LastBuild
from trainer.review.painter import Order, Painter
from trainer.review.run_folder import open_run
from trainer.review.store import ReviewStore
from trainer.review.studio import Studio

TINY = [
    "--recipe=demo",
    "--weights=none",
    "--set=input.width=40",
    "--set=input.height=56",
    "--set=train.epochs=1",
    "--set=train.workers=0",
    "--set=in_domain.codec=small",
    "--set=in_domain.codec_steps=4",
    "--set=in_domain.steps=4",
    "--set=in_domain.channels=[16, 32]",
    "--set=in_domain.sampler_steps=2",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generation") / "data"
    synth.synthesise(folder, n_good=24, n_defect=12, width=40, height=56, seed=0, contrast=3)
    return folder


def _build(data: Path, run: Path, *arguments: str):
    return CliRunner().invoke(cli, ["build", "--data", str(data), "--output", str(run), *TINY, *arguments])


def _train_images(run: Path) -> list[str]:
    chosen = json.loads((run / "mix" / "images.json").read_text())
    return [Path(path).relative_to(run / "generate").parts[0] for path in chosen["train"]]


@pytest.mark.slow
def test_in_and_out_is_half_and_half_and_reuses_the_generator(data, tmp_path):
    run = tmp_path / "run"
    outcome = _build(data, run, "--augment", "in_and_out", "--n-aug", "7")
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    names = _train_images(run)
    assert (names.count("memseg"), names.count("in_domain")) == (3, 4) or (
        names.count("memseg"),
        names.count("in_domain"),
    ) == (4, 3)
    assert "in_domain" in (run / "bundle" / "report.html").read_text()
    provenance = bundle.load(run / "bundle").manifest.provenance
    assert provenance["stage_seconds"]["fine_tune"] > 0
    tuned = (run / "fine_tune" / "denoiser.safetensors").stat().st_mtime_ns

    again = _build(data, run, "--augment", "diffusion", "--n-aug", "5", "--set", "in_domain.strength=[0.5, 0.9]")
    assert again.exit_code == 0, (again.output, again.exception)
    assert _train_images(run) == ["in_domain"] * 5
    assert (run / "fine_tune" / "denoiser.safetensors").stat().st_mtime_ns == tuned


@pytest.mark.slow
def test_auto_searches_on_validation_and_trains_on_what_it_found(data, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "CANDIDATES", (4, 8))
    monkeypatch.setattr("trainer.augment.mix.CANDIDATES", (4, 8))
    run = tmp_path / "run"
    outcome = _build(data, run, "--augment", "memseg", "--n-aug", "auto")
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    chosen = json.loads((run / "mix" / "images.json").read_text())
    winner = [row for row in chosen["table"] if row["chosen"]]
    assert len(winner) == 1
    assert len(chosen["train"]) == winner[0]["n"]
    assert list(chosen["masks"]) == chosen["train"]
    assert all(Path(mask).is_file() for mask in chosen["masks"].values())


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (["augment.kind=none"], {}),
        (["augment.kind=memseg", "augment.n=9"], {"memseg": 9}),
        (["augment.kind=diffusion", "augment.n=9"], {"in_domain": 9}),
        (["augment.kind=in_and_out", "augment.n=9"], {"memseg": 5, "in_domain": 4}),
        (["augment.kind=in_and_out", "augment.n=10", "augment.share=0.2"], {"memseg": 8, "in_domain": 2}),
        (["augment.kind=in_and_out", "augment.n=10", "augment.share=1"], {"in_domain": 10}),
        (["augment.kind=in_and_out", "augment.n=auto"], {"memseg": 200, "in_domain": 200}),
        (
            ["augment.kind=in_and_out", "augment.n=2", "augment.generator=inpaint"],
            {"memseg": 1, "inpaint": 1},
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_how_many_of_each_kind(assignments, expected):
    assert generate.wanted(resolve("default", {}, assignments)) == expected


@pytest.mark.slow
def test_the_next_build_trains_on_what_a_person_accepted_and_not_on_what_was_rejected(data, tmp_path):
    run = tmp_path / "run"
    assert _build(data, run, "--augment", "diffusion", "--n-aug", "4").exit_code == 0
    records = json.loads((run / "generate" / "records.json").read_text())
    region = np.zeros((56, 40), np.uint8)
    region[20:40, 10:30] = 255
    with Studio(Painter("in_domain", open_run(run)), run, run / accepted.STORE) as studio:
        _settle(studio)
        studio.draw(Order(wanted=1, seed=5, prompt=None, normal=0, region=region, vary=False))
        _settle(studio)
    with ReviewStore(run / accepted.STORE) as store:
        LastBuild(run).refresh(store)
        drawn = [image for image in store.images() if image.batch is not None]
        built = [image for image in store.images() if image.path == f"generate/{records[1]['path']}"]
        store.judge(drawn[0].id, "accept")
        store.judge(built[0].id, "reject")
    assert _build(data, run, "--augment", "diffusion", "--n-aug", "4").exit_code == 0
    train = json.loads((run / "mix" / "images.json").read_text())["train"]
    assert str(run / drawn[0].path) in train
    assert str(run / "generate" / records[1]["path"]) not in train
    assert len(train) == 4


def _settle(studio: Studio) -> None:
    end = time.monotonic() + 120
    while studio.progress.state not in ("idle", "broken"):
        assert time.monotonic() < end, studio.progress
        time.sleep(0.02)
    assert studio.progress.state == "idle", studio.progress


def test_with_trained_features_the_gate_judges_and_the_report_shows_where_images_lie(data, tmp_path):
    """Weights that were trained on anything will do; here random ones, named as a file."""
    weights = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(heads={}, last="layer3"))
    save_file({k: v.contiguous() for k, v in network.backbone.state_dict().items()}, weights)
    samples = readers.read(data, "auto").samples
    recipe = resolve(
        "demo", {"augment.kind": "memseg", "augment.n": 3}, ["input.width=40", "input.height=56", "gate.visible=0"]
    )
    train = fine_tune.material(samples, recipe, str(weights))
    (tmp_path / "stage").mkdir()
    generate.work(train, None, recipe, None, tmp_path / "stage", Accelerator(cpu=True))
    found = generate.figures(tmp_path / "stage", recipe, None)
    assert found is not None and found.features is not None
    assert set(found.features) == {"real normal", "real defect", "memseg"}
    row = found.gate[0]
    assert row["generator"] == "memseg"
    assert row["kept"] >= 3
    assert row["drawn"] == sum(value for name, value in row.items() if name not in ("generator", "drawn"))
    records = json.loads((tmp_path / "stage" / "records.json").read_text())
    assert len(records) == row["kept"]
    assert all((tmp_path / "stage" / record["path"]).is_file() for record in records)
