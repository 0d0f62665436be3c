"""The desk: one per session, where everybody gets the outcomes of their own tickets, whatever thread asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from penstock.errors import ClosedError
from penstock.executors.feed import Part
from penstock.graph.execution import Limits, Outcome, Session, Tally, Ticket


class Desk:
    """Gives everybody the outcomes of their own tickets.

    The session lets one thread collect. Of the threads that wait here (the consumer, and one for each ``prefetch``),
    the first collects, for all; the others wait for it to find theirs.
    """

    def __init__(self, session: Session, limits: Limits, tally: Tally | None = None) -> None:
        self.session = session
        self.limits = limits
        self.tally = tally or Tally()
        self.number = 0
        self.wanted: set[int] = set()
        self.arrived: dict[int, Outcome] = {}
        self.lock = threading.RLock()  # re-entrant: garbage collection may cancel
        self.changed = threading.Condition(self.lock)
        self.collecting = False
        self.waiting = 0  # threads that wait for what another collects

    def submit(self, epoch: int, node: int, part: Part) -> int:
        """Submit a piece of work; return its ticket's number."""
        with self.lock:
            number = self.number = self.number + 1
            self.wanted.add(number)
            try:
                self.session.submit(Ticket(number, epoch, node, part.start, part.stop, part.elements, part.places))
            except BaseException:
                self.wanted.discard(number)
                raise
        return number

    def take(self, number: int) -> Outcome:
        """Wait for the outcome of a ticket."""
        with self.lock:
            while number not in self.arrived:
                if self.collecting:
                    self.waiting += 1
                    try:
                        self.changed.wait()
                    finally:
                        self.waiting -= 1
                    continue
                if number not in self.wanted:
                    raise ClosedError("the epoch that this item belongs to has been given up")
                self.collecting = True
                try:
                    outcome = self.collect()
                finally:  # however the waiting ended, the next may wait
                    self.collecting = False
                    if self.waiting:
                        self.changed.notify_all()
                if outcome.number in self.wanted:
                    self.wanted.discard(outcome.number)
                    self.arrived[outcome.number] = outcome
                    self.tally.tickets += 1
                    self.tally.busy += outcome.seconds
                    self.tally.nbytes += outcome.nbytes
            return self.arrived.pop(number)

    def collect(self) -> Outcome:
        """Wait for any outcome, and let others do their business meanwhile."""
        self.lock.release()
        try:
            return self.session.collect()
        finally:
            self.lock.acquire()

    def cancel(self) -> None:
        """Forget everything that is under way."""
        with self.lock:
            self.wanted.clear()
            self.arrived.clear()
            self.session.cancel()
            self.changed.notify_all()

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget some tickets: their outcomes are thrown away when they come."""
        with self.lock:
            self.wanted.difference_update(numbers)
            for number in numbers:
                self.arrived.pop(number, None)
