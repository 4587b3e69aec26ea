"""The words people use for good and for defective."""

GOOD = frozenset({"0", "good", "ok", "normal", "negative"})
DEFECT = frozenset({"1", "defect", "defective", "bad", "ng", "nok", "anomaly", "abnormal", "positive"})
FORMS = "good | ok | normal | 0, or defect | bad | ng | anomaly | 1"


def label_of(word: str) -> int | None:
    """0 for a word that means good, 1 for one that means defect, else None; case and blanks do not matter."""
    word = word.strip().lower()
    if word in GOOD:
        return 0
    return 1 if word in DEFECT else None
