"""Caching: the seam between a step whose items are kept and where they are kept.

    Keeper   says where, as a value: a folder, shared memory, the memory of each process
    Shelf    what one description's items are kept in, in this process; it goes to workers as its ``ticket``
    Kept     how that went, for reports

Where items are kept can be found in ``storage``. A shelf may forget whatever it likes and never gives anything wrong:
what is damaged, half written or another's is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from penstock.graph.amounts import said
from penstock.graph.node import Node


class Missing:
    """Stands for an item that is not kept."""


MISSING: Final = Missing()


@dataclass(frozen=True)
class Kept:
    """How often a cache had an item, since it was made, and how large it is."""

    step: str
    """The step, as it was written."""
    found: int
    """Items that were there."""
    missed: int
    """Items that were computed."""
    nbytes: int | None
    """Bytes that are in use; None where that is not known."""
    limit: int | None = None
    """Bytes that may be in use."""

    @property
    def rate(self) -> float:
        """The share of items that were there."""
        asked = self.found + self.missed
        return self.found / asked if asked else 0.0

    def __str__(self) -> str:
        size = "" if self.nbytes is None else f", {said(self.nbytes)} in use"
        of = "" if self.limit is None else f" of {said(self.limit)}"
        return (
            f"{self.step}: {self.found:,} of {self.found + self.missed:,} items were there ({self.rate:.1%}){size}{of}"
        )


class Shelf(ABC):
    """Where the items of one description are kept, in this process. Threads share it."""

    @abstractmethod
    def get(self, index: int) -> Any:
        """Return an item that nothing else refers to, or MISSING."""

    @abstractmethod
    def put(self, index: int, value: Any) -> None:
        """Keep an item, if there is room; whatever of it is needed is copied before this returns."""

    @property
    def singly(self) -> bool:
        """Whether items that are not there had better be asked for one by one."""
        return False

    def missing(self, index: int, compute: Callable[[], Any]) -> Any:
        """Return an item that was not there: compute, keep and count it."""
        value = compute()
        self.put(index, value)
        self.note(0, 1)
        return value

    def forget(self, index: int) -> bool:
        """Forget an item that has become another one; False, as by default, where whatever is kept stays."""
        return False

    @abstractmethod
    def note(self, found: int, missed: int) -> None:
        """Count items that were asked for."""

    @abstractmethod
    def kept(self, step: str) -> Kept:
        """Return how it went, in all processes."""

    @abstractmethod
    def ticket(self) -> Callable[[], Shelf]:
        """Return what a worker process opens this shelf by: picklable."""


class Keeper(ABC):
    """Where items are kept, as a value."""

    bounded = True
    """Whether a dataset without end has a place here."""

    @abstractmethod
    def label(self) -> str:
        """Return how its user wrote it, between the parentheses of ``cache``."""

    @abstractmethod
    def shelf(self, node: Node) -> Shelf:
        """Return the shelf of a description; the same one for the same description, as long as that is in use."""
