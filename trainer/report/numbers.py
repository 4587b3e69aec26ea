"""How the report writes numbers and dates: one rule for the whole page."""

import math
from datetime import UTC, datetime
from typing import Any

MISSING = "–"
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


def count(value: Any) -> str:
    """A whole number with thin spaces between thousands: `12 480`; a dash where there is none."""
    if not _is_number(value):
        return MISSING
    return f"{round(value):,}".replace(",", _THIN_SPACE)


def share(value: Any, digits: int = 3) -> str:
    """A figure of the 0..1 scale as the field writes it, `0.937`; a dash for None and NaN."""
    return f"{value:.{digits}f}" if _is_number(value) else MISSING


def probability(value: float) -> str:
    """A threshold, `0.412`; more decimals near 0 and 1, where a network's probabilities crowd."""
    digits = 4 if 0.001 <= value <= 0.999 else 7
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def percent(value: Any) -> str:
    """A 0..1 rate as `96.0 %`; two decimals below one percent, where false-alarm rates live."""
    if not _is_number(value):
        return MISSING
    digits = 2 if 0 < value < 0.01 else 1
    return f"{100 * value:.{digits}f}{_THIN_SPACE}%"


def span(low: Any, high: Any, style: Any = percent) -> str:
    """An interval, `79.6 to 99.9 %`; empty where either end is missing."""
    if not (_is_number(low) and _is_number(high)):
        return ""
    first, last = style(low), style(high)
    unit = f"{_THIN_SPACE}%"
    if first.endswith(unit) and last.endswith(unit):
        first = first.removesuffix(unit)
    return f"{first} to {last}"


def scientific(value: Any) -> str:
    """A small positive difference as `3.1e-06`; zero as `0`."""
    if not _is_number(value):
        return MISSING
    return "0" if value == 0 else f"{value:.1e}"


def date(text: str) -> str:
    """An ISO 8601 time as `5 March 2026, 14:02 UTC`; anything else unchanged."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def plain(value: Any) -> str:
    """Any leaf of the provenance as text."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) if value else MISSING
    return str(value)


def _is_number(value: Any) -> bool:
    return value is not None and not isinstance(value, str) and math.isfinite(value)
