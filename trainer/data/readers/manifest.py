"""A CSV manifest: columns `path`, `label`, and optionally `split`, `group`, `mask`, `defect_type`.

Files are relative to the manifest. `label` is 0/1 or a word (`good`, `ok`, `defect`, `ng`, ...). `item` is understood
for `group`, `type` and `defect` for `defect_type`; other columns are ignored. Without a `mask` column, a
`<stem>_GT.png` beside an image is its mask. Commas or semicolons separate; the text is UTF-8.
"""

import csv
import io
from itertools import zip_longest
from pathlib import Path

from inspector.errors import DataError
from trainer.data.readers import files, names
from trainer.data.samples import Sample

NAME = "manifest.csv"
_ALIASES = {"item": "group", "type": "defect_type", "defect": "defect_type"}


def matches(root: Path) -> bool:
    """Whether the root is a .csv file or holds `manifest.csv`."""
    return (root.is_file() and root.suffix.lower() == ".csv") or (root / NAME).is_file()


def read(root: Path) -> list[Sample]:
    """Read a manifest, given itself or by its folder.

    Raises:
        DataError: every problem of the file, each with its line.
    """
    source = root if root.is_file() else root / NAME
    samples: list[Sample] = []
    problems: list[str] = []
    first_line: dict[Path, int] = {}
    for line, row in _rows(source):
        sample, wrong = _sample(source.parent, row)
        problems += [f"line {line}: {reason}" for reason in wrong]
        if sample is None:
            continue
        if sample.path in first_line:
            problems.append(f"line {line}: {row['path']} is already listed in line {first_line[sample.path]}")
        first_line.setdefault(sample.path, line)
        samples.append(sample)
    files.refuse_all(f"{source} cannot be used", problems)
    return samples


def _rows(source: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines with their numbers; column names lower-case and without aliases."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8 text (byte {error.start}): save it as UTF-8 CSV") from None
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error
    heading = text.partition("\n")[0]
    separator = ";" if heading.count(";") > heading.count(",") else ","
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    given = [name.strip().lower() for name in next(table, [])]
    header = [alias if (alias := _ALIASES.get(name)) and alias not in given else name for name in given]
    missing = [name for name in ("path", "label") if name not in header]
    if missing:
        raise DataError(f"{source} line 1: no column {' and '.join(missing)} (found: {', '.join(given) or 'nothing'})")
    try:
        return [
            (
                table.line_num,
                {name: cell.strip() for name, cell in zip_longest(header, row[: len(header)], fillvalue="")},
            )
            for row in table
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataError(f"{source} line {table.line_num}: {error}") from error


def _sample(base: Path, row: dict[str, str]) -> tuple[Sample | None, list[str]]:
    """One line as a sample, or None; and what is wrong with it."""
    if not row.get("path"):
        return None, ["path is empty"]
    path = base / row["path"].replace("\\", "/")
    label, split = names.label(row.get("label", "")), names.split(row.get("split", ""))
    wrong = []
    if not path.is_file():
        wrong.append(f"{row['path']} is not a file below {base}")
    if label is None:
        wrong.append(f"label {row.get('label', '')!r} is neither 0/1 nor good/defect")
    if split is None:
        wrong.append(f"split {row['split']!r} is not train, val, test or empty")
    mask: Path | None = None
    if "mask" in row:
        mask = base / row["mask"].replace("\\", "/") if row["mask"] else None
        if mask is not None and not mask.is_file():
            wrong.append(f"mask {row['mask']} is not a file below {base}")
    elif (beside := path.with_name(f"{path.stem}_GT.png")).is_file():
        mask = beside
    if wrong or label is None or split is None:
        return None, wrong
    kind = row.get("defect_type", "") if label else ""
    return Sample(path, label, split=split, group=row.get("group", ""), mask=mask, defect_type=kind), []
