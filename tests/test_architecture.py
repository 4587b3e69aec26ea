"""The rules of the tree that no reviewer should have to watch: which package may import which, and what none may do."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("inspector", "calibration", "models", "trainer")
MAY_IMPORT = {
    "inspector": {"inspector"},
    "calibration": {"calibration", "inspector"},
    "models": {"models"},
    "trainer": {"trainer", "models", "calibration", "inspector"},
}
NOT_ON_THE_EDGE = {"torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "safetensors"}
EXECUTES_WHAT_IT_READS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
SLOW_TO_IMPORT = {"torch", "torchvision", "cv2", "sklearn", "scipy", "matplotlib", "onnxruntime", "onnx", "jinja2"}

FILES = [path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """`(line, top-level package)` of every import, wherever it stands; also of `import_module("...")`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # a relative import cannot leave the package
            yield node.lineno, (node.module or "").partition(".")[0] if node.level == 0 else path.parts[0]
        elif isinstance(node, ast.Call) and called(node) in ("importlib.import_module", "import_module", "require"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value.partition(".")[0]


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def each_file(*packages: str) -> pytest.MarkDecorator:
    chosen = [path for path in FILES if path.parts[0] in (packages or PACKAGES)]
    assert chosen
    return pytest.mark.parametrize("path", chosen, ids=str)


@each_file()
def test_imports_follow_the_arrows(path: Path) -> None:
    allowed = MAY_IMPORT[path.parts[0]]
    wrong = [f"line {line}: {name}" for line, name in imported(path) if name in PACKAGES and name not in allowed]
    assert wrong == []


@each_file("inspector", "calibration")
def test_the_edge_never_imports_torch(path: Path) -> None:
    assert [f"line {line}: {name}" for line, name in imported(path) if name in NOT_ON_THE_EDGE] == []


@each_file()
def test_nothing_read_from_a_file_is_executed(path: Path) -> None:
    wrong = [f"line {line}: {name}" for line, name in imported(path) if name in EXECUTES_WHAT_IT_READS]
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called(node) == "torch.load" and given.get("weights_only") != "True":
            wrong.append(f"line {node.lineno}: torch.load without weights_only=True")
        if given.get("allow_pickle", "False") != "False":
            wrong.append(f"line {node.lineno}: {called(node)} with allow_pickle")
        if called(node) in ("eval", "exec", "yaml.load", "yaml.unsafe_load"):
            wrong.append(f"line {node.lineno}: {called(node)}")
    assert wrong == []


@each_file()
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert (ast.get_docstring(tree(path)) or "").strip()


@each_file()
def test_no_file_is_named_for_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not path.stem.endswith(("_utils", "_helpers", "_v2"))


def test_every_file_of_a_package_is_packaged() -> None:
    """Templates, styles and recipes reach an installed copy, not only a checkout."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    others = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert others
    assert [str(path) for path in others if not any(fnmatch(path.name, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("module", ["trainer.cli", "inspector.cli", "calibration.cli"])
def test_a_command_line_answers_before_it_imports_anything_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({SLOW_TO_IMPORT!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
