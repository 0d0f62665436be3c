"""Where a stage's work comes from: positions of a node, or elements of a cursor that is read ahead in the caller."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from penstock.graph.node import Cursor, Node, Place

LARGEST = 4096  # positions of a ticket
ELEMENTS = 64  # elements of one: they are read ahead in the caller, and kept
HEAVY = 1 << 20  # bytes of a ticket, about: a few, so that not everything that is under way hangs on the same worker …
HEAVIER = 1 << 22  # … and where the message itself costs more, since it has the elements: they still stay in the cache


class Part(NamedTuple):
    """A piece of a stage's work, before it has a number."""

    start: int = 0
    stop: int = 0
    elements: tuple[Any, ...] | None = None
    places: tuple[Place, ...] = ()
    befores: tuple[Any, ...] = ()
    """Of elements: the position below before each, and after the last."""
    failure: BaseException | None = None
    """What stopped the reading below, behind these elements."""

    @property
    def size(self) -> int:
        """How many positions or elements this is."""
        return self.stop - self.start if self.elements is None else len(self.elements)

    def pieces(self, size: int, first: int = 0) -> list[Part]:
        """Return the same work in smaller pieces, from the position or element numbered ``first`` on."""
        return [self.cut(at, min(at + size, self.size)) for at in range(first, self.size, size)]

    def cut(self, start: int, stop: int) -> Part:
        """Return some of the positions or elements."""
        if self.elements is None:
            return Part(self.start + start, self.start + stop)
        befores = self.befores[start : stop + 1]
        failure = self.failure if stop == self.size else None
        return Part(0, 0, self.elements[start:stop], self.places[start:stop], befores, failure)


class Feed(ABC):
    """Where a stage's work comes from."""

    largest: ClassVar[int] = LARGEST
    """Of how many positions or elements a piece may be."""
    heavy: ClassVar[int] = HEAVY
    """How many bytes a piece may become, about."""

    @abstractmethod
    def part(self, size: int) -> Part | None:
        """Return the next piece, of at most ``size`` positions or elements; None at the end."""

    @abstractmethod
    def before(self, part: Part, offset: int) -> Any:
        """Return the position of what is below, before the element at an offset of a piece."""

    @abstractmethod
    def place(self, part: Part, offset: int) -> Place:
        """Return where the element at an offset of a piece stands."""

    @property
    @abstractmethod
    def at(self) -> Any:
        """The position of what is below, before what has not been fed yet."""

    def onward(self) -> Any:
        """Return where the next epoch of what is below begins, if that is known."""
        return None

    def starved(self) -> bool:
        """Tell whether the next piece must be waited for outside."""
        return False

    def interrupt(self) -> None:
        """Let what is below stop waiting."""

    def close(self) -> None:
        """Close what is below."""


class Positions(Feed):
    """Positions of a node, in order."""

    def __init__(self, node: Node, position: int | None) -> None:
        self.next = position or 0
        self.end = node.length()

    @property
    def at(self) -> Any:
        """The next index."""
        return self.next

    def part(self, size: int) -> Part | None:
        """Return the next range."""
        start = self.next
        stop = start + size if self.end is None else min(start + size, self.end)
        if start >= stop:
            return None
        self.next = stop
        return Part(start, stop)

    def before(self, part: Part, offset: int) -> Any:
        """Return the index."""
        return part.start + offset

    def place(self, part: Part, offset: int) -> Place:
        """Return the index as a place."""
        return Place(part.start + offset)


class Elements(Feed):
    """Elements of a cursor, read ahead in the caller."""

    largest = ELEMENTS
    heavy = HEAVIER

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.here = cursor.position()
        self.ended = False

    @property
    def at(self) -> Any:
        """The cursor's position."""
        return self.here

    def part(self, size: int) -> Part | None:
        """Read the next elements. An error of the cursor comes at its own place: behind the elements before it."""
        elements: list[Any] = []
        places: list[Place] = []
        befores: list[Any] = [self.here]
        failure = None
        while len(elements) < min(size, self.largest) and not self.ended and not (elements and self.cursor.starved()):
            try:
                elements.append(next(self.cursor))
            except StopIteration:
                self.ended = True
                break
            except Exception as error:  # noqa: BLE001  handed to the consumer at its place
                failure = error
                self.ended = True
                break
            places.append(self.cursor.place)
            self.here = self.cursor.position()
            befores.append(self.here)
        if not elements and failure is None:
            return None
        return Part(0, 0, tuple(elements), tuple(places), tuple(befores), failure)

    def before(self, part: Part, offset: int) -> Any:
        """Return the cursor's position there."""
        return part.befores[offset]

    def place(self, part: Part, offset: int) -> Place:
        """Return the place that the cursor gave."""
        return part.places[offset]

    def onward(self) -> Any:
        """Return where the cursor's next epoch begins."""
        return self.cursor.onward()

    def starved(self) -> bool:
        """Tell whether the cursor must wait outside."""
        return not self.ended and self.cursor.starved()

    def interrupt(self) -> None:
        """Let the cursor stop waiting."""
        self.cursor.interrupt()

    def close(self) -> None:
        """Close the cursor."""
        self.cursor.close()
