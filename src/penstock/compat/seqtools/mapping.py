"""Functions over sequences, called when an item is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import penstock as ps
from penstock.compat.seqtools.views import View, derive


def smap(f: Callable[..., Any], *sequences: Any) -> View:
    """Return a function's results over one sequence, or over several, whose items are its arguments.

    Computed anew at each read, and as long as the shortest. What ``f`` raises arrives as ``seterr`` says.

    >>> from penstock.compat import seqtools
    >>> both = seqtools.smap(lambda x, y: x + y, [1, 2, 3], [10, 20, 30])
    >>> list(both), both[-1], list(both[:2])
    ([11, 22, 33], 33, [11, 22])
    """
    if not callable(f):
        raise TypeError(f"smap(): f must be callable, not {f!r}.")
    if not sequences:
        raise ValueError("smap(): at least one input sequence must be provided.")
    if len(sequences) == 1:
        return mapping(lambda data: data.map(f), *sequences)
    return mapping(lambda *data: ps.zip(*data).starmap(f), *sequences)


def starmap(f: Callable[..., Any], sequence: Any) -> View:
    """Return a function's results over a sequence of tuples, whose entries are its arguments.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.starmap(pow, [(2, 3), (3, 2)]))
    [8, 9]
    """
    if not callable(f):
        raise TypeError(f"starmap(): f must be callable, not {f!r}.")
    return mapping(lambda data: data.starmap(f), sequence)


def mapping(step: Callable[..., Any], *sequences: Any) -> View:
    """Return the view of a function's results, which can only be read."""
    made = derive(step, *sequences, writable=False)
    made._trail = made._trail.mapped()  # noqa: SLF001  one class, made in several places
    return made
