"""Several datasets as one."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from penstock.errors import ArgumentError
from penstock.operations.join import Concat, Zip
from penstock.sequence import dataset
from penstock.surface.dataset import Dataset, node_of

T = TypeVar("T")


def zip(*datasets: Dataset[Any], strict: bool = False, **named: Dataset[Any]) -> Any:
    """Return a dataset of tuples, or of dicts where names are given; as long as the shortest.

    Args:
        datasets: two or more.
        strict: refuse datasets of different lengths.
        named: the same, by name.

    >>> import penstock as ps
    >>> list(ps.zip(ps.range(3), ps.items("abc".split() or ["a", "b", "c"])))[:1]
    [(0, 'abc')]
    """
    if datasets and named:
        raise ArgumentError("zip(): give all datasets by place, zip(a, b), or all by name, zip(x=a, y=b).")
    given = named.values() if named else datasets
    nodes = tuple(node_of(d, "zip()") for d in given)
    return dataset(Zip(nodes, tuple(named) if named else None, strict))


def concat(*datasets: Dataset[T]) -> Dataset[T]:
    """Return all items of the first dataset, then all of the second, and so on.

    >>> import penstock as ps
    >>> list(ps.concat(ps.range(2), ps.range(3)))
    [0, 1, 0, 1, 2]
    """
    return cast("Dataset[T]", dataset(Concat(tuple(node_of(d, "concat()") for d in datasets))))
