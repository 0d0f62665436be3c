"""Patience: noticing an item that takes too long, whatever it is stuck in.

A ticket may hold many items, so its age alone says little. What counts is how long a worker has been seen at the same
item (``Meter.item``: the step and the position); a worker that does not even answer is measured by its ticket. An item
is noticed between once the limit and once and a half. With a limit, it becomes an error with the worker's stack, and
the worker is replaced; without, a warning with the same content appears once, after a minute.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from penstock.errors import ItemTimeout
from penstock.graph.execution import Ticket, Work
from penstock.graph.reading import Reading

logger = logging.getLogger("penstock")

WARN = 60.0  # seconds at one item after which a warning appears where there is no limit
# Ticks that count between two looks, at the most. The trainer looks only while it waits for a batch, and what it hears
# was asked for at the look before: after a long step of training, three looks must agree, not one.
LONGEST = 1.5
Item = tuple[int, int]  # the number of a step, and a position


@dataclass
class Look:
    """What one worker was last seen at."""

    ticket: int
    item: Item | None
    since: float
    at: float  # the last look
    waited: float = 0.0  # seconds at this item, as far as it was looked at
    told: bool = False


class Patience:
    """Keeps an eye on the workers of one session."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.fatal = work.timeout is not None
        self.limit = WARN if work.timeout is None else work.timeout
        self.tick = min(self.limit / 4, 5.0)
        self.next = time.monotonic() + self.tick
        self.looks: dict[int, Look] = {}

    def due(self) -> bool:
        """Tell whether it is time to look again."""
        now = time.monotonic()
        if now < self.next:
            return False
        self.next = now + self.tick
        return True

    def left(self) -> float:
        """Return the seconds until the next look."""
        return max(0.0, self.next - time.monotonic())

    def exceeded(self, worker: int, ticket: int, started: float, item: Item | None) -> float:
        """Note what a worker is at; return for how long, if that is too long and was not said before, else 0."""
        now = time.monotonic()
        look = self.looks.get(worker)
        if look is None or look.ticket != ticket:
            look = self.looks[worker] = Look(ticket, item, started, started)
        elif item is not None and item != look.item:
            first = look.item is None
            look.item = item
            if not first:  # the first answer may be of an item that began with the ticket
                look.since = look.at = now
                look.waited = 0.0
        look.waited += min(now - look.at, LONGEST * self.tick)
        look.at = now
        if look.waited < self.limit or look.told:
            return 0.0
        look.told = True
        return now - look.since

    def describe(self, ticket: Ticket, item: Item | None, seconds: float, worker: str, stack: str) -> str:
        """Return the words for an item that takes too long."""
        plan = self.work.plan
        node, index = (ticket.node, ticket.start) if item is None else item
        step = plan.nodes[node]
        source = None
        if step.positional:
            source = Reading(plan, ticket.epoch).origin(step, index)
        named = "" if source in (None, index) else f", source {source!r}"
        return (
            f"item {index} of {step.label()}, epoch {ticket.epoch}{named}, has been under way for {seconds:.1f} s "
            f"in {worker}. {step.label()} was written at {step.site}. The worker's stack:\n{stack}"
        )

    def error(self, text: str) -> ItemTimeout:
        """Return the error for an item that takes too long."""
        return ItemTimeout(f"{text}\nThe limit is timeout={self.limit:g} s. The worker was given up and replaced.")

    def warn(self, text: str) -> None:
        """Say once that an item takes long."""
        logger.warning("%s\nThis is not ended, because the loader has no timeout: loader(timeout=seconds).", text)
