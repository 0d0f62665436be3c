"""The window: order, look-ahead and back-pressure, once for all executors.

    feed ──tickets──> desk ──submit──> workers ──collect──> desk ──in order──> stage ──items──> consumer
                       │  at most `count` tickets and about `nbytes` bytes under way or not yet taken  │

    Desk       one per session: numbers tickets, keeps outcomes until they are asked for, whatever thread asks
    Window     one per stage: what is under way, in order
    Stage      the cursor of positional and elementwise work that is done by workers
    Afar       the reading of a loader: where a plain Reading would compute, it makes a Stage

A pipeline may have several stages with sequential steps between them; they share the workers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any

from penstock.errors import ClosedError, LedgerError, WorkerError
from penstock.executors.desk import Desk
from penstock.executors.feed import Elements, Feed, Part, Positions
from penstock.graph.cursors import Account, Chain, chain
from penstock.graph.execution import NOBODYS, Cut, Outcome, Split
from penstock.graph.node import Cursor, Node, Place
from penstock.graph.policy import Skipped
from penstock.graph.progress import Progress
from penstock.graph.reading import Plan, Reading

TARGET = 0.002  # seconds of work that a ticket should hold: far above the cost of a message
LATEST = 4  # outcomes of which the quickest counts: a worker that has lost its core for a moment says nothing of items
OBJECTS = 4096  # Python objects of a ticket, about: more at once leave the caches and wake the garbage collector
BUNDLE = 4  # the share of the window, one in so many, that is filled at a time


class Window:
    """A stage's tickets: submitted ahead, taken in order."""

    def __init__(self, desk: Desk, feed: Feed, epoch: int, node: int, workers: int) -> None:
        self.desk = desk
        self.feed = feed
        self.epoch = epoch
        self.node = node
        self.least = min(2 * workers + 2, desk.limits.count)
        self.heavy = min(feed.heavy, desk.limits.nbytes // self.least)
        self.size = 1
        self.growing = True
        self.limit = self.least  # until the first outcome tells how large they are
        self.paces: deque[float] = deque(maxlen=LATEST)
        self.ahead: deque[tuple[int, Part]] = deque()
        self.exhausted = False
        self.filling = False  # whether the next piece is being read, which may take as long as it likes

    def fill(self) -> None:
        """Submit as many tickets as the limits allow.

        Of bundled positions, only when there is room for a number of tickets: workers with nothing to do are then woken
        once for all of them, and waking a process costs the trainer as much as all the rest of a ticket. Elements are
        read in the caller, which is not to be kept with many at a time.
        """
        bundled = self.size > 1 and isinstance(self.feed, Positions)
        if bundled and self.limit - len(self.ahead) < self.limit // BUNDLE:
            return
        while not self.exhausted and len(self.ahead) < self.limit:
            if self.ahead and self.feed.starved():
                return  # a live source: what is under way comes first
            self.filling = True
            part = self.feed.part(self.size)
            self.filling = False
            if part is None:
                self.exhausted = True
                return
            self.hand_in(part)

    def hand_in(self, part: Part) -> None:
        """Submit a piece of work. Where an element of it cannot be sent, that is an error at its own place."""
        number = 0
        if part.elements is None or part.elements:
            try:
                number = self.desk.submit(self.epoch, self.node, part)
            except ClosedError:
                raise
            except Exception as error:
                if part.elements is None:
                    raise
                self.exhausted = True
                if len(part.elements) > 1:
                    for single in part.pieces(1):
                        self.hand_in(single)
                        if self.ahead[-1][0] == 0:
                            return
                part = Part(befores=part.befores[:1], elements=(), failure=error)
        self.ahead.append((number, part))

    def next(self) -> tuple[Part, Outcome] | None:
        """Return the next piece of work and what became of it; None at the end."""
        self.fill()
        if not self.ahead:
            return None
        number, part = self.ahead[0]
        if number:
            began = time.perf_counter()
            outcome = self.desk.take(number)
            self.desk.tally.waited += time.perf_counter() - began
            if isinstance(outcome.error, Split):
                self.ahead.popleft()
                self.again(part.pieces(1))
                return self.next()
            self.check(part, outcome)
            self.adapt(part, outcome)
        else:
            outcome = Outcome(0, [], None, None, 0.0)
        self.ahead.popleft()
        if isinstance(outcome.error, Cut):
            part, outcome = self.shortened(part, outcome)
        if part.failure is not None and outcome.error is None:
            outcome = outcome._replace(error=part.failure, worker=-1)  # it happened in the caller
        return part, outcome

    def check(self, part: Part, outcome: Outcome) -> None:
        """Compare what was asked for with what came: an account, always, so that nothing is ever lost unseen."""
        came = given(outcome)
        if came != part.size if outcome.error is None else isinstance(outcome.error, Cut) and not 0 < came < part.size:
            raise LedgerError(f"a worker gave {came} of {part.size} items: a fault of Penstock. Please report it.")

    def shortened(self, part: Part, outcome: Outcome) -> tuple[Part, Outcome]:
        """Submit again what a worker has left of a piece, in smaller ones; return what it has done."""
        done = given(outcome)
        self.again(part.pieces(max(1, int(TARGET * done / outcome.seconds)), done))
        return part.cut(0, done), outcome._replace(error=None)

    def again(self, parts: list[Part]) -> None:
        """Submit pieces of work that come before all others."""
        numbers = [self.desk.submit(self.epoch, self.node, part) for part in parts]
        self.ahead.extendleft(reversed(list(zip(numbers, parts, strict=True))))

    def adapt(self, part: Part, outcome: Outcome) -> None:
        """Learn from an outcome how large tickets should be, and how many."""
        limits, tally = self.desk.limits, self.desk.tally
        done = given(outcome)
        each = outcome.nbytes / max(1, done)
        if part.size == self.size and done:
            self.paces.append(outcome.seconds / done)
            wanted = int(TARGET / (min(self.paces) + 1e-9))
            if each:
                wanted = min(wanted, round(self.heavy / each))
            if outcome.items and isinstance(outcome.items[0], (list, tuple, dict)):
                wanted = min(wanted, OBJECTS // (1 + len(outcome.items[0])))
            self.size = max(1, min(2 * self.size, wanted, self.feed.largest))
            self.growing = self.size == 2 * part.size
        room = int(limits.nbytes / (each * max(part.size, self.size))) if each else limits.count
        tally.full += room < limits.count
        # While tickets are too small, few: those that are submitted cannot grow any more, and come before all others.
        self.limit = self.least if self.growing else max(self.least, min(limits.count, room))

    def close(self) -> None:
        """Give up what is under way."""
        self.exhausted = True
        self.desk.drop([number for number, _ in self.ahead])
        self.ahead.clear()
        self.feed.close()


def given(outcome: Outcome) -> int:
    """Return of how many positions or elements an outcome is."""
    return len(outcome.items) if outcome.counts is None else len(outcome.counts)


class Stage(Cursor):
    """The cursor of what workers compute: its items and positions are those of Walk and Spread, to the letter."""

    bundles = True

    def __init__(self, read: Afar, node: Node, position: Any) -> None:
        base, steps = chain(node)
        self.read = read
        self.chain = Chain(steps, base)
        self.skip = 0
        below, counts = position, None
        if steps:
            below, self.skip, *counts = position or (None, 0)
        self.account = Account(self.chain, counts[0] if counts else None)
        self.counts = list(self.account.counts)
        feed: Feed = Positions(base, below) if base.positional else Elements(read.start(base, below))
        self.at = feed.at  # with steps, the position below; else the index of this outcome's first item
        number = read.plan.nodes.index_of(node)
        self.window = Window(read.desk, feed, read.epoch, number, read.workers)
        self.part = Part()
        self.outcome = NOBODYS
        self.given = 0  # items of this outcome that are gone
        self.counted = 0  # how many of these a loader knows of
        self.flow: Iterator[Any] | None = None  # gives the rest of this outcome's items, behind our back
        self.total = 0
        self.element = 0  # of this outcome: the one whose items are being given
        self.of_element = 0  # how many of its items are gone
        self.skips: deque[Skipped] = deque()
        if read.progress is not None:
            read.progress.ahead.add(self)

    @property
    def dry(self) -> bool:
        """Whether nothing can be given before something comes from below."""
        return self.window.filling or (not self.window.ahead and self.given >= len(self.outcome.items))

    def __next__(self) -> Any:
        self.settle_flow()
        self.flow = None
        while self.given >= len(self.outcome.items):
            self.advance()
        value = self.outcome.items[self.given]
        counts = self.outcome.counts
        if counts is None:
            self.given += 1
            self.counted += 1
            return value
        element, of_element = self.element, self.of_element
        while of_element >= counts[element]:  # elements that became nothing
            element += 1
            of_element = 0
        if self.skips:
            self.settle(element)  # may raise, and then nothing has been given
        self.given += 1
        self.counted += 1
        self.element, self.of_element = element, of_element + 1
        if self.of_element == counts[self.element]:
            self.element += 1
            self.of_element = 0
        self.at = self.window.feed.before(self.part, self.element)
        self.counts = list(self.account.counts)
        return value

    def ready(self) -> Iterator[Any]:
        """Return the items of the outcome in hand: as a list's own iterator, the cheapest there is.

        It knows how many items it still has, so taking one is all that it takes to move the position.
        """
        items = self.outcome.items
        if self.outcome.counts is not None or self.given >= len(items):
            return iter(())
        if type(items) is not list:
            items = list(items)
        flow = iter(items)
        flow.__setstate__(self.given)  # type: ignore[attr-defined]
        self.flow, self.total = flow, len(items)
        return flow

    def settle_flow(self) -> None:
        """Learn how many items the flow has given."""
        if self.flow is not None:
            self.given = self.total - length_hint(self.flow)

    def flowed(self) -> int:
        """Return how many items have flowed since the last count."""
        self.settle_flow()
        flowed, self.counted = self.given - self.counted, self.given
        return flowed

    def settle(self, element: int) -> None:
        """Count what was left out up to an element; raise where the budget is spent."""
        while self.skips and self.skips[0].element <= element:
            skipped = self.skips.popleft()
            try:
                self.account.add(skipped, self.window.feed.place(self.part, skipped.element).position + 1)
            except BaseException:
                self.outcome = self.outcome._replace(items=())  # what stands behind is not to be delivered
                raise
            self.read.skipped(skipped)

    def advance(self) -> None:
        """Take the next outcome from the window."""
        if self.skips:
            self.settle(self.window.size + self.window.feed.largest)
        if self.outcome.error is not None:
            self.accuse(self.outcome)
            raise self.outcome.error
        if not self.chain.steps:
            self.at += self.given
        self.given = self.counted = 0
        self.outcome = NOBODYS  # let go of the memory before waiting for more
        found = self.window.next()
        if found is None:
            raise StopIteration
        self.part, self.outcome = found
        if isinstance(self.outcome.error, WorkerError):
            self.outcome = self.forgiven(self.outcome)
        self.skips.extend(self.outcome.skips)
        self.element = self.of_element = 0
        counts = self.outcome.counts
        if self.skip and counts:  # resumed within an element
            self.given = self.counted = self.of_element = self.skip
            self.skip = 0
            if self.of_element >= counts[0]:
                self.element, self.of_element = 1, 0

    def forgiven(self, outcome: Outcome) -> Outcome:
        """Leave out an item that ended its workers or its time, where a policy says so."""
        error = outcome.error
        for number, at in enumerate(self.chain.guards):
            guard: Any = self.chain.steps[at]
            if error is not None and self.chain.budgets[number] is not None and guard.concerns(error, self.read):
                self.accuse(outcome)
                where = self.window.feed.place(self.part, 0)
                skipped = Skipped(where.position, self.read.epoch, guard.label(), None, error, number)
                return outcome._replace(items=[], counts=[0], error=None, skips=[skipped])
        return outcome

    def accuse(self, outcome: Outcome) -> None:
        """Write on an error which worker it came from."""
        worker = next((x for x in self.read.desk.session.workers if x.number == outcome.worker), None)
        notes = getattr(outcome.error, "__notes__", ())
        if worker is not None and outcome.error is not None and not any(n.startswith("penstock: in ") for n in notes):
            outcome.error.add_note(f"penstock: in {worker}")

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last: behind elementwise steps, the element that it came from."""
        if self.outcome.counts is not None:
            return self.window.feed.place(self.part, self.element if self.of_element else self.element - 1)
        self.settle_flow()
        return Place(self.part.start + self.given - 1)

    def position(self) -> Any:
        """Return what Walk or Spread would return here."""
        if not self.chain.steps:
            self.settle_flow()
            return self.at + self.given
        at = [self.at, self.of_element or self.skip]
        return [*at, list(self.counts)] if self.chain.skips else at

    def onward(self) -> Any:
        """Return what Spread would return here."""
        below = self.window.feed.onward()
        if below is None:
            return None
        return [below, 0, [0] * len(self.counts)] if self.chain.skips else [below, 0]

    def starved(self) -> bool:
        """Tell whether nothing is at hand nor under way, and what is below must be waited for outside."""
        self.settle_flow()
        return self.given >= len(self.outcome.items) and not self.window.ahead and self.window.feed.starved()

    def interrupt(self) -> None:
        """Let what is below stop waiting."""
        self.window.feed.interrupt()

    def exhausted(self) -> bool:
        """Tell whether every ticket has been submitted."""
        return self.window.exhausted

    def prime(self) -> None:
        """Submit the first tickets. A stream is not opened before its time: it may be a live one."""
        if isinstance(self.window.feed, Positions):
            self.window.fill()

    def close(self) -> None:
        """Give up what is under way."""
        if self.flow is not None:
            self.given = self.total - len(list(self.flow))  # whoever has it, in whatever thread, finds it empty
        self.flow = None
        self.outcome = NOBODYS
        self.window.close()


class Afar(Reading):
    """A description whose positional and elementwise work is done by workers."""

    def __init__(  # noqa: PLR0913, PLR0917  made in two places
        self,
        plan: Plan,
        epoch: int,
        desk: Desk,
        workers: int,
        hear: Callable[[Skipped], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(plan, epoch, hear=hear, progress=progress)
        self.desk = desk
        self.workers = workers

    def at(self, epoch: int) -> Reading:
        """Return the same in another epoch."""
        return Afar(self.plan, epoch, self.desk, self.workers, self.hear, self.progress)

    def start(self, node: Node, position: Any) -> Cursor:
        """Begin to read: positional nodes by workers, whatever they would do in line."""
        self.check(node, position)
        if node.positional:
            return Stage(self, node, position)
        return node.start(self, position)

    def begin(self, node: Node, position: Any) -> Cursor:
        """Begin to read a chain of elementwise nodes."""
        return Stage(self, node, position)
