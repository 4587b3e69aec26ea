"""Evidence by evidence on frozen features: plain, + dense, + memory, + generation. Resumable cell by cell.

The screening protocol: the backbone's frozen layer2 and layer3, computed once; on them the product's own heads, loss,
memory and fusion. Real training images count in their four mirrorings, half of the images of a step are good ones, and
of its defects as many are real as the recipe's `synthetic_worth` says. Synthetic defects (MemSeg and painted strokes,
gated) come from one pool a set; each seed trains on other ones, other few-shot defects and other starting weights.
Choices are made by `--table dev`: validation images whose part is not in training, and the training defects that the
scenario hides. Test scores are written for every cell and read by `--table test` alone.
"""

import argparse
import csv
import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from paired import ap, difference, summary
from torch import nn

from inspector import imagefile, preprocess
from models import weights
from models.classifier import Classifier, ClassifierConfig
from models.head import CHANNELS, DENSE, PLAIN, Disturbance, Head
from models.memory import MemoryConfig
from models.network import MEMORY, Fusion
from models.pooling import pool
from trainer import classify, fusion, heads, patch_memory, pixel_truth
from trainer.augment import registry
from trainer.augment.features import Features
from trainer.augment.gate import Gate
from trainer.build import fine_tune, pools, splits
from trainer.build.network import training_task
from trainer.data import readers
from trainer.data.split import group_near_duplicates
from trainer.optimisation import learning_rate, make_optimiser, narrow_pooling
from trainer.recipe import Recipe, resolve
from trainer.training_set import fitted_mask, real_share

SIZES = {"ksdd_half": (200, 600), "magnetic_tile": (224, 288)}
SCENARIOS = ("zero_shot", "few_shot", "full_shot")
LEVELS = ("layer2", "layer3")
ARMS = ("real", "generated")
EVIDENCE = (PLAIN, DENSE, MEMORY)
HALF = 6


class OnFeatures(nn.Module):
    """The heads alone: rows of stored features in, evidence out."""

    def __init__(self, bank: Sequence[dict[str, np.ndarray]], recipe: Recipe) -> None:
        super().__init__()
        self.bank = bank
        self.heads = nn.ModuleDict({name: Head(head) for name, head in heads.trained(recipe).items()})

    def forward(self, rows: torch.Tensor, disturbance: Disturbance | None = None):
        """`rows (N, 2)`: which store, which of its images."""
        stages = {
            level: torch.from_numpy(np.stack([self.bank[store][level][row] for store, row in rows.tolist()])).float()
            for level in LEVELS
        }
        return {name: head(stages, disturbance if name == DENSE else None) for name, head in self.heads.items()}


