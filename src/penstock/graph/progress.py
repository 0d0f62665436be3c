"""How far the loop has come, for sources whose items are finished only then: whatever runs ahead may be lost.

    sources ◄── reached ── Mark, within the position ◄── Progress ◄── the loop asks for the next item

A source that must know gives positions that are marks. Since a position holds those of what it was made from, each
position of the whole pipeline names what of the source was delivered, however many steps, threads and workers lie in
between. What a step gathers before it can give anything, a batch say, must not keep the source waiting: where nothing
is on its way to a loop that waits, all that the source gave counts as finished.
"""

from __future__ import annotations

import time
import weakref
from typing import Any, Protocol

LONG = 1.0  # seconds after which a loop that waits is served, whatever seems to be on its way


class Ahead(Protocol):
    """A step that runs ahead in a thread."""

    @property
    def dry(self) -> bool:
        """Whether it has nothing at hand, and somebody waits for it."""


class Heard(Protocol):
    """A source that must know."""

    def reached(self, count: int) -> None:
        """Hear that the loop has come back from so many of the items."""

    def look(self) -> None:
        """See whether the loop waits for nothing but this source."""


class Mark(list[Any]):
    """A position that knows whose it is. For everybody else a plain list, also as a copy or a pickle."""

    __slots__ = ("reached", "whose")

    def __init__(self, position: list[Any], whose: Heard, reached: int) -> None:
        super().__init__(position)
        self.whose = weakref.ref(whose)
        self.reached = reached

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return list, (list(self),)


class Progress:
    """What is known of the loop."""

    def __init__(self) -> None:
        self.sources: list[Heard] = []
        self.ahead: weakref.WeakSet[Any] = weakref.WeakSet()
        self.since = 0.0  # since when the loop waits for an item; 0 while it has one

    def asked(self, position: Any) -> None:
        """Hear that the loop asks for what comes at a position: all before it is finished."""
        if self.sources:
            tell(position)
        self.since = time.perf_counter()

    def given(self) -> None:
        """Hear that the loop has what it asked for."""
        self.since = 0.0

    def look(self) -> None:
        """Let sources see that a step has nothing at hand any more."""
        for source in self.sources:
            source.look()

    @property
    def dry(self) -> bool:
        """Whether the loop waits, and nothing is on its way to it."""
        since = self.since
        return since > 0 and (all(step.dry for step in self.ahead) or time.perf_counter() - since > LONG)


def tell(position: Any) -> None:
    """Tell sources how far they were delivered, as the marks within a position say."""
    if isinstance(position, Mark):
        source = position.whose()
        if source is not None:
            source.reached(position.reached)
    elif isinstance(position, (list, tuple)):
        for part in position:
            tell(part)
    elif isinstance(position, dict):
        tell(list(position.values()))
