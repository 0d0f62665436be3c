"""prefetch: what stands before it runs ahead, in a thread of its own.

    input ──thread──> [ value, position ] × count ──> consumer

A loader's workers run ahead anyway. This is for the steps that run in the caller: behind a filter and its batch, say,
it lets compaction and collation overlap with training.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.graph.checking import whole
from penstock.graph.node import Cursor, Place, Unchanged, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class Prefetch(Unchanged):
    """The same items; up to ``count`` of them are computed before they are asked for."""

    count: int

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(count=whole(self.count, "prefetch()", "count", least=1))

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the input in a thread."""
        return Ahead(self, read, position)

    def label(self) -> str:
        """Return ``prefetch(n)``."""
        return f"prefetch({self.count})"


class Step(NamedTuple):
    """What the thread hands over: a value and the position behind it, or the error that ended it."""

    value: Any
    position: Any
    error: BaseException | None


class Handoff:
    """A bounded queue between one producer and one consumer, which either may close; nobody ever waits for the dead.

    Two queues, of steps and of room for them: they wait and wake in C, so a finalizer may close in the middle of
    anything, and a step costs less than with a condition.
    """

    def __init__(self, count: int) -> None:
        self.steps: SimpleQueue[Step] = SimpleQueue()
        self.room: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self.room.put(None)
        self.given = 0  # how many steps, ever
        self.closed = False

    def put(self, step: Step) -> bool:
        """Wait for room, then hand over; False where nobody wants it any more."""
        self.room.get()
        if not self.closed:
            self.given += 1
            self.steps.put(step)
        return not self.closed

    def get(self) -> Step:
        """Wait for the next step."""
        if self.closed:
            return Step(None, None, StopIteration())
        self.room.put(None)  # first: an interruption must not take room away
        return self.steps.get()

    def close(self) -> None:
        """Wake whoever waits, for the last time."""
        self.closed = True
        with contextlib.suppress(Empty):
            while True:
                self.steps.get_nowait()
        self.steps.put(Step(None, None, StopIteration()))
        self.room.put(None)


class Ahead(Cursor):
    """Takes from the thread.

    Its position is ``[items delivered, the input's position behind the last of them]``; of a sequence, the next index.
    """

    handed: int
    after: Any

    def __init__(self, node: Prefetch, read: Reading, position: Position) -> None:
        self.positional = node.positional
        self.handed, self.after = (position or 0, position) if self.positional else (position or (0, None))
        self.handoff = Handoff(node.count)
        self.progress = read.progress
        self.got = 0  # steps, ever
        self.asking = True  # whether nobody is at one of them
        if self.progress is not None:
            self.progress.ahead.add(self)
        self.below = read.start(node.input, self.after)
        self.thread: threading.Thread | None = None
        self.finalizer = weakref.finalize(self, self.handoff.close)
        self.finalizer.atexit = False
        self.end: BaseException | None = None

    def prime(self) -> None:
        """Start the thread."""
        if self.thread is None:
            arguments = (self.handoff, self.below)
            self.thread = threading.Thread(target=produce, args=arguments, name="penstock-prefetch", daemon=True)
            self.thread.start()

    def __next__(self) -> Any:
        if self.end is not None:
            raise self.end
        self.prime()
        self.asking = True
        if self.progress is not None and self.dry:
            self.progress.look()
        step = self.handoff.get()
        self.asking = step.error is not None
        self.got += 1
        if isinstance(step.error, StopIteration):
            self.end = StopIteration()  # not the one that is raised: its traceback would hold this cursor for ever
            raise StopIteration
        if step.error is not None:
            self.end = step.error
            raise step.error
        self.handed += 1
        self.after = step.position
        return step.value

    @property
    def dry(self) -> bool:
        """Whether nothing is at hand, and somebody waits for it; nothing, too, where there will be no more."""
        return self.asking and self.got == self.handoff.given

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.handed - 1)

    def position(self) -> Position:
        """Return the count and the input's position: of what was delivered, not of what was read ahead."""
        return self.handed if self.positional else [self.handed, self.after]

    def onward(self) -> Position:
        """Return where the next epoch begins, if the input knows; once the thread has come to its end."""
        below = None if self.end is None else self.below.onward()
        return None if below is None else [0, below]

    def starved(self) -> bool:
        """Tell whether nothing is at hand, and the input must be waited for outside."""
        return self.handoff.steps.empty() and self.below.starved()

    def interrupt(self) -> None:
        """Let the input stop waiting."""
        self.below.interrupt()

    def close(self) -> None:
        """Stop the thread at its next item; do not wait for an item that is being computed for long."""
        self.handoff.close()
        self.below.interrupt()
        if self.thread is None:
            self.below.close()
        elif self.thread is not threading.current_thread():
            self.thread.join(timeout=1.0)


def produce(handoff: Handoff, below: Cursor) -> None:
    """Read until the end, an error, or until nobody wants more. The body of the thread."""
    try:
        for value in below:
            if not handoff.put(Step(value, below.position(), None)):
                return
            del value  # or its memory could not be recycled before the next one is made
        handoff.put(Step(None, None, StopIteration()))
    except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to the consumer
        handoff.put(Step(None, None, error))
    finally:
        below.close()