class Bench:
    """One data set's cells, everything slow kept in `folder`."""

    def __init__(self, arguments: argparse.Namespace, data: str) -> None:
        self.arguments, self.data = arguments, data
        self.folder = arguments.output / data
        self.folder.mkdir(parents=True, exist_ok=True)
        found = group_near_duplicates(readers.read(arguments.data / data, "auto").samples)
        self.samples = splits.divide(found, self.recipe("full_shot", 0))
        self.leaks = _leaks(arguments.pairs, self.samples)

    def recipe(self, scenario: str, seed: int) -> Recipe:
        width, height = SIZES[self.data]
        fixed = {
            "scenario": scenario,
            "seed": seed,
            "input.width": width,
            "input.height": height,
            "augment.kind": "in_and_out",
            "augment.generator": "strokes",
            "model.head": "fused",
            "train.epochs": 1,
        }
        return resolve("default", fixed, self.arguments.set)

    def of(self, split: str, label: int | None = None) -> list:
        """The real images of a split, all defects of the training split."""
        return [sample for sample in self.samples if sample.split == split and label in (None, sample.label)]

    def real(self, split: str, label: int | None = None) -> dict[str, np.ndarray]:
        """Features of `of(split, label)`; training images in four mirrorings, one after the other."""
        spec = self.recipe("full_shot", 0).input
        turns = 4 if split == "train" else 1

        def images():
            for sample in self.of(split, label):
                part = preprocess.fit(imagefile.read(sample.path), spec)
                yield from (part, part[:, ::-1], part[::-1], part[::-1, ::-1])[:turns]

        return self.stored(f"{split}_{'all' if label is None else label}", images)

    def stored(self, name: str, images) -> dict[str, np.ndarray]:
        paths = {level: self.folder / f"{name}_{level}.npy" for level in LEVELS}
        if not all(path.is_file() for path in paths.values()):
            begun = time.monotonic()
            for level, maps in self.computed(images()).items():
                np.save(paths[level], maps)
            print(f"{self.data} features {name}: {time.monotonic() - begun:.0f} s", flush=True)
        return {level: np.load(path, mmap_mode="r") for level, path in paths.items()}

    @torch.inference_mode()
    def computed(self, images) -> dict[str, np.ndarray]:
        start = weights.read(Path(self.arguments.weights))
        net = Classifier(ClassifierConfig(heads={}, last=LEVELS[-1], stride_on=start.stride_on))
        weights.load(net.backbone, start)
        net = net.to(memory_format=torch.channels_last).eval()
        parts: dict[str, list[np.ndarray]] = {level: [] for level in LEVELS}
        images = list(images)
        for first in range(0, len(images), 16):
            stages = net.stages(torch.from_numpy(np.stack(images[first : first + 16])))
            for level in LEVELS:
                parts[level].append(stages[level].half().numpy())
        return {level: np.concatenate(maps) for level, maps in parts.items()}

    def synthetic(self, generator: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Features of the gated pool and the truth of its cells."""
        folder, recipe = self.folder / f"pool_{generator}", self.recipe("zero_shot", 0)
        if not (folder / "done").is_file():
            material = fine_tune.material(self.of("train"), recipe, self.arguments.weights)
            imitation = list(registry.create("memseg", material, recipe).generate(60, 1))
            gate = Gate.learn(material, Features(self.arguments.weights), recipe.gate, imitation)
            augmenter = registry.create(generator, material, recipe)
            pools.fill(augmenter, self.arguments.pool, 0, folder, gate, recipe.gate.attempts)
            (folder / "done").touch()
        paths = pools.kept(folder, self.arguments.pool)
        spec = recipe.input
        masks = [fitted_mask(pools.mask_of(path), spec) for path in paths]
        truth = np.stack([pixel_truth.cells(mask, spec.height, spec.width, False) for mask in masks])
        fitted = (preprocess.fit(imagefile.read(path), spec) for path in paths)
        return self.stored(f"pool_{generator}", lambda: fitted), truth

    def shown(self, scenario: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the training defects that the scenario shows, and of those of other groups, which it hides."""
        every = self.of("train", 1)
        kept = {s.path for s in splits.restrict(self.samples, self.recipe(scenario, seed)) if s.split == "train"}
        groups = {s.group for s in every if s.path in kept and s.group}
        inside = [number for number, s in enumerate(every) if s.path in kept]
        hidden = [n for n, s in enumerate(every) if s.path not in kept and s.group not in groups]
        return np.array(inside, int), np.array(hidden, int)

    def train(self, scenario: str, arm: str, seed: int) -> OnFeatures:
        """The heads plain and dense on features; `generated` adds synthetic defects and noise."""
        recipe = self.recipe(scenario, seed)
        rng = np.random.default_rng([seed, 7])
        inside, _ = self.shown(scenario, seed)
        bank = [self.real("train", 0), self.real("train", 1)]
        grid = [-(-side // pixel_truth.STRIDE) for side in (recipe.input.height, recipe.input.width)]
        truths = [np.full(grid, pixel_truth.GOOD, np.uint8), np.full(grid, pixel_truth.UNKNOWN, np.uint8)]
        real = np.array([[1, 4 * number + turn] for number in inside for turn in range(4)])
        drawn: list[tuple[int, int]] = []
        told = {}
        if arm == "generated":
            for store, generator in enumerate(("memseg", "strokes"), start=2):
                features, truth = self.synthetic(generator)
                bank.append(features)
                chosen = rng.permutation(len(truth))[: self.arguments.n // 2]
                drawn += [(store, int(row)) for row in chosen]
                told[store] = truth
        torch.manual_seed(seed)
        model = OnFeatures(bank, recipe).train()
        optimiser = make_optimiser(model, recipe.train, [])  # type: ignore[arg-type]
        task = training_task(recipe, [], [], [])
        if arm != "generated":
            task = dataclasses.replace(task, noise=0.0)
        state = {"step": 0, "micro_batch": 2 * HALF}
        steps = self.arguments.steps
        accelerator = Accelerator(cpu=True)
        good = len(bank[0]["layer3"])
        share = real_share(len(inside), recipe.train.synthetic_worth or 0.0) if len(inside) else 0.0
        for number in range(steps):
            rows = [(0, int(row)) for row in rng.integers(good, size=HALF)]
            for _ in range(HALF):
                kind = real if len(real) and (not drawn or rng.random() < share) else drawn
                rows.append(tuple(kind[rng.integers(len(kind))]))
            cells = [told[store][row] if store in told else truths[store] for store, row in rows]
            batch = classify.Batch(
                torch.tensor(np.array(rows)),
                torch.tensor([0.0] * HALF + [1.0] * HALF),
                torch.from_numpy(np.stack(cells)),
            )
            rate = learning_rate(recipe.train, number, steps)
            narrow_pooling(model, recipe.train, number / steps)  # type: ignore[arg-type]
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]
            classify.step(model, optimiser, batch, state, accelerator, task)
            state["step"] += 1
        return model.eval()

    def memory(self, seed: int) -> dict[str, list[float]]:
        """Distances of validation, hidden and test images; kept, as no scenario and no arm changes them."""
        path = self.folder / f"memory_{seed}.json"
        if path.is_file():
            return json.loads(path.read_text())
        recipe, begun = self.recipe("zero_shot", seed), time.monotonic()
        good = self.real("train", 0)
        section = recipe.memory
        config = MemoryConfig(section.levels, tuple(CHANNELS[level] for level in section.levels), section.grid)
        stride = weights.read(Path(self.arguments.weights)).stride_on
        backbone = Classifier(ClassifierConfig(heads={}, last=LEVELS[-1], stride_on=stride)).backbone
        patches = patch_memory.affordable_patches(backbone, recipe.input.height, recipe.input.width, config)
        limited = MemoryConfig(config.levels, config.channels, config.grid, patches=min(section.patches, patches))
        turns = _unmirrored("train", good)
        batches = [turns[first : first + 16] for first in range(0, len(turns), 16)]
        made = patch_memory.build(
            lambda: ([np.array(good[level][rows]) for level in section.levels] for rows in batches), limited, seed
        )
        found = {}
        for split, label in (("val", None), ("train", 1), ("test", None)):
            maps, scores = self.real(split, label), []
            rows = _unmirrored(split, maps)
            for first in range(0, len(rows), 16):
                chosen = rows[first : first + 16]
                levels = [torch.from_numpy(np.array(maps[level][chosen])).float() for level in section.levels]
                with torch.inference_mode():
                    scores += pool(made(levels), "topk", 1.0, 0.05).tolist()
            found[split] = scores
        path.write_text(json.dumps(found))
        print(f"{self.data} memory {seed}: {made.config.patches} patches, {time.monotonic() - begun:.0f} s", flush=True)
        return found

    def cell(self, scenario: str, arm: str, seed: int) -> None:
        """Train and score one cell; skipped where its scores are there."""
        path = self.folder / f"cell_{scenario}_{arm}_{seed}.json"
        if path.is_file() or (scenario == "zero_shot" and arm == "real"):
            return
        begun = time.monotonic()
        model = self.train(scenario, arm, seed)
        _, hidden = self.shown(scenario, seed)
        remembered = self.memory(seed)
        row: dict[str, object] = {"scenario": scenario, "arm": arm, "seed": seed}
        for split, label in (("val", None), ("train", 1), ("test", None)):
            maps = self.real(split, label)
            found = _logits(model, maps, _unmirrored(split, maps)) | {MEMORY: remembered[split]}
            if split == "train":
                found = {name: [logits[number] for number in hidden] for name, logits in found.items()}
            row["hidden" if split == "train" else split] = {
                "labels": [s.label for s in self.of(split)] if split != "train" else [1] * len(hidden),
                **found,
            }
        row["leaks"] = self.leaks
        path.write_text(json.dumps(row))
        dev = {name: ap(_dev(row, [name])) for name in EVIDENCE}
        told = ", ".join(f"{name} {value:.3f}" for name, value in dev.items())
        print(f"{self.data} {scenario} {arm} {seed}: dev {told}; {time.monotonic() - begun:.0f} s", flush=True)


def _unmirrored(split: str, maps: dict[str, np.ndarray]) -> list[int]:
    """Rows of `Bench.real` that show an image as it is."""
    return list(range(0, len(maps["layer3"]), 4 if split == "train" else 1))


def _leaks(pairs: Path | None, samples) -> list[int]:
    """Numbers of the validation images whose part is in training, by `data check --pairs`."""
    if pairs is None:
        return []
    with pairs.open() as file:
        leaking = {Path(row["path"]).name for row in csv.DictReader(file) if row["split"] == "val"}
    validation = [sample for sample in samples if sample.split == "val"]
    return [number for number, sample in enumerate(validation) if sample.path.name in leaking]


@torch.inference_mode()
def _logits(model: OnFeatures, maps: dict[str, np.ndarray], rows: list[int]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in model.heads}
    for first in range(0, len(rows), 16):
        stages = {level: torch.from_numpy(np.array(maps[level][rows[first : first + 16]])).float() for level in LEVELS}
        for name, head in model.heads.items():
            found[name] += [round(float(value), 5) for value in head(stages)[0]]
    return found


def _evidence(row: dict, split: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: np.array(row[split][name]) for name in names}


def _fused(row: dict, names: Sequence[str]) -> Fusion:
    """The sum that validation favours among those of the named evidence, as a build with head `auto` takes it."""
    return fusion.choose(_evidence(row, "val", names), np.array(row["val"]["labels"]), fusion.sums(names)).fusion


def _test(row: dict, names: Sequence[str]) -> dict:
    logits = fusion.fused(_fused(row, names), _evidence(row, "test", names))
    return {"labels": row["test"]["labels"], "logits": logits.tolist()}


def _dev(row: dict, names: Sequence[str]) -> dict:
    found = _fused(row, names)
    clean = [number for number in range(len(row["val"]["labels"])) if number not in set(row["leaks"])]
    logits = fusion.fused(found, _evidence(row, "val", names))[clean].tolist()
    labels = [row["val"]["labels"][number] for number in clean]
    if row["hidden"]["labels"]:
        logits += fusion.fused(found, _evidence(row, "hidden", names)).tolist()
    return {"labels": labels + row["hidden"]["labels"], "logits": logits}


STEPS = {
    "plain": ("real", (PLAIN,)),
    "+ dense": ("real", (PLAIN, DENSE)),
    "+ memory": ("real", EVIDENCE),
    "+ generation": ("generated", EVIDENCE),
    "generation if val. favours it": ("chosen", EVIDENCE),
    "plain, generated": ("generated", (PLAIN,)),
    "dense alone, generated": ("generated", (DENSE,)),
    "dense alone": ("real", (DENSE,)),
    "memory alone": ("generated", (MEMORY,)),
    "dense + memory, generated": ("generated", (DENSE, MEMORY)),
}


def _chosen(rows: Sequence[dict]) -> dict:
    """Of the same seed's cells, the one whose sum validation favours."""

    def cost(row: dict) -> float:
        logits = fusion.fused(_fused(row, EVIDENCE), _evidence(row, "val", EVIDENCE))
        return fusion.cost(logits, np.array(row["val"]["labels"]))

    return min(rows, key=cost)


def _rows(folder: Path, scenario: str, arm: str) -> list[dict]:
    """The cells of all seeds; `chosen` takes each seed's better arm by validation."""
    if arm != "chosen":
        return [json.loads(path.read_text()) for path in sorted(folder.glob(f"cell_{scenario}_{arm}_*.json"))]
    seeds = zip(*(_rows(folder, scenario, one) for one in ARMS), strict=False)
    return [_chosen(rows) for rows in seeds]


def table(output: Path, split: str) -> None:
    """Mean (std) over seeds and a bootstrap interval of each step; below it the paired difference to the one before."""
    read = _test if split == "test" else _dev
    for folder in sorted(path for path in output.iterdir() if path.is_dir()):
        print(f"\n{folder.name}, {split} AP")
        for scenario in SCENARIOS:
            before = None
            for name, (arm, names) in STEPS.items():
                scored = [read(row, names) for row in _rows(folder, scenario, arm)]
                if not scored:
                    continue
                gain = f"  {difference(scored, before)}" if before and len(before) == len(scored) else ""
                print(f"{scenario:10} {name:30} {summary(scored)} n={len(scored)}{gain}", flush=True)
                before = scored if name.startswith(("plain", "+")) and "," not in name else None


def types(arguments: argparse.Namespace) -> None:
    """Test AP of each defect type against all good images, mean over seeds; of sets that name their defects."""
    for data in arguments.sets:
        bench = Bench(arguments, data)
        named = np.array([sample.defect_type if sample.label else "" for sample in bench.of("test")])
        kinds = sorted(set(named) - {""})
        if len(kinds) < 2:
            continue
        print(f"\n{data}, test AP by defect type\n{'':41} " + " ".join(f"{kind:>10}" for kind in kinds))
        for scenario in SCENARIOS:
            for name, (arm, names) in STEPS.items():
                scored = [_test(row, names) for row in _rows(bench.folder, scenario, arm)]
                means = []
                for kind in kinds:
                    chosen = np.flatnonzero((named == "") | (named == kind))
                    kept = [
                        {"labels": np.array(one["labels"])[chosen], "logits": np.array(one["logits"])[chosen]}
                        for one in scored
                    ]
                    means.append(np.mean([ap(one) for one in kept]) if kept else np.nan)
                if scored:
                    print(f"{scenario:10} {name:30} " + " ".join(f"{value:10.3f}" for value in means), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ksdd_half and magnetic_tile")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--pairs", type=Path, help="of `data check --pairs`: leaks are left out of dev")
    parser.add_argument("--output", type=Path, default=Path("runs/heads"))
    parser.add_argument("--sets", nargs="+", default=list(SIZES))
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pool", type=int, default=300, help="gated images of each generator")
    parser.add_argument("--n", type=int, default=400, help="of them, in a seed's training")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--table", choices=["dev", "test", "types"], help="print the table and stop")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.table == "types":
        types(arguments)
        return
    if arguments.table:
        table(arguments.output, arguments.table)
        return
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            bench = Bench(arguments, name)
            for scenario in arguments.scenarios:
                for arm in arguments.arms:
                    bench.cell(scenario, arm, seed)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
