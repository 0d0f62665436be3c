"""Lanes: a pipeline being read on the server, for whoever wants batches near where it stands.

    loader ──► entry, entry, entry, end of epoch, entry, …      read in a thread of its own, bounded in count and bytes
                 ▲             ▲
                 route         route                            consumers, each at its own place

A lane goes on into the next epoch, as far as its bounds allow, so a consumer that begins one finds it begun. Whoever
asks for another place gets another lane, or an idle one that moves there: every place of every epoch can be computed,
so a server need not keep anything for anybody.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import RemoteError
from penstock.transport.wire import Parcel

if TYPE_CHECKING:
    from penstock.loader import Loader
    from penstock.surface.dataset import Dataset

logger = logging.getLogger("penstock")

AHEAD = 64  # batches of the next epoch that are read before anybody asks for it
CLOSING = 10.0  # seconds that a reading thread has to come to an end


class Where(NamedTuple):
    """A place in the stream."""

    epoch: int
    number: int
    below: Any = None
    """The position of the server's pipeline there; None at the front, and where the number says it."""


class Key(NamedTuple):
    """Which batches, and which part of each, a lane reads."""

    share: tuple[int, int] = (0, 1)
    shard: tuple[int, int] | None = None

    def first(self, number: int) -> int:
        """Return the first number from one on that is this lane's."""
        which, of = self.share
        return number + (which - number) % of


@dataclass(slots=True, eq=False)
class Entry:
    """One thing in a lane: a batch, the end of an epoch, or an error."""

    epoch: int
    number: int
    before: Any
    """The pipeline's position before it."""
    after: Any = None
    parcel: Parcel | None = None
    total: int | None = None
    """At the end of an epoch: how many batches it had."""
    error: dict[str, Any] | None = None
    nbytes: int = 0
    frames: list[Any] = field(default_factory=list)
    """What is sent, made once."""
    batches: Any = None
    """What a message says of it, made once."""
    shared: Any = None
    """Where it lies in shared memory, once somebody on this host wanted it."""
    group: Any = None
    """The small batches that it travels with."""


