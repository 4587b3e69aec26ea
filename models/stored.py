"""Configurations as JSON gives them back."""

from collections.abc import Mapping
from typing import Any


def fields_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataclass from what `dataclasses.asdict` gave: JSON's lists become tuples again."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
