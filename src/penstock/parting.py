"""Which positions belong to which part of a split: by order, at random, with equal shares of labels, by whole groups.

sizes      of the parts, from fractions, counts or edges; what they leave over is a last part that nobody gets
order      positions as they are, or a keyed permutation of them
owner      which part each place of the order belongs to
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short, whole
from penstock.graph.order import Order

Vector = NDArray[np.int64]

NUMBER = (1 << 64) - 1  # stands for "split" where other permutations have the number of their operation
NEAR = Fraction(1, 10**9)  # fractions whose sum is as near to 1 as this are meant to cover everything


@dataclass(frozen=True)
class Division:
    """How a dataset of ``length`` items (None for endless) is divided."""

    where: str
    length: int | None
    seed: int | None = None
    stratify: Any = None
    groups: Any = None

    def __post_init__(self) -> None:
        """Check the seed, and that what is not cut by order alone has an end."""
        if self.seed is not None and whole(self.seed, self.where, "seed") >= 1 << 64:
            raise ArgumentError(f"{self.where}: seed must be below 2**64, not {self.seed}.")
        if self.length is None and not self.plain:
            raise ArgumentError(f"{self.where}: this sequence has no end. Only counts and edges can cut it, in order.")

    @property
    def plain(self) -> bool:
        """Whether parts are neighbouring positions."""
        return self.seed is None and self.stratify is None and self.groups is None

    def parts(self, sizes: Sequence[int]) -> list[Vector]:
        """Return the positions of each part; of groups, as near to the sizes as whole groups come."""
        n = self.length or 0
        sizes = list(sizes)
        rest = n - sum(sizes)
        labels = None if self.stratify is None else codes(self.stratify, n, f"{self.where}: stratify")
        groups = None if self.groups is None else codes(self.groups, n, f"{self.where}: groups")
        order = np.arange(n)
        if self.seed is not None:
            order = Order(n, (int(self.seed), NUMBER, 0)).many(range(n)).copy()
        bins = [*sizes, rest] if rest else sizes
        if groups is not None:
            owner = by_group(order, groups, labels, bins, largest=self.seed is None)
        elif labels is not None:
            owner = by_label(labels[order], bins)
        else:
            owner = np.repeat(np.arange(len(bins)), bins)
        return [order[owner == part] for part in range(len(sizes))]


def sizes_of(shares: Sequence[Any], parts: int | None, length: int | None, where: str) -> list[int]:
    """Return the sizes that fractions, counts or a number of parts mean.

    Raises:
        ArgumentError: they are nothing, or more than there is.
        ArgumentTypeError: they are no numbers, or of both kinds.
    """
    example = "For example: split(0.8, 0.2), split(1000, 200), split(parts=5) or split(edges=[100, 200])"
    if (parts is None) == (not shares):
        raise ArgumentError(f"{where}: give fractions, counts, parts= or edges=, one of them. {example}")
    if parts is not None:
        count = whole(parts, where, "parts", least=1)
        n = ended(length, where)
        return [n // count + (part < n % count) for part in range(count)]
    if all(isinstance(share, (float, np.floating)) for share in shares):
        return fractions_of(shares, ended(length, where), where)
    for share in shares:
        if isinstance(share, (float, np.floating)):
            raise ArgumentTypeError(f"{where}: {short(share)} is a fraction, others are counts. {example}")
    counts = [whole(share, where, "a part", remedy=example) for share in shares]
    if length is not None and sum(counts) > length:
        raise ArgumentError(f"{where}: {' + '.join(map(str, counts))} items are more than the {length} there are.")
    return counts


def fractions_of(shares: Sequence[float], n: int, where: str) -> list[int]:
    """Return how many of n items fractions mean: rounded so that their sum is right, the largest remainders up."""
    for share in shares:
        if not 0 < share <= 1:
            raise ArgumentError(f"{where}: a fraction must be above 0 and at most 1, not {share}.")
    exact = [Fraction(str(float(share))) for share in shares]  # 0.1 is meant as a tenth
    total = sum(exact, Fraction(0))
    if total > 1 + NEAR:
        raise ArgumentError(f"{where}: {' + '.join(map(str, shares))} is more than 1: parts must not overlap.")
    exact = [share / total for share in exact] if abs(total - 1) <= NEAR else [*exact, 1 - total]
    counts = [math.floor(share * n) for share in exact]
    remainders = [share * n - count for share, count in zip(exact, counts, strict=True)]
    most = sorted(range(len(exact)), key=lambda part: -remainders[part])
    for part in most[: n - sum(counts)]:
        counts[part] += 1
    return counts[: len(shares)]


def edges_of(edges: Any, length: int | None, where: str) -> list[int]:
    """Return positions to cut at, checked: they ascend, and lie within the dataset."""
    try:
        found = [whole(edge, where, "an edge") for edge in edges]
    except TypeError:
        raise ArgumentTypeError(f"{where}: edges must be a list of positions, not {short(edges)}.") from None
    if found != sorted(found):
        raise ArgumentError(f"{where}: edges must ascend, unlike {found}.")
    if found and length is not None and found[-1] > length:
        raise ArgumentError(f"{where}: edge {found[-1]} is behind the end: there are {length} items.")
    return found


def ended(length: int | None, where: str) -> int:
    """Return the length, or refuse what has none."""
    if length is None:
        raise ArgumentError(f"{where}: this sequence has no end, so it has no fractions. Give counts, or edges=.")
    return length


def codes(values: Any, n: int, where: str) -> Vector:
    """Return small whole numbers that are equal where values are, in the order in which values first come."""
    if isinstance(values, (str, bytes, set, frozenset, dict)) or not hasattr(values, "__len__"):
        raise ArgumentTypeError(
            f"{where} must be a list or an array with an entry for every item, not {short(values)}."
        )
    if len(values) != n:
        raise ArgumentError(f"{where} must have an entry for every item; it has {len(values)}, there are {n} items.")
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufSUmM":
        if values.ndim != 1:
            raise ArgumentError(f"{where} must have one axis, not {values.ndim}: {values.shape}.")
        _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return rank[inverse]
    known: dict[Any, int] = {}
    try:
        return np.array([known.setdefault(value, len(known)) for value in values], np.int64)
    except TypeError:
        raise ArgumentTypeError(f"{where} has entries that cannot be compared as a whole: {short(values)}.") from None


def by_label(labels: Vector, sizes: Sequence[int]) -> Vector:
    """Return the part of every place, so that every part has the same share of every label, to within rounding.

    Part after part takes its share of what is left of each label, rounded so that its size is exact.
    """
    left = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    counts = []
    for size in sizes:
        total = int(left.sum())
        shares = [divmod(int(n) * size, total or 1) for n in left]  # Python's numbers: products may pass 64 bits
        taken = np.array([whole_part for whole_part, _ in shares], np.int64)
        most = np.argsort(np.array([-remainder for _, remainder in shares], np.int64), kind="stable")
        taken[most[: size - int(taken.sum())]] += 1
        counts.append(taken)
        left = left - taken
    owner = np.empty(len(labels), np.int64)
    table = np.array(counts).T.ravel()
    owner[np.argsort(labels, kind="stable")] = np.repeat(np.tile(np.arange(len(sizes)), len(left)), table)
    return owner


def by_group(order: Vector, groups: Vector, labels: Vector | None, sizes: Sequence[int], *, largest: bool) -> Vector:
    """Return the part of every place, so that no group is in two parts.

    Groups go one after the other, the largest first or in the order given, to where most is missing: of the group's
    labels, where labels are given. That is the choice after which the squared gaps are smallest.
    """
    here = groups[order]
    kinds = np.zeros(len(order), np.int64) if labels is None else labels[order]
    _, first, group, counts = np.unique(here, return_index=True, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(counts)[:-1]) if len(order) else []
    line = np.lexsort((first, -counts)) if largest else np.argsort(first)
    totals = np.bincount(kinds).astype(float)
    missing = np.array(sizes, float)[:, None] * (totals / max(1, len(order)))
    owner = np.empty(len(order), np.int64)
    for number in line.tolist():
        found, many = np.unique(kinds[members[number]], return_counts=True)
        gain = missing[:, found] * (many / totals[found] ** 2)
        part = int(np.argmax([math.fsum(row) for row in gain.tolist()]))  # exact sums: the same on every machine
        missing[part, found] -= many
        owner[members[number]] = part
    return owner
