"""cache: items that were computed once are kept, and not computed again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.caching import MISSING, Keeper, Kept, Shelf
from penstock.graph.node import Node, Place, operation, ordered, refusal

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Cache(Node):
    """Each item as it is, from where it was kept, or computed and kept."""

    rereads = False
    elementwise = True
    pure = True
    silent = True
    aside = ("keeper", "ticket")

    input: Node
    keeper: Keeper
    ticket: Callable[[], Shelf] | None = None  # on its way to workers: what the shelf is opened by

    def check(self) -> None:
        """Refuse what is another in every epoch: nothing of it would be found again."""
        for node in ordered(self.input):
            if getattr(node, "random", False):
                raise ArgumentError(
                    f"{self.label()}: {node.label()} stands before it, and gives others in every epoch, so nothing "
                    f"that was kept would be asked for again. Put cache() before {node.label()}."
                )
        if self.keeper.bounded and self.input.positional and self.input.length() is None:
            raise ArgumentError(f"{self.label()}: the dataset has no end. Cache before repeat(), or take a part of it.")

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Return an item from the shelf, or compute it and put it there."""
        shelf = self.shelf
        value = shelf.get(index)
        if value is not MISSING:
            shelf.note(1, 0)
            return value
        return shelf.missing(index, partial(read.item, self.input, index))

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return many items; those that are missing are computed at once, unless the shelf wants them singly."""
        shelf = self.shelf
        where = list(indices) if isinstance(indices, range) else indices.tolist()
        found = [shelf.get(index) for index in where]
        missing = [place for place, value in enumerate(found) if value is MISSING]
        shelf.note(len(where) - len(missing), 0)
        while missing and shelf.singly:
            place = missing.pop(0)
            found[place] = read.item(self, where[place])
        if missing:
            asked = indices if len(missing) == len(where) else np.array([where[place] for place in missing], np.int64)
            values = read.gather(self.input, asked)
            for place, value in zip(missing, values, strict=True):
                try:
                    shelf.put(where[place], value)
                except Exception as error:
                    read.blame(error, self, where[place])
                    raise
                found[place] = value
            shelf.note(0, len(missing))
        return found

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the input's item, and forget what was kept of it; only where that is possible."""
        if not self.shelf.forget(index):
            raise refusal(self)
        try:
            read.assign(self.input, index, value)
        finally:
            self.shelf.forget(index)  # another thread may have read it meanwhile

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Leave an element as it is: in a stream, where a policy leaves items out before this, nothing has a place."""
        return (value,)

    @property
    def shelf(self) -> Shelf:
        """Where the items are kept, in this process."""
        kept: tuple[int, Shelf] | None = self.__dict__.get("_shelf")
        if kept is not None and kept[0] == os.getpid():
            return kept[1]
        shelf = self.keeper.shelf(self.input) if self.ticket is None else self.ticket()
        self.__dict__["_shelf"] = (os.getpid(), shelf)
        return shelf

    def kept(self) -> Kept:
        """Return how that went."""
        return self.shelf.kept(self.label())

    def shipped(self) -> Node:
        """Take along what the shelf is opened by."""
        if self.ticket is not None or not self.positional:
            return self
        return replace(self, ticket=self.shelf.ticket())

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what belongs to this process."""
        return {name: value for name, value in self.__dict__.items() if name != "_shelf"}

    def label(self) -> str:
        """Return where items are kept, as it was written."""
        return f"cache({self.keeper.label()})"

    def fingerprint(self) -> str:
        """Return that this is a cache: a state does not depend on where."""
        return "cache()"


def caches_of(root: Node) -> tuple[Kept, ...]:
    """Return how the caches of a description did that were used."""
    return tuple([node.kept() for node in ordered(root) if isinstance(node, Cache) and "_shelf" in node.__dict__])
