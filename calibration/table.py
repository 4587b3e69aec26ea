"""CSV tables that people or other programs wrote: a header, then rows with their line numbers."""

import csv
from collections.abc import Sequence
from pathlib import Path

from inspector.errors import DataError

_SHOWN = 10


def read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a UTF-8 CSV file with a header.

    Returns:
        the column names in lower case, and of each row its line number and its fields by column, stripped; a
        field that is missing is empty.

    Raises:
        DataError: the file cannot be read, is not CSV, or rows have more fields than the header (all are listed).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            lines = [(reader.line_num, fields) for fields in reader if fields]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8 ({error}): export it again") from None
    long = [f"line {line}: {len(fields)} fields, the header has {len(header)}" for line, fields in lines]
    refuse_faults(path, [text for text, (_, fields) in zip(long, lines, strict=True) if len(fields) > len(header)])
    rows = [
        (line, dict.fromkeys(header, "") | {name: field.strip() for name, field in zip(header, fields, strict=False)})
        for line, fields in lines
    ]
    return header, rows


def refuse_faults(path: Path, faults: Sequence[str]) -> None:
    """Raise one `DataError` that lists the faults found in a file, unless there are none."""
    if faults:
        raise DataError(f"{path} has {len(faults)} faulty lines: {some(faults, '; ')}")


def some(items: Sequence[str], separator: str = ", ") -> str:
    """The first few items, and how many more there are."""
    more = f"{separator}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return separator.join(items[:_SHOWN]) + more
