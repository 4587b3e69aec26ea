"""Scenario x augmentation x seed on frozen features: what do synthetic defects earn? Resumable cell by cell.

The screening protocol: the backbone's frozen layer3, whose features are computed once, and the default recipe's head
(batch normalisation, 1x1 convolution, top-k pooling) trained on them. Real training images count in their four
mirrorings. Choices are made by `--table dev`: the validation images and the training defects that the scenario hides,
because validation alone holds five defects of `ksdd_half`. Test scores are written for every cell and read by
`--table test` alone; nothing is chosen by them.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from paired import ap, difference, summary
from rich.console import Console

from inspector import imagefile, preprocess
from trainer.augment import Learner, Material, SyntheticImage, first_classifier, registry
from trainer.augment.features import Features
from trainer.augment.gate import Gate
from trainer.augment.in_domain.latents import mirrored
from trainer.augment.sheet import contact_sheet
from trainer.build import fine_tune, pools, splits
from trainer.data import readers
from trainer.data.newfolder import write_png
from trainer.data.split import group_near_duplicates
from trainer.recipe import Recipe, resolve

SIZES = {"ksdd_half": (200, 600), "magnetic_tile": (288, 224)}
SCENARIOS = ("zero_shot", "few_shot", "full_shot")
KINDS = ("none", "memseg", "in_domain", "in_and_out")
CONTROLS = ("strokes", "memseg+strokes")
_CONSOLE = Console(width=120, force_terminal=False)


class Grid:
    """One data set's cells, everything slow kept in `folder`."""

    def __init__(self, arguments: argparse.Namespace, data: str) -> None:
        self.arguments = arguments
        self.folder = arguments.output / data
        self.folder.mkdir(parents=True, exist_ok=True)
        self.samples = group_near_duplicates(readers.read(arguments.data / data, "auto").samples)
        self.data = data
        self._features: Features | None = None
        self._gate: tuple[tuple[str, int], Gate] | None = None

    @property
    def features(self) -> Features:
        if self._features is None:
            self._features = Features(self.arguments.weights)
        return self._features

    def recipe(self, scenario: str, seed: int, **more: object) -> Recipe:
        width, height = SIZES[self.data]
        fixed = {
            "scenario": scenario,
            "seed": seed,
            "input.width": width,
            "input.height": height,
            "augment.kind": "memseg",
            "in_domain.codec": self.arguments.codec,
        }
        return resolve("default", fixed | more, self.arguments.set)

    def divided(self, scenario: str, seed: int):
        """Splits of seed 0 for all; the seed draws which defects few_shot sees."""
        everything = splits.divide(self.samples, self.recipe("full_shot", 0))
        if scenario == "few_shot":
            return splits.split.few_shot(everything, 5, seed)
        return splits.split.zero_shot(everything) if scenario == "zero_shot" else everything

    def cached(self, name: str, images) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        if not path.is_file():
            begun = time.monotonic()
            np.save(path.with_suffix(".part.npy"), self.features.of(images()))
            path.with_suffix(".part.npy").replace(path)
            print(f"{self.data} features {name}: {time.monotonic() - begun:.0f} s", flush=True)
        return np.load(path, mmap_mode="r")

    def real(self, split: str, label: int | None, times: int) -> np.ndarray:
        """Features of the real images of a split, all defects of the training split."""
        chosen = [s for s in self.divided("full_shot", 0) if s.split == split and label in (None, s.label)]
        spec = self.recipe("full_shot", 0).input
        read = lambda: (preprocess.fit(imagefile.read(s.path), spec) for s in chosen)  # noqa: E731
        return self.cached(f"{split}_{label}_{times}", lambda: mirrored(read()) if times == 4 else read())

    def rows(self, scenario: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `real("train", 1, 4)`: defects that the scenario shows; unmirrored ones of groups that it hides."""
        every = _defects(self.divided("full_shot", 0))
        shown = {s.path for s in _defects(self.divided(scenario, seed))}
        groups = {s.group for s in every if s.path in shown and s.group}
        used = [4 * row + turn for row, s in enumerate(every) if s.path in shown for turn in range(4)]
        unseen = [4 * row for row, s in enumerate(every) if s.path not in shown and s.group not in groups]
        return np.array(used, int), np.array(unseen, int)

    def fitted(self, scenario: str, seed: int) -> Path:
        """The in-domain generator of a cell: zero_shot learns the surface, the others go on from there."""
        chosen = 0 if scenario != "few_shot" else seed
        folder = self.folder / f"model_{scenario}_{chosen}"
        if (folder / "denoiser.safetensors").is_file():
            return folder
        folder.mkdir(exist_ok=True)
        more: dict[str, object] = {"in_domain.steps": self.arguments.steps}
        if scenario != "zero_shot":
            start = self.fitted("zero_shot", 0)
            more = {
                "in_domain.start": str(start),
                "in_domain.steps": self.arguments.steps // (4 if scenario == "few_shot" else 2),
            }
        recipe = self.recipe(scenario, chosen, **more)
        material = fine_tune.material(self.divided(scenario, chosen), recipe, self.arguments.weights)
        begun = time.monotonic()
        registry.create("in_domain", material, recipe).fit(folder, Accelerator(cpu=True), _CONSOLE)  # type: ignore[attr-defined]
        print(f"{self.data} fit {scenario} {chosen}: {time.monotonic() - begun:.0f} s", flush=True)
        return folder

    def pool(self, generator: str, scenario: str, seed: int) -> np.ndarray:
        """Features of a cell's gated synthetic images."""
        folder = self.folder / f"pool_{generator}_{scenario}_{seed}"
        if not (folder / "done").is_file():
            recipe = self.recipe(scenario, seed)
            material = fine_tune.material(self.divided(scenario, seed), recipe, self.arguments.weights)
            gate = None if self.arguments.ungated else self.gate(scenario, seed, material)
            augmenter = registry.create(generator, material, recipe)
            if isinstance(augmenter, Learner):
                augmenter.load(self.fitted(scenario, seed), "cpu")
            begun = time.monotonic()
            pools.fill(augmenter, self.arguments.n, seed, folder, gate, recipe.gate.attempts)
            print(f"{self.data} pool {folder.name}: {time.monotonic() - begun:.0f} s", flush=True)
            (folder / "done").touch()
        spec = self.recipe(scenario, seed).input
        paths = pools.kept(folder, self.arguments.n)
        return self.cached(folder.name, lambda: (preprocess.fit(imagefile.read(path), spec) for path in paths))

    def gate(self, scenario: str, seed: int, material: Material) -> Gate:
        """The gate of a scenario and seed; the latest one is kept."""
        if self._gate is None or self._gate[0] != (scenario, seed):
            recipe = self.recipe(scenario, seed)
            imitation = list(registry.create("memseg", material, recipe).generate(60, seed + 1))
            self._gate = (scenario, seed), Gate.learn(material, self.features, recipe.gate, imitation)
        return self._gate[1]

    def cell(self, scenario: str, kind: str, seed: int) -> None:
        """Train and score one cell; skipped where its scores are there."""
        path = self.folder / f"cell_{scenario}_{kind}_{seed}.json"
        if path.is_file() or (scenario == "zero_shot" and kind == "none"):
            return
        good, bad = self.real("train", 0, 4), self.real("train", 1, 4)
        used, unseen = self.rows(scenario, seed)
        groups = [(bad[used], 1.0)] if len(used) else []
        n = self.arguments.n
        for generator, share in {
            "memseg": {"memseg": 1.0},
            "in_domain": {"in_domain": 1.0},
            "strokes": {"strokes": 1.0},
            "memseg+strokes": {"memseg": 0.5, "strokes": 0.5},
            "in_and_out": {"memseg": 0.5, "in_domain": 0.5},
        }.get(kind, {}).items():
            groups.append((self.pool(generator, scenario, seed)[: round(n * share)], share))
        head = first_classifier.train_head(good, groups, seed)
        row: dict[str, object] = {"scenario": scenario, "kind": kind, "seed": seed}
        for split in ("val", "test"):
            labels = [s.label for s in self.divided("full_shot", 0) if s.split == split]
            row[split] = {"labels": labels, "logits": _logits(head, self.real(split, None, 1))}
        hidden = _logits(head, bad[unseen]) if len(unseen) else []
        row["dev"] = {
            "labels": row["val"]["labels"] + [1] * len(hidden),  # type: ignore[index]
            "logits": row["val"]["logits"] + hidden,  # type: ignore[index]
        }
        path.write_text(json.dumps(row))
        print(f"{self.data} {scenario} {kind} {seed}: dev {ap(row['dev']):.4f}, val {ap(row['val']):.4f}", flush=True)

    def sheets(self) -> None:
        """Contact sheets of every pool, for people."""
        for folder in sorted(self.folder.glob("pool_*")):
            if not folder.is_dir():
                continue
            shown = []
            for path in pools.kept(folder, 16):
                mask = cv2.imread(str(path.with_name(f"{path.stem}_mask.png")), cv2.IMREAD_GRAYSCALE)
                picture = cv2.imread(str(path))[..., ::-1]
                shown.append(SyntheticImage(picture, mask, {}))
            write_png(self.folder / f"{folder.name}.png", contact_sheet(shown))


def _defects(samples) -> list:
    return [s for s in samples if s.split == "train" and s.label == 1]


def _logits(head, features: np.ndarray) -> list[float]:
    scores = first_classifier.pooled(first_classifier.apply(head, np.array(features)))
    return [round(float(score), 5) for score in scores]


def table(output: Path, split: str) -> None:
    """Mean (std) over seeds and a bootstrap interval; below it, In&Out's paired differences to the other kinds."""
    for folder in sorted(path for path in output.iterdir() if path.is_dir()):
        print(f"\n{folder.name}, {split} AP\n| scenario | " + " | ".join(KINDS + CONTROLS) + " |")
        print("|---|" + "---|" * len(KINDS + CONTROLS))
        pairs = []
        for scenario in SCENARIOS:
            cells = {kind: _cells(folder, scenario, kind, split) for kind in KINDS + CONTROLS}
            print(f"| {scenario} | " + " | ".join(summary(rows) if rows else "-" for rows in cells.values()) + " |")
            ours = cells["in_and_out"]
            pairs += [
                f"{scenario}: in_and_out - {kind} {difference(ours, rows)}"
                for kind, rows in cells.items()
                if kind != "in_and_out" and len(rows) == len(ours) > 0
            ]
        print("\n" + "\n".join(pairs))


def _cells(folder: Path, scenario: str, kind: str, split: str) -> list[dict]:
    return [json.loads(path.read_text())[split] for path in sorted(folder.glob(f"cell_{scenario}_{kind}_*.json"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ksdd_half and magnetic_tile")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/mix_grid"))
    parser.add_argument("--sets", nargs="+", default=list(SIZES))
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--ungated", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--table", choices=["dev", "val", "test"], help="print the table and stop")
    parser.add_argument("--sheets", action="store_true", help="draw contact sheets and stop")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.table:
        table(arguments.output, arguments.table)
        return
    for name in arguments.sets:
        grid = Grid(arguments, name)
        if arguments.sheets:
            grid.sheets()
            continue
        for seed in range(arguments.seeds):
            for scenario in arguments.scenarios:
                for kind in arguments.kinds:
                    grid.cell(scenario, kind, seed)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
