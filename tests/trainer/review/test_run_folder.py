"""Which folders can be reviewed, and the command that builds them again."""

import json
import shlex
import shutil

import pytest

from inspector.errors import InandoutError
from trainer.recipe import resolve
from trainer.review.run_folder import open_run, recipe_file
from trainer.review.server import default_target


def test_what_a_run_tells(run):
    found = open_run(run.path)
    assert list(found.normals) == run.normals
    assert [path.name for path in found.defects] == ["06.png", "07.png"]
    material = found.material()
    assert (material.scenario, material.spec.width, material.weights) == ("full_shot", 32, "none")


def test_the_next_builds_command_gives_the_same_recipe(run):
    words = shlex.split(open_run(run.path).next_build())
    assert words[:2] == ["inandout-train", "build"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given.keys() == {"--data", "--output", "--recipe"}
    assert given["--data"] == str(run.normals[0].parent)
    assert resolve(given["--recipe"], {}) == open_run(run.path).recipe


def test_an_older_build_tells_its_recipe_through_its_bundle(run, tiny):
    document = json.loads((run.path / "recipe.json").read_text())
    bundle = tiny.make(run.path / "bundle")
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    manifest["provenance"] = {"recipe": document, "weights": "imagenet"}
    (bundle.folder / "manifest.json").write_text(json.dumps(manifest))
    expected = open_run(run.path)
    (run.path / "recipe.json").unlink()
    found = open_run(run.path)
    assert found.recipe == expected.recipe and found.weights == "imagenet"
    assert recipe_file(run.path) == run.path / "review" / "recipe.json"
    assert resolve(str(recipe_file(run.path)), {}) == found.recipe
    assert found.next_build().endswith(f"--recipe {run.path}/review/recipe.json --weights imagenet")


def damage(run, what: str) -> None:
    if what == "nothing there":
        shutil.rmtree(run.path)
    elif what == "no recipe":
        (run.path / "recipe.json").unlink()
    elif what == "no split":
        shutil.rmtree(run.path / "split")
    elif what == "recipe not JSON":
        (run.path / "recipe.json").write_text("{")
    elif what == "another release":
        (run.path / "recipe.json").write_text('{"wheels": 4}')
    elif what == "images moved":
        shutil.move(run.normals[3], run.path / "elsewhere.png")
    elif what == "broken bundle":
        (run.path / "recipe.json").unlink()
        (run.path / "bundle").mkdir()
        (run.path / "bundle" / "manifest.json").write_text("{}")
    else:
        rows = json.loads((run.path / "split" / "samples.json").read_text())
        (run.path / "split" / "samples.json").write_text(json.dumps([row for row in rows if row["label"]]))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nothing there", "no run at .*: make one with 'inandout-train build --output"),
        ("no recipe", "is not the run of a build"),
        ("no split", "has not split its images yet"),
        ("recipe not JSON", r"cannot read .*recipe\.json"),
        ("another release", "was built by another release"),
        ("images moved", r"03\.png of the training split is gone"),
        ("no good image", "holds no good image to draw on"),
        ("broken bundle", r"manifest\.json"),
    ],
)
def test_folders_that_cannot_be_reviewed(run, what, says):
    damage(run, what)
    with pytest.raises(InandoutError, match=says) as refusal:
        open_run(run.path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "generator", "target"),
    [
        pytest.param(["augment.kind=memseg", "augment.n=40"], "memseg", 40, id="memseg"),
        pytest.param(["augment.kind=none"], "memseg", 100, id="none"),
        pytest.param(["augment.kind=diffusion", "augment.generator=inpaint"], "inpaint", 100, id="diffusion"),
        pytest.param(["augment.kind=in_and_out", "augment.n=auto"], "in_domain", 100, id="number left open"),
        pytest.param(["augment.n=0"], "memseg", 100, id="no synthetic defects"),
    ],
)
def test_defaults_come_from_the_builds_recipe(make_run, settings, generator, target):
    found = open_run(make_run(resolve("default", {}, settings)).path)
    assert (found.default_generator(), default_target(found)) == (generator, target)
