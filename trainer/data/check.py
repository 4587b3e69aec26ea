"""Say what would spoil a build of a data set, and what to do about it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trainer.data import leaks
from trainer.data.leaks import Leak
from trainer.data.samples import DataSet, Sample, Split
from trainer.data.survey import Facts, survey

Severity = Literal["error", "warning", "note"]
Kind = Literal["unreadable", "mask", "contradiction", "classes", "duplicate", "leak", "mixed", "few defects"]

_FEW = 10
_UNMARKED = 0.05
_STRETCH = 1.25


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing.

    Attributes:
        severity: an `error` spoils a build, a `warning` may, a `note` does not.
        kind: what sort of thing.
        message: what is wrong, and where; paths are relative to the data set's root.
        advice: what to do, empty for a note.
        path: the file, or one of the files, or None.
    """

    severity: Severity
    kind: Kind
    message: str
    advice: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Counts of one split (`""`: not assigned)."""

    split: Split
    good: int
    defect: int
    masks: int
    groups: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found: counts a split, findings by severity, and every image whose part is in an earlier split."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    leaks: tuple[Leak, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that spoil a build."""
        return [finding for finding in self.findings if finding.severity == "error"]


def check(dataset: DataSet, tick: Callable[[], None] = lambda: None) -> CheckReport:
    """Decode every image and mask once and compare all images with one another.

    Works on sets of any size: per image 1 KiB is kept.

    Args:
        dataset: as read; splits may be open.
        tick: called once a sample, for a progress bar.
    """
    facts, hashes = survey(dataset.samples, tick)
    good = [i for i, fact in enumerate(facts) if not fact.problem]
    samples, readable = [dataset.samples[i] for i in good], [facts[i] for i in good]
    pairs, repeated = leaks.find(samples, hashes[good], [fact.content for fact in readable])
    findings = [
        *_unreadable(dataset.samples, facts),
        *_contradictions(samples, readable),
        *_classes(dataset.samples),
        *_identical(samples, readable),
        *_straddling(dataset.samples),
        *_alike(dataset.samples, pairs, repeated),
        *_mixed(readable),
    ]
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.severity))
    findings = [replace(f, message=f.message.replace(f"{dataset.root}/", "")) for f in findings]
    return CheckReport(tuple(_rows(dataset.samples)), tuple(findings), tuple(pairs))


def shuffled(dataset: DataSet, seed: int) -> DataSet:
    """The set with a purely random 60/20/20 split and no groups, to see what such a split would leak."""
    splits: list[Split] = ["train", "train", "train", "val", "test"]
    order = np.random.default_rng(seed).permutation(len(dataset.samples))
    drawn = [replace(s, split=splits[k % 5], group="") for s, k in zip(dataset.samples, order.tolist(), strict=True)]
    return replace(dataset, samples=tuple(drawn))


def _rows(samples: Sequence[Sample]) -> Iterator[Row]:
    splits: tuple[Split, ...] = ("train", "val", "test", "")
    for split in splits:
        inside = [s for s in samples if s.split == split]
        if inside:
            defects = sum(s.label for s in inside)
            masks = sum(s.mask is not None for s in inside)
            yield Row(split, len(inside) - defects, defects, masks, len({s.group for s in inside if s.group}))


def _unreadable(samples: Sequence[Sample], facts: Sequence[Facts]) -> Iterator[Finding]:
    for sample, fact in zip(samples, facts, strict=True):
        if fact.problem:
            yield Finding("error", "unreadable", fact.problem, "replace the file or take it out", sample.path)
        if fact.mask_problem:
            yield Finding("error", "mask", fact.mask_problem, "replace the mask or take it out", sample.mask)


def _contradictions(samples: Sequence[Sample], facts: Sequence[Facts]) -> Iterator[Finding]:
    checked = list(zip(samples, facts, strict=True))
    advice = "correct the label or the mask"
    for sample, fact in checked:
        if sample.label == 0 and fact.mask == "marked":
            message = f"{sample.path} is labelled good, but its mask {sample.mask} marks a defect"
            yield Finding("error", "contradiction", message, advice, sample.path)
    empty = [sample for sample, fact in checked if sample.label == 1 and fact.mask == "empty"]
    # One forgotten mask in many costs nothing, as labels alone train a classifier; many mean a wrong folder or label.
    severity: Severity = "error" if len(empty) > _UNMARKED * sum(s.label for s in samples) else "warning"
    for sample in empty:
        message = f"{sample.path} is labelled defect, but its mask {sample.mask} is empty"
        yield Finding(severity, "contradiction", message, advice, sample.path)


