"""Numbers that are counted while data goes by."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Accuracy", "OnlineMoments", "RatioCounter", "StatCounter"]


class StatCounter:
    """Remembers values; says how many there were, and what of them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget them."""
        self._values: list[Any] = []

    def feed(self, v: Any) -> None:
        """Take a number, or an array of the same shape each time."""
        self._values.append(v)

    def samples(self) -> list[Any]:
        """Return them."""
        return self._values

    @property
    def count(self) -> int:
        """How many."""
        return len(self._values)

    @property
    def average(self) -> Any:
        """Their mean."""
        return np.mean(self._values)

    @property
    def sum(self) -> Any:
        """Their sum."""
        return np.sum(self._values)

    @property
    def max(self) -> Any:
        """The largest."""
        return max(self._values)

    @property
    def min(self) -> Any:
        """The least."""
        return min(self._values)


class RatioCounter:
    """How many of how many."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin with none of none."""
        self._count = self._total = 0

    def feed(self, count: int, total: int = 1) -> None:
        """Add so many of so many."""
        self._count += count
        self._total += total

    @property
    def count(self) -> int:
        """How many."""
        return self._count

    @property
    def total(self) -> int:
        """Of how many."""
        return self._total

    @property
    def ratio(self) -> float:
        """Their quotient; 0 of none."""
        return self._count * 1.0 / self._total if self._total else 0


class Accuracy(RatioCounter):
    """How many of how many were right."""

    @property
    def accuracy(self) -> float:
        """The quotient."""
        return self.ratio


class OnlineMoments:
    """Mean and deviation of what goes by, without keeping it: numbers, or arrays of one shape.

    >>> from penstock.compat.tensorpack.utils.stats import OnlineMoments
    >>> moments = OnlineMoments()
    >>> for value in (1.0, 2.0, 3.0):
    ...     moments.feed(value)
    >>> float(moments.mean), float(moments.std)
    (2.0, 1.0)
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0
        self._squares: Any = 0  # the sum of squared distances from the mean

    def feed(self, x: Any) -> None:
        """Take one."""
        self._count += 1
        distance = x - self._mean
        self._mean = self._mean + distance * (1.0 / self._count)
        self._squares = self._squares + distance * (x - self._mean)

    @property
    def mean(self) -> Any:
        """The mean."""
        return self._mean

    @property
    def variance(self) -> Any:
        """The variance of a sample: divided by one less than their number."""
        return self._squares / (self._count - 1)

    @property
    def std(self) -> Any:
        """The standard deviation of a sample."""
        return np.sqrt(self.variance)
