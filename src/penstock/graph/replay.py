"""Replaying: the cursor of a step that holds items back, and saves none of them.

A step that groups, packs or mixes its input holds items whose turn has not come. Its state names the position of the
oldest of these and a few numbers; resuming reads the input again from there, and the step comes to hold the same.

    input    a b c d e f g h │ i j …         delivered: (a c) (d f)      held: b, e and g h
               ▲             └ read so far
               └ the state: this position, and what tells b e g h from those that are gone
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from penstock.errors import StateError
from penstock.graph.cursors import Counting

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


class Replaying(Counting):
    """Reads again what was held when its position was saved: when it is asked for an item, not before.

    Its position is ``[items delivered, position of the oldest item that is held, numbers of its own …]``. What is
    made must leave that position as it was where it fails, so that whoever tries again misses nothing.
    """

    def __init__(self, node: Any, read: Reading, position: Position) -> None:
        count, below, *facts = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.read = read
        self.saved: list[Any] | None = [count, below, *facts]  # until something was delivered
        self.begun = False

    @abstractmethod
    def replay(self, facts: list[Any]) -> None:
        """Come to hold what was held, by reading from below; ``facts`` are the numbers, none at the front."""

    @abstractmethod
    def produce(self) -> Any:
        """Return the next item, or raise StopIteration."""

    @abstractmethod
    def facts(self) -> list[Any]:
        """Return the position of the oldest item that is held, and the numbers that ``replay`` needs."""

    def __next__(self) -> Any:
        if not self.begun:
            assert self.saved is not None
            try:
                self.replay(self.saved[2:])
            except StopIteration:
                raise self.ended_early() from None
            self.begun = True
        value = self.produce()
        self.count += 1
        self.saved = None
        return value

    def position(self) -> Position:
        """Return the count and where to read again from."""
        return list(self.saved) if self.saved is not None else [self.count, *self.facts()]

    def ended_early(self) -> StateError:
        """Return the error for an input that has no more what the state says was read."""
        return StateError(
            f"{self.node.label()}: the input ended before the saved position: it is not the one that the state was "
            "saved from, or it became shorter."
        )

    def exhausted(self) -> bool:
        """Tell whether the work of what is below has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the work of what is below begin."""
        self.below.prime()