def described(error: BaseException) -> dict[str, Any]:
    """Return an error as text, cut to what a message may hold."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        words = str(error)
    except Exception:  # noqa: BLE001  a broken __str__ must not hide the error
        words = "<no message>"
    notes = [str(note)[:1000] for note in getattr(error, "__notes__", ())][:16]
    trace = "".join(traceback.format_exception(error))
    return {"type": name[:256], "text": words[: 1 << 14], "notes": notes, "trace": trace[-(1 << 15) :]}


def rebuilt(fields: dict[str, Any]) -> RemoteError:
    """Return the consumer's error for a server's; the traceback over there is its cause."""
    from penstock.transport.failure import RemoteTraceback

    error = RemoteError(f"{fields['type']}: {fields['text']}")
    for note in fields["notes"]:
        error.add_note(note)
    error.__cause__ = RemoteTraceback(fields["trace"])
    return error


class Lane:
    """One reading of the pipeline.

    Args:
        dataset: what is read.
        key: which batches of it.
        make: makes the loader, in the lane's own thread.
        bounds: how many batches, and bytes, may be at hand and wanted by somebody still.
        wake: called in the lane's thread when there is something new, and somebody has looked for it.
        stuck: called in the lane's thread, under its lock, when there is no more room.
    """

    def __init__(  # noqa: PLR0913  made in one place
        self,
        dataset: Dataset[Any],
        key: Key,
        make: Callable[[Dataset[Any], Key], Loader[Any]],
        bounds: tuple[int, int],
        wake: Callable[[], None],
        *,
        stuck: Callable[[], None] = lambda: None,
    ) -> None:
        self.key = key
        self.positional = dataset.node.positional
        self.dataset = dataset[key.share[0] :: key.share[1]] if self.skips else dataset  # type: ignore[index]
        self.make = make
        self.count, self.nbytes = bounds
        self.wake = wake
        self.stuck = stuck
        self.entries: deque[Entry] = deque()
        self.base = 0  # what the first entry is counted as
        self.held = 0  # bytes of the entries
        self.place = Where(0, 0)  # behind what was computed last; its number and its position belong together
        self.order: Where | None = None  # where to move
        self.reading = False
        self.full = 0.0  # since when there is no room for what comes next; 0 where there is
        self.ended = -1  # what the last end of an epoch is counted as
        self.closed = False
        self.wanted = True  # whether somebody found nothing, and is to be woken
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.loader: Loader[Any] | None = None
        self.thread = threading.Thread(target=self._run, name="penstock-lane", daemon=True)
        self.thread.start()

    @property
    def skips(self) -> bool:
        """Whether the batches of others need not be computed."""
        return self.positional and self.key.share[1] > 1

    @property
    def head(self) -> int:
        """What the next entry will be counted as."""
        return self.base + len(self.entries)

    # -- the server's thread

    def move(self, where: Where) -> int:
        """Read from another place, and forget all that was read; return what this place is counted as."""
        with self.changed:
            self.order = where
            self.place = where
            self.reading = self.wanted = True
            self.base = self.head
            self.entries.clear()
            self.held = 0
            self.changed.notify_all()
            return self.base

    def find(self, epoch: int, number: int) -> int | None:
        """Return what a place is counted as, if it is here or comes next."""
        number = self.key.first(number)
        with self.lock:
            for place, entry in enumerate(self.entries):
                if entry.epoch == epoch and entry.number == number and entry.error is None:
                    return self.base + place
            if self.reading and self.stands(epoch, number):
                return self.head
        return None

    def front(self) -> tuple[int, Where]:
        """Return what comes next is counted as, and where it is: of one moment, for the lane reads on."""
        with self.lock:
            return self.head, self.place

    def stands(self, epoch: int, number: int) -> bool:
        """Tell whether a batch of this lane's is what is computed next."""
        return self.place.epoch == epoch and self.key.first(self.place.number) == number

    def at(self, count: int) -> Entry | None:
        """Return an entry, if it is there; else whoever asks is woken when there is something new."""
        place = count - self.base
        if not 0 <= place < len(self.entries):
            with self.lock:
                if not 0 <= place < len(self.entries):
                    self.wanted = True
                    return None
        return self.entries[place]

    def some(self, count: int, most: int) -> list[Entry]:
        """Return what is there from an entry on, but not more than so many."""
        place = count - self.base
        with self.lock:
            return [*islice(self.entries, place, place + most)]

    def trim(self, low: int) -> None:
        """Forget what nobody wants any more."""
        with self.lock:
            while self.entries and self.base < low:
                self.held -= self.entries.popleft().nbytes
                self.base += 1
            if self.full:
                self.changed.notify_all()

    def close(self, *, wait: bool = True) -> None:
        """Stop reading, and end the workers; without waiting, they end when what they are at does."""
        with self.changed:
            self.closed = True
            self.order = None
            self.changed.notify_all()
        if wait:
            loader = self.loader
            if loader is not None:
                loader.close()
            self.thread.join(CLOSING)

    # -- the lane's own thread

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.closed or self.order is not None)
                where, self.order = self.order, None
                if self.closed or where is None:
                    break
            try:
                self._read(where)
            except BaseException as error:  # noqa: BLE001  it is the consumer's
                self._fail(error)
        if self.loader is not None:
            self.loader.close()

    def _fail(self, error: BaseException) -> None:
        with self.changed:
            if self.closed or self.order is not None:
                return
            self.entries.append(Entry(*self.place, error=described(error)))
            self.reading = False
        self.wake()

    def _read(self, where: Where) -> None:
        which, of = self.key.share
        if self.loader is None:
            self.loader = self.make(self.dataset, self.key)
        loader = self.loader
        number, position = self.key.first(where.number), where.below
        if self.positional:
            position = (number - which) // of if number else None
        step = of if self.skips else 1
        at = number if self.skips else where.number
        loader.load_state_dict({**loader.state_dict(), "epoch": where.epoch, "position": position})
        for epoch in range(where.epoch, 1 << 32):  # the loader counts with us, and begins the next one early
            reading = iter(loader)
            before = position
            for item in reading:
                after = None if self.positional else reading.position
                if at % of == which and not self._put(Entry(epoch, at, before, after, Parcel(item))):
                    return
                before, at = after, at + step
                item = None  # noqa: PLW2901  a batch's memory is the worker's again as soon as it can be
            total = None if self.skips else at
            if not self._put(Entry(epoch, self.key.first(at), before, total=total)):
                return
            at, position = which if self.skips else 0, None

    def _room(self, entry: Entry) -> bool:
        if not self.entries:
            return True
        early = self.ended >= self.base and self.head - self.ended > AHEAD
        if early or entry.epoch > self.entries[0].epoch + 1:
            return False
        return len(self.entries) < self.count and self.held + entry.nbytes <= self.nbytes

    def _put(self, entry: Entry) -> bool:
        """Add an entry when there is room; return whether to go on."""
        entry.nbytes = 0 if entry.parcel is None else entry.parcel.nbytes
        with self.lock:
            while not (self.closed or self.order is not None or self._room(entry)):
                if self.full:
                    self.changed.wait()
                else:
                    self.full = time.monotonic()
                    self.stuck()
            self.full = 0.0
            if self.closed or self.order is not None:
                return False
            self.entries.append(entry)
            self.held += entry.nbytes
            ended = entry.parcel is None
            if ended:
                self.ended = self.head - 1
            self.place = Where(entry.epoch + 1, 0) if ended else Where(entry.epoch, entry.number + 1, entry.after)
            wanted, self.wanted = self.wanted, False
        if wanted:
            self.wake()
        return True
