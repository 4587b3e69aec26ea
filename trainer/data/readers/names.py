"""The words people use for good, defect and the splits, in folder names and manifests."""

from typing import cast

from trainer.data.samples import Split

GOOD = frozenset({"good", "ok", "normal", "free", "pass", "negative", "defect_free"})
DEFECT = frozenset({"defect", "defects", "defective", "bad", "ng", "nok", "anomaly", "anomalous", "fail", "positive"})
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def label(word: str) -> int | None:
    """0 for a word that means good, 1 for defect, None for any other; case does not matter."""
    word = word.strip().lower()
    if word in GOOD or word in ("0", "0.0", "false"):
        return 0
    if word in DEFECT or word in ("1", "1.0", "true"):
        return 1
    return None


def split(word: str) -> Split | None:
    """The split a word names, empty for an empty word, None for any other; case does not matter."""
    word = word.strip().lower()
    return "" if not word else cast(Split | None, _SPLITS.get(word))
