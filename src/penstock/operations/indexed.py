"""indexed: positions for a stream, by reading it again.

    stream     0 1 2 3 4 5 6 7 8 9 …
               ├───────┼───────┤ cursor
    marks      │       4       8        positions of the stream, from which it can be read on
    kept                   6 7 8        the last items, for whoever steps back a little

A position ahead is read up to. One behind is among the items that are kept, or the stream is begun again at the last
mark before it: a filter over a Sequence goes on from there, a plain iterable is read again from the front.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import whole
from penstock.graph.copies import copied
from penstock.graph.node import Cursor, Node, operation, ordered

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

MARKS = 256  # positions that are remembered, at the most


@operation
class Indexed(Node):
    """The first ``count`` items of a stream, by position; the last ``cache`` that were read are kept."""

    pure = True

    input: Node
    count: int
    cache: int = 128
    stream: tuple[dict[str, Any], ...] = ()  # on its way to workers: what its sources, which stay at home, consist of

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(
            count=whole(self.count, "indexed()", "length"), cache=whole(self.cache, "indexed()", "cache", least=0)
        )

    @property
    def positional(self) -> bool:
        """Always: that is what it is for."""
        return True

    def length(self) -> int:
        """Return the number of items that was said or measured."""
        return self.count

    def item(self, index: int, read: Reading) -> Any:
        """Read up to a position, from wherever the stream is."""
        tape = self.__dict__.get("_tape") or self.__dict__.setdefault("_tape", Tape())
        with tape.lock:
            return tape.item(self, index, read)

    def origin(self, index: int, read: Reading) -> object:
        """Return the position: a stream has no name for an item."""
        return index

    def streams(self) -> list[Node]:
        """Return the sources below that are read from the front."""
        return [node for node in ordered(self.input) if not node.sources and not node.positional]

    def shipped(self) -> Node:
        """Take the sources along: what is read by position is read in the workers."""
        return self if self.stream else replace(self, stream=tuple(dict(node.settings()) for node in self.streams()))

    def unpack(self) -> None:
        """Give the sources back what they consist of, in a worker."""
        for node, settings in zip(self.streams(), self.stream, strict=bool(self.stream)):
            node.normalise(**settings)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the stream that is being read behind."""
        return {name: value for name, value in self.__dict__.items() if name != "_tape"}

    def label(self) -> str:
        """Return the length and how much is kept."""
        return f"indexed({self.count}{'' if self.cache == 128 else f', cache={self.cache}'})"


class Tape:
    """A stream being read by position. It belongs to one seed and epoch at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.key: object = None
        self.plan: object = None
        self.epoch = 0
        self.cursor: Cursor | None = None
        self.at = 0  # the position that the cursor gives next
        self.kept: OrderedDict[int, Any] = OrderedDict()
        self.marks: list[tuple[int, Position]] = []
        self.spacing = 1

    def item(self, node: Indexed, index: int, read: Reading) -> Any:
        """Return the item at a position."""
        self.turn_to(node, read)
        if index in self.kept:
            self.kept.move_to_end(index)
            return copied(self.kept[index])
        try:
            self.seek(node, index, read)
            value = self.step(node)
        except BaseException:
            self.rewind()  # where a failed stream goes on, nobody knows
            raise
        if self.at == node.count:  # a whole pass leaves nothing open
            self.rewind()
        return value

    def turn_to(self, node: Indexed, read: Reading) -> None:
        """Forget everything where the seed or the epoch is another one."""
        plan = read.plan
        if self.plan is plan and self.epoch == read.epoch:
            return
        numbers = [plan.nodes.index_of(below) for below in ordered(node.input)]
        key = (read.epoch, numbers, [plan.seeds[number] for number in numbers])
        if key != self.key:
            self.rewind()
            self.kept.clear()
            self.marks, self.spacing = [], 1
            node.unpack()
        self.key, self.plan, self.epoch = key, plan, read.epoch

    def seek(self, node: Indexed, index: int, read: Reading) -> None:
        """Bring the cursor to a position, from where it is or from a mark."""
        found = bisect_right(self.marks, index, key=lambda mark: mark[0])
        start, position = self.marks[found - 1] if found else (0, None)
        if self.cursor is None or not start <= self.at <= index:
            self.rewind()
            self.cursor = read.start(node.input, position)
            self.at = start
        while self.at < index:
            self.step(node)

    def step(self, node: Indexed) -> Any:
        """Read one item; keep it, and mark where the stream is."""
        cursor: Cursor = self.cursor  # type: ignore[assignment]
        if self.at % self.spacing == 0 and (not self.marks or self.marks[-1][0] < self.at):
            self.mark(cursor)
        try:
            value = next(cursor)
        except StopIteration:
            raise ArgumentError(
                f"{node.label()}: the stream ended after {self.at} items, not {node.count}. Give the length that it "
                "has in every epoch, or take what varies (a random filter) out of it."
            ) from None
        if node.cache:
            try:
                self.kept[self.at] = copied(value)
            except Exception:  # noqa: BLE001  an open file, say: it is read again
                self.kept.pop(self.at, None)
            while len(self.kept) > node.cache:
                self.kept.popitem(last=False)
        self.at += 1
        return value

    def mark(self, cursor: Cursor) -> None:
        """Remember where the stream is; where marks become many, forget every other."""
        self.marks.append((self.at, cursor.position()))
        if len(self.marks) > MARKS:
            self.spacing *= 2
            self.marks = [mark for mark in self.marks if mark[0] % self.spacing == 0]

    def rewind(self) -> None:
        """Give the cursor up."""
        if self.cursor is not None:
            self.cursor.close()
        self.cursor = None
        self.at = 0
