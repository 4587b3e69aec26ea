"""What can be checked of the Dockerfiles without a container engine: their structure against this repository."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions(name: str) -> list[tuple[str, str]]:
    """`(INSTRUCTION, arguments)` of a Dockerfile, comments dropped and continued lines joined."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def arguments(name: str, instruction: str) -> list[str]:
    return [rest for found, rest in instructions(name) if found == instruction]


def ignored(path: str) -> bool:
    """Whether `.dockerignore`, which refuses all and lets some back in, keeps a top-level path out."""
    kept = {line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    return path not in kept


@pytest.fixture(params=["Dockerfile.train", "Dockerfile.edge"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_copies_only_what_exists_and_reaches_the_build(name: str) -> None:
    copied = [shlex.split(rest) for rest in arguments(name, "COPY")]
    sources = [source for words in copied if not words[0].startswith("--from=") for source in words[:-1]]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or ignored(source)] == []


def test_copies_every_package_and_every_file_the_metadata_names(name: str) -> None:
    copied = {word for rest in arguments(name, "COPY") for word in shlex.split(rest)}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert packages | {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_installs_a_real_extra_named_for_the_image(name: str) -> None:
    wanted = re.findall(r'pip install "\.\[([\w,-]+)\]"', " ".join(arguments(name, "RUN")))
    assert wanted == [name.partition(".")[2]]
    assert set(wanted) <= set(PROJECT["optional-dependencies"])


def test_last_stage_is_slim_and_not_root(name: str) -> None:
    stages = arguments(name, "FROM")
    assert len(stages) == 2 and all(stage.startswith("python:3.11-slim") for stage in stages)
    last = instructions(name)[max(index for index, (word, _) in enumerate(instructions(name)) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users and users[-1] not in ("root", "0")
    created = " ".join(rest for word, rest in last if word == "RUN")
    assert f"--uid {users[-1]} " in created
    assert [word for word, _ in last].index("USER") > max(i for i, (word, _) in enumerate(last) if word == "RUN")


def test_entry_point_is_a_console_script(name: str) -> None:
    (entry,) = arguments(name, "ENTRYPOINT")
    assert json.loads(entry)[0] in PROJECT["scripts"]


def test_the_edge_checks_its_bundle_and_brings_no_torch() -> None:
    (check,) = arguments("Dockerfile.edge", "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["inandout-inspect", "verify"]
    assert f"INANDOUT_BUNDLE={command[2]}" in " ".join(arguments("Dockerfile.edge", "ENV"))
    brought = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["edge"]]
    assert [found for found in brought if re.match(r"(torch|inandout)", found)] == []
