"""Numbers as the report writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from trainer.report import numbers

THIN = "\N{NARROW NO-BREAK SPACE}"
NAN = float("nan")


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        pytest.param(numbers.count, 1234567, f"1{THIN}234{THIN}567", id="thousands"),
        pytest.param(numbers.count, 0, "0", id="none counted"),
        pytest.param(numbers.count, None, "–", id="not counted"),
        pytest.param(numbers.share, 0.93749, "0.937", id="share"),
        pytest.param(numbers.share, NAN, "–", id="share of nothing"),
        pytest.param(numbers.percent, 0.96, f"96.0{THIN}%", id="percent"),
        pytest.param(numbers.percent, 0.0043, f"0.43{THIN}%", id="small percent"),
        pytest.param(numbers.percent, 0.0, f"0.0{THIN}%", id="zero percent"),
        pytest.param(numbers.percent, NAN, "–", id="percent of nothing"),
        pytest.param(numbers.probability, 0.412, "0.412", id="probability"),
        pytest.param(numbers.probability, 0.99987, "0.99987", id="probability near one"),
        pytest.param(numbers.probability, 0.0000321, "0.0000321", id="probability near zero"),
        pytest.param(numbers.probability, 1.0, "1", id="probability one"),
        pytest.param(numbers.scientific, 3.14e-6, "3.1e-06", id="scientific"),
        pytest.param(numbers.scientific, 0.0, "0", id="no difference"),
        pytest.param(numbers.date, "2026-03-05T14:02:11+00:00", "5 March 2026, 14:02 UTC", id="date"),
        pytest.param(numbers.date, "2026-03-05T14:02:11+02:00", "5 March 2026, 12:02 UTC", id="date elsewhere"),
        pytest.param(numbers.date, "yesterday", "yesterday", id="not a date"),
        pytest.param(numbers.plain, True, "yes", id="flag"),
        pytest.param(numbers.plain, [0.485, 0.456], "0.485, 0.456", id="list"),
        pytest.param(numbers.plain, [], "–", id="empty list"),
        pytest.param(numbers.plain, 0.1 + 0.2, "0.3", id="float"),
    ],
)
def test_text(write: Callable[[Any], str], value: Any, text: str) -> None:
    assert write(value) == text


@pytest.mark.parametrize(
    ("low", "high", "style", "text"),
    [
        pytest.param(0.796, 0.999, numbers.percent, f"79.6 to 99.9{THIN}%", id="one unit at the end"),
        pytest.param(0.85, 0.99, numbers.share, "0.850 to 0.990", id="shares"),
        pytest.param(NAN, 0.99, numbers.share, "", id="half an interval is none"),
        pytest.param(None, None, numbers.percent, "", id="no interval"),
    ],
)
def test_span(low: float | None, high: float | None, style: Callable[[Any], str], text: str) -> None:
    assert numbers.span(low, high, style) == text
