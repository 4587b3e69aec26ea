"""Which split of a data set a calibration may use: the one asked for, else `val`, never `test` by silence."""

from collections.abc import Sequence

from inspector.errors import DataError


def chosen_split(splits: Sequence[str], asked: str | None, where: str) -> str | None:
    """The split whose images to use, or None where the data knows no splits and none was asked for.

    Args:
        splits: the split of each image, empty where it has none.
        asked: `--split`, or None.
        where: names the data in messages.

    Raises:
        DataError: the split asked for does not exist, or none was asked for and there is no `val`.
    """
    present = sorted(set(splits) - {""})
    listed = ", ".join(f"{name} ({splits.count(name)} images)" for name in present)
    if asked is not None:
        if asked not in present:
            raise DataError(f"{where} has no split {asked!r}: it has {listed or 'no splits at all, leave --split out'}")
        return asked
    if not present:
        return None
    if "val" not in present:
        raise DataError(f"{where} has no split 'val', only {listed}: name the one to calibrate on with --split")
    return "val"
