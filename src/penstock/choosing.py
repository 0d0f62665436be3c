"""Functions made of functions, for ``map``: one of several, some of them, one perhaps, several in a row.

    photos.map(ps.OneOf(flip, ps.Compose(rotate, crop), weights=[3, 1]), rng=True)

They are values: comparable, printable, picklable as far as what they are made of is; and they may stand inside one
another. Each is called as ``function(item, rng)``. What it is made of is handed ``rng`` where it has a parameter of
that name, and is called with the item alone where it has not.
"""

from __future__ import annotations

import bisect
import inspect
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import function, name_of, short, whole

if TYPE_CHECKING:
    import numpy as np

Step = Callable[..., Any]


def takes_rng(step: Step) -> bool:
    """Tell whether a function has a parameter of the name ``rng``."""
    try:
        return "rng" in inspect.signature(step).parameters
    except (TypeError, ValueError):
        return False  # a built-in without a signature


@dataclass(frozen=True, init=False, repr=False)
class Choice(ABC):
    """A function that is made of others; ``map`` calls it with the item's own generator."""

    steps: tuple[Step, ...]

    def _take(self, steps: Iterable[Any]) -> None:
        """Check and remember what this is made of."""
        kind = type(self).__name__
        taken = tuple(steps)
        if not taken:
            raise ArgumentError(f"{kind}(): nothing was given. For example: {kind}(flip, rotate)")
        for step in taken:
            function(step, f"{kind}()", "each argument", f"{kind}(flip, rotate)")
        object.__setattr__(self, "steps", taken)
        object.__setattr__(self, "_rng", tuple(map(takes_rng, taken)))

    def _run(self, number: int, item: Any, rng: np.random.Generator | None) -> Any:
        """Apply one of the functions."""
        step = self.steps[number]
        return step(item, rng=rng) if self._rng[number] else step(item)  # type: ignore[attr-defined]

    @abstractmethod
    def __call__(self, item: Any, rng: np.random.Generator) -> Any:
        """Return what becomes of an item."""

    def _said(self) -> str:
        """Return what was said beside the functions."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(name_of, self.steps))}{self._said()})"


@dataclass(frozen=True, init=False, repr=False)
class OneOf(Choice):
    """Apply one of several functions to an item, drawn anew for every item.

    Args:
        functions: one or more; each is handed ``rng`` if it has a parameter of that name.
        weights: how likely each is, relative to the others; all alike by default.

    >>> import penstock as ps
    >>> def double(x): return 2 * x
    >>> def negate(x): return -x
    >>> items = ps.items([1, 2, 3]).map(ps.OneOf(double, negate), rng=True)
    >>> all(y in (2 * x, -x) for x, y in zip([1, 2, 3], items))
    True
    """

    weights: tuple[float, ...] | None

    def __init__(self, *functions: Step, weights: Iterable[float] | None = None) -> None:
        self._take(functions)
        shares: tuple[Any, ...] = (1.0,) * len(functions) if weights is None else tuple(weights)
        if len(shares) != len(functions):
            raise ArgumentError(f"OneOf(): {len(functions)} functions have {len(shares)} weights.")
        for share in shares:
            if isinstance(share, str) or not 0 <= share < math.inf:
                raise ArgumentError(f"OneOf(): a weight must be a number that is not negative, not {short(share)}.")
        total = sum(shares)
        if not total:
            raise ArgumentError("OneOf(): at least one weight must be above 0.")
        edges = [edge / total for edge in itertools.accumulate(shares)]
        last = max(number for number, share in enumerate(shares) if share)  # whatever rounding leaves above is its
        object.__setattr__(self, "weights", None if weights is None else shares)
        object.__setattr__(self, "_edges", edges[:last])

    def __call__(self, item: Any, rng: np.random.Generator) -> Any:
        """Draw one, and apply it."""
        return self._run(bisect.bisect_right(self._edges, rng.random()), item, rng)  # type: ignore[attr-defined]

    def _said(self) -> str:
        return "" if self.weights is None else f", weights={list(self.weights)}"


@dataclass(frozen=True, init=False, repr=False)
class SomeOf(Choice):
    """Apply some of several functions to an item, one after the other, in a random order; none of them twice.

    Args:
        functions: one or more; each is handed ``rng`` if it has a parameter of that name.
        count: how many of them, or ``(least, most)``, of which every number is equally likely.

    >>> import penstock as ps
    >>> def one(x): return x + 1
    >>> def ten(x): return x + 10
    >>> def hundred(x): return x + 100
    >>> sorted(set(ps.items([0] * 50).map(ps.SomeOf(one, ten, hundred, count=2), rng=True)))
    [11, 101, 110]
    """

    count: int | tuple[int, int]

    def __init__(self, *functions: Step, count: int | tuple[int, int]) -> None:
        self._take(functions)
        low, high = count if isinstance(count, (tuple, list)) and len(count) == 2 else (count, count)
        low, high = whole(low, "SomeOf()", "count"), whole(high, "SomeOf()", "count")
        if not low <= high <= len(functions):
            raise ArgumentError(f"SomeOf(): {count!r} of {len(functions)} functions cannot be chosen.")
        object.__setattr__(self, "count", low if low == high else (low, high))
        object.__setattr__(self, "_range", (low, high))

    def __call__(self, item: Any, rng: np.random.Generator) -> Any:
        """Draw how many and which, and apply them."""
        low, high = self._range  # type: ignore[attr-defined]
        count = low if low == high else int(rng.integers(low, high + 1))
        for number in rng.permutation(len(self.steps))[:count].tolist():
            item = self._run(number, item, rng)
        return item

    def _said(self) -> str:
        return f", count={self.count}"


@dataclass(frozen=True, init=False, repr=False)
class Maybe(Choice):
    """Apply a function to an item with a probability, and leave the item as it is otherwise.

    Args:
        function: is handed ``rng`` if it has a parameter of that name.
        p: from 0 to 1.

    For a whole map, ``map(function, p=0.5)`` says the same.

    >>> import penstock as ps
    >>> list(ps.range(3).map(ps.Compose(ps.Maybe(str, p=1), ps.Maybe(len, p=0)), rng=True))
    ['0', '1', '2']
    """

    p: float

    def __init__(self, function: Step, p: float = 0.5) -> None:
        self._take((function,))
        if isinstance(p, bool) or not isinstance(p, (int, float)):
            raise ArgumentTypeError(f"Maybe(): p must be a probability from 0 to 1, not {short(p)}.")
        if not 0 <= p <= 1:
            raise ArgumentError(f"Maybe(): p must be a probability from 0 to 1, not {p}.")
        object.__setattr__(self, "p", float(p))

    def __call__(self, item: Any, rng: np.random.Generator) -> Any:
        """Draw whether, and apply it or not."""
        return self._run(0, item, rng) if rng.random() < self.p else item

    def _said(self) -> str:
        return f", p={self.p:g}"


@dataclass(frozen=True, init=False, repr=False)
class Compose(Choice):
    """Apply several functions to an item, in a row.

    Args:
        functions: one or more; each is handed ``rng`` if it has a parameter of that name.

    It is for use inside the others; steps of a dataset are better written as a ``map`` each, so that errors and
    timings name them.

    >>> import penstock as ps
    >>> list(ps.range(3).map(ps.Compose(float, str)))
    ['0.0', '1.0', '2.0']
    """

    def __init__(self, *functions: Step) -> None:
        self._take(functions)

    @property
    def needs_rng(self) -> bool:
        """Whether any of the functions draws."""
        return any(self._rng)  # type: ignore[attr-defined]

    def __call__(self, item: Any, rng: np.random.Generator | None = None) -> Any:
        """Apply all."""
        for number in range(len(self.steps)):
            item = self._run(number, item, rng)
        return item
