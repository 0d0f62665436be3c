"""Amounts that augmentations draw from: what users may write for them, and drawing."""

from __future__ import annotations

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import short

Amount = float | tuple[float, float]
"""A number, or the lowest and the highest."""


def check_numbers(value: object, where: str, name: str) -> tuple[float, float]:
    """Return a pair of numbers, the first no larger than the second."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(_is_number(v) for v in value):
        raise ArgumentError(f"{where}: {name} must be two numbers, the lower first, not {short(value)}.")
    low, high = float(value[0]), float(value[1])
    if not low <= high:
        raise ArgumentError(f"{where}: {name} must be two numbers, the lower first, not {value!r}.")
    return low, high


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def probability(value: object, where: str, name: str = "p") -> float:
    """Return a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ArgumentError(f"{where}: {name} must be a number from 0 to 1, not {short(value)}.")
    return float(value)


def about(value: object, where: str, name: str) -> tuple[float, float]:
    """Return a lowest and a highest number; one number means from minus to plus."""
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return 0.0 - abs(float(value)), abs(float(value))
    return check_numbers(value, where, name)


def drawn(pair: float | tuple[float, float], rng: np.random.Generator) -> float:
    """Return a number drawn evenly between two."""
    assert isinstance(pair, tuple)
    return rng.uniform(*pair)


def factors(value: Amount, where: str, name: str) -> tuple[float, float]:
    """Return a lowest and a highest factor; one number x means from 1 - x, at least 0, to 1 + x."""
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        if value < 0:
            raise ArgumentError(f"{where}: {name} must be at least 0, not {value!r}.")
        return max(0.0, 1 - float(value)), 1 + float(value)
    low, high = check_numbers(value, where, name)
    if low < 0:
        raise ArgumentError(f"{where}: {name} must be at least 0, not {value!r}.")
    return low, high


def span(value: Amount, where: str, name: str) -> tuple[float, float]:
    """Return a lowest and a highest number of at least 0; one number means always that."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    low, high = check_numbers(pair, where, name)
    if low < 0:
        raise ArgumentError(f"{where}: {name} must be at least 0, not {short(value)}.")
    return low, high