def _classes(samples: Sequence[Sample]) -> Iterator[Finding]:
    rows = list(_rows(samples))
    if not any(row.good for row in rows):
        yield Finding("error", "classes", "there are no good images", "add good images: every build needs them")
    if not any(row.defect for row in rows):
        advice = "add defect images; without any, only a zero_shot build works, and nothing real measures it"
        yield Finding("error", "classes", "there are no defect images", advice)
        return
    given = {row.split: row for row in rows if row.split}
    for split, row in given.items():
        if not row.good and any(r.good for r in rows):
            severity: Severity = "error" if split == "train" else "warning"
            yield Finding(severity, "classes", f"{split} has no good images", f"move some into {split}")
        if not row.defect and split == "train" and "" not in {r.split for r in rows}:
            advice = "build with --scenario zero_shot, or move some into train"
            yield Finding("warning", "classes", "train has no defect images", advice)
        elif not row.defect and split != "train":
            advice = f"move some into {split}: without them it measures nothing"
            yield Finding("warning", "classes", f"{split} has no defect images", advice)
    for row in rows:
        if 0 < row.defect < _FEW:
            where = row.split or "the set"
            message = f"{where} has {row.defect} defect image{'s' if row.defect > 1 else ''}"
            yield Finding("warning", "few defects", message, f"add more: with under {_FEW}, figures are rough")


def _identical(samples: Sequence[Sample], facts: Sequence[Facts]) -> Iterator[Finding]:
    copies: dict[bytes, list[Sample]] = defaultdict(list)
    for sample, fact in zip(samples, facts, strict=True):
        copies[fact.content].append(sample)
    for same in copies.values():
        if len(same) == 1:
            continue
        splits = sorted({s.split for s in same if s.split})
        files = _listing([str(s.path) for s in same])
        if len({s.label for s in same}) > 1:
            message = f"the same pixels are labelled good and defect: {files}"
            yield Finding("error", "contradiction", message, "correct the label, delete the copies", same[0].path)
        if len(splits) > 1:
            message = f"the same pixels are in {' and '.join(splits)}: {files}"
            yield Finding("error", "leak", message, "delete all but one copy", same[0].path)
        else:
            yield Finding("note", "duplicate", f"{len(same)} files hold the same pixels: {files}", path=same[0].path)


def _straddling(samples: Sequence[Sample]) -> Iterator[Finding]:
    splits: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.group and sample.split:
            splits[sample.group].add(sample.split)
    torn = [f"{group} ({', '.join(sorted(inside))})" for group, inside in sorted(splits.items()) if len(inside) > 1]
    if torn:
        message = f"{len(torn)} of {len(splits)} groups have images in several splits: {_listing(torn)}"
        yield Finding("error", "leak", message, "put each group into one split, or leave the split column empty")


def _alike(samples: Sequence[Sample], pairs: Sequence[Leak], repeated: np.ndarray) -> Iterator[Finding]:
    totals = Counter(sample.split for sample in samples)
    kinds: dict[tuple[Split, Split, bool], list[Leak]] = defaultdict(list)
    for pair in pairs:
        if not pair.sample.group or pair.sample.group != pair.match.group:  # else the group itself is reported
            kinds[pair.sample.split, pair.match.split, pair.denied].append(pair)
    for (later, earlier, denied), found in kinds.items():
        examples = [f"{p.sample.path} and {p.match.path} ({p.similarity:.2f})" for p in found]
        message = (
            f"{len(found)} of {totals[later]} {later} images show the same part as a {earlier} image"
            f"{', though their groups differ' if denied else ''}: {_listing(examples)}"
        )
        advice = (
            f"look at the pairs; if they are the same part, the groups are wrong and figures on {later} flatter"
            if denied
            else "leave the splits open, so that a build keeps such images together, or move them into one split"
        )
        yield Finding("warning" if denied else "error", "leak", message, advice, found[0].sample.path)
    if repeated.any():
        message = f"{int(repeated.sum())} images show the same part as another one of their split"
        yield Finding("note", "duplicate", message)


def _mixed(facts: Sequence[Facts]) -> Iterator[Finding]:
    for name, counts in (
        ("bit depths", Counter(f"{fact.bits} bit" for fact in facts)),
        ("colour and mono images", Counter("mono" if fact.channels == 1 else "colour" for fact in facts)),
    ):
        if len(counts) > 1:
            parts = ", ".join(f"{n} {what}" for what, n in counts.most_common())
            advice = "record all images alike: a model may learn the format instead of the defect"
            yield Finding("warning", "mixed", f"mixed {name}: {parts}", advice)
    if not facts:
        return
    widths, heights = [f.width for f in facts], [f.height for f in facts]
    aspects = [f.width / f.height for f in facts]
    sizes = f"{min(widths)}-{max(widths)} x {min(heights)}-{max(heights)} pixels"
    if max(aspects) > _STRETCH * min(aspects):
        message = f"mixed aspect ratios, {min(aspects):.2f} to {max(aspects):.2f} ({sizes})"
        yield Finding("warning", "mixed", message, "a build resizes all to one shape: crop them alike if that distorts")
    elif max(widths) > min(widths) or max(heights) > min(heights):
        yield Finding("note", "mixed", f"mixed sizes, {sizes}")


def _listing(items: Sequence[str], shown: int = 3) -> str:
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")
