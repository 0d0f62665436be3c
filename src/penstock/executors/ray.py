"""Ray: work in actors, on any node of a Ray cluster; batches through Ray's object store.

    session ──[ waiting ]──> thread k ──a call──> actor k, anywhere
       ^                        │ ray.get            │
       └──────[ finished ]──────┘ <══ object store ══┘

A thread of the trainer looks after each actor: hands it tickets, one more than it works on where they are short, and
takes what comes, while the trainer trains. A free actor takes the next ticket, so a slow item delays nobody.

What dies is told by Ray. The thread asks for another actor, on whatever node there is, and what the dead one had is
waiting again; what it was at is the first of its tickets without an outcome, since actors take them in turn.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Any

from penstock.errors import ClosedError, MissingExtra, WorkerError, WorkerNotStarted
from penstock.executors import ray_cluster
from penstock.executors.deaths import Deaths
from penstock.executors.messages import pickled_elements
from penstock.executors.patience import Patience
from penstock.executors.ray_seat import Seat
from penstock.executors.ray_worker import CONTROL, Board, RayWorker, space
from penstock.graph.checking import flag, function, whole
from penstock.graph.execution import NOBODYS, Executor, Outcome, Session, Split, Ticket, Work, Worker
from penstock.transport.bundle import Opener

logger = logging.getLogger("penstock")

OVERDUE = 10.0  # seconds without any worker after which it is said what Ray was asked for
ENDING = 2.0  # seconds that the threads have to notice that their actors are gone


@dataclass(frozen=True)
class Ray(Executor):
    """Work in ``count`` Ray actors, on any node of the cluster that this program is connected to.

    Args:
        count: how many, at least 1. Those that the cluster has no room for yet begin when it has.
        num_cpus: of each, as Ray counts them.
        num_gpus: the same.
        resources: others of the cluster's resources that each needs: ``{"ssd": 1}``.
        spread: place them on as many nodes as possible, not close together.
        start_within: seconds that the first may take until it works. A cluster that grows on demand needs minutes.
        on_start: called once in each worker before its first item, with the worker's number, from 0 on; also in one
            that replaces a worker that has died. What it raises keeps the workers from starting.

    Where Ray is not initialised, a running cluster is looked for as ``ray.init("auto")`` does; where there is none, Ray
    is started on this machine until the program ends, and ``num_cpus`` and ``resources`` are not counted there. It can
    be shut down before by ``ray.shutdown()``; arrays that came from it must not be used afterwards. Penstock, and what
    the pipeline's functions import, must be installed on the nodes, and files must have the same paths there.

    >>> import penstock as ps
    >>> ps.range(4).batch(2).loader(workers=ps.Ray(8, resources={"ssd": 1}))
    <Loader of range(4) → batch(2), Ray(8, resources={'ssd': 1}), epoch 0>
    """

    count: int = None  # type: ignore[assignment]  # None is refused: a cluster has no number of its own
    num_cpus: float = field(default=1, kw_only=True)
    num_gpus: float = field(default=0, kw_only=True)
    resources: Mapping[str, float] = field(default=(), kw_only=True)  # type: ignore[arg-type]  # pairs, once checked
    spread: bool = field(default=False, kw_only=True)
    start_within: float = field(default=600.0, kw_only=True)
    on_start: Callable[[int], object] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what Ray could not do, and say what to install."""
        if find_spec("ray") is None:
            raise MissingExtra('Ray() needs ray: pip install "penstock[ray]".', name="ray")
        object.__setattr__(self, "count", whole(self.count, "Ray()", "count", least=1))
        flag(self.spread, "Ray()", "spread")
        object.__setattr__(self, "resources", ray_cluster.checked(self.resources, self.num_cpus, self.num_gpus))
        ray_cluster.amount("start_within", self.start_within)
        if self.on_start is not None:
            function(self.on_start, "Ray()", "on_start", "Ray(4, on_start=lambda number: connect())")

    def __repr__(self) -> str:
        said = {"num_cpus": 1, "num_gpus": 0, "resources": {}, "spread": False, "start_within": 600.0}
        found = {name: getattr(self, name) for name in said} | {"resources": dict(self.resources)}
        words = [f"{name}={found[name]!r}" for name, default in said.items() if found[name] != default]
        return f"Ray({', '.join([str(self.count), *words])})"

    def options(self) -> dict[str, Any]:
        """Return what Ray is told of each actor."""
        found: dict[str, Any] = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        if self.resources:
            found["resources"] = dict(self.resources)
        if self.spread:
            found["scheduling_strategy"] = "SPREAD"
        return found

    def start(self, work: Work) -> Session:
        """Ask Ray for the actors."""
        return RaySession(work, self)


class RaySession(Session):
    """Actors that are alive, with work under way."""

    def __init__(self, work: Work, executor: Ray) -> None:
        self.ray = ray_cluster.connected(executor.count * executor.num_gpus)
        self.connection = ray_cluster.connection(self.ray)
        self.asked = ray_cluster.asked(self.ray, executor.options())  # of each actor
        self.executor = executor
        self.owner = os.getpid()
        self.room = threading.Condition(threading.RLock())  # re-entrant: garbage collection may cancel
        self.closed = False
        self.broken: WorkerError | None = None  # what makes it impossible to go on, once that has happened
        self.deaths = Deaths(work.plan, executor.count)
        self.patience = Patience(work)
        self.opener = Opener()
        self.round = 0  # raised by cancel: outcomes of earlier rounds are dropped
        self.sent: dict[int, tuple[Ticket, bytes | None]] = {}  # all that have no outcome yet, with their elements
        self.waiting: deque[int] = deque()  # those that no actor has
        self.idle = 0  # actors that wait for a ticket
        self.finished: SimpleQueue[tuple[int, Outcome]] = SimpleQueue()
        self.description = self.ray.put(ray_cluster.parcel(work, executor.on_start))
        self.board: Any = None
        self.here = space()
        # Not restarted by Ray: that would lose sight of what it was at.
        options = {"max_restarts": 0, "concurrency_groups": {CONTROL: 1}} | self.asked
        self.hire = self.ray.remote(**options)(RayWorker).remote  # asks for an actor
        self.began = time.monotonic()
        self.told = False
        self.seats = [Seat(self, number) for number in range(executor.count)]
        sessions.add(self)
        atexit.unregister(close_all)
        atexit.register(close_all)  # behind Ray's own, and so before it
        for seat in self.seats:
            seat.thread.start()

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be done."""
        return self.closed or self.broken is not None

    @property
    def connected(self) -> bool:
        """Whether Ray is still the one of the beginning."""
        return ray_cluster.connection(self.ray) == self.connection

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The actors that are ready; the process only of those that run where this program does."""
        return tuple(
            Worker(seat.number, "Ray", birth.pid)
            if birth.space == self.here
            else Worker(seat.number, f"Ray ({birth.host})")
            for seat in self.seats
            if (birth := seat.birth) is not None
        )

    @property
    def replaced(self) -> int:
        """How many actors died and were replaced."""
        return self.deaths.count

    # -- what the loader calls

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        self.check_owner()
        elements = None if ticket.elements is None else pickled_elements(ticket)
        with self.room:
            if self.closed:
                raise ClosedError("the workers have been closed")
            self.sent[ticket.number] = ticket, elements
            self.waiting.append(ticket.number)
            self.room.notify()

    def check_owner(self) -> None:
        """Refuse a fork of the trainer: Ray's threads are not in it."""
        if self.owner != os.getpid():
            raise ClosedError(f"this loader's workers belong to process {self.owner}. Make a new loader after a fork.")

    def collect(self) -> Outcome:
        """Wait for any outcome of this round."""
        self.check_owner()
        while True:
            if self.closed:
                raise ClosedError("the workers have been closed")
            if self.broken is not None:
                raise self.broken
            try:
                of, outcome = self.finished.get(timeout=self.patience.left() + 0.001)
            except Empty:
                of, outcome = -1, NOBODYS
            if of == self.round:
                return outcome
            if self.patience.due() and self.connected:
                self.look()
                self.await_first()

    def cancel(self) -> None:
        """Forget all tickets. What an actor has already, one or two, it computes for nobody."""
        with self.room:
            self.round += 1
            self.waiting.clear()
            self.sent.clear()
            self.deaths.forget()
            self.finished.put((self.round, NOBODYS))

    def close(self) -> None:
        """End the actors, whatever they are doing."""
        if self.owner != os.getpid():
            return
        with self.room:
            if self.closed:
                return
            self.closed = True
            self.waiting.clear()
            self.sent.clear()
            self.room.notify_all()
            self.finished.put((-1, NOBODYS))
        for actor in [self.board, *(seat.actor for seat in self.seats)]:
            self.kill(actor)
        deadline = time.monotonic() + ENDING
        for seat in self.seats:
            if seat.thread is not threading.current_thread():
                seat.thread.join(timeout=max(0.0, deadline - time.monotonic()))
        self.board = self.description = None

    # -- what the seats call

    def kill(self, actor: Any) -> None:
        """End an actor, if there is one."""
        if actor is not None and self.connected:
            with contextlib.suppress(Exception):  # it has gone already
                self.ray.kill(actor)

    def take(self) -> tuple[Ticket, bytes | None] | None:
        """Return the next ticket that waits, with its elements; the room is held."""
        return self.sent[self.waiting.popleft()] if self.waiting else None

    def settle(self, number: int) -> Ticket | None:
        """Strike a ticket off the list of those without an outcome; None where it is not there any more."""
        with self.room:
            ticket, _ = self.sent.pop(number, (None, None))
            self.deaths.computed(number)
            return ticket

    def deliver(self, outcome: Outcome) -> None:
        """Hand an outcome to whoever collects."""
        self.finished.put((self.round, outcome))

    def fail(self, error: WorkerError) -> None:
        """Let whoever collects know that it is impossible to go on."""
        with self.room:
            self.broken = self.broken or error
            self.room.notify_all()
            self.finished.put((-1, NOBODYS))

    def strike(self, number: int, item: tuple[int, int] | None, status: int, words: str) -> None:
        """Count a death at a ticket; that is its outcome where it was one too many. The room is held."""
        if number not in self.sent:  # cancelled, or what the actor was ended for
            return
        outcome = self.deaths.strike(self.sent[number][0], item, status, words)
        if outcome is not None:
            del self.sent[number]
            self.deliver(outcome)

    def put_back(self, numbers: list[int]) -> None:
        """Let tickets wait again that an actor had which has died. The room is held."""
        # What was being computed comes last: if somebody kills at random, the next to die is at something else.
        strikes = self.deaths.strikes
        back = [*self.waiting, *(number for number in numbers if number in self.sent)]
        self.waiting = deque(sorted(back, key=lambda number: (strikes.get(number, 0), number)))
        self.room.notify_all()

    def board_of(self, number: int) -> Any:
        """Return where a worker says which item it is at, if it must: where another has died of the same ticket."""
        with self.room:
            if number not in self.deaths.strikes:
                return None
            if self.board is None:
                self.board = self.ray.remote(num_cpus=0)(Board).remote()
            return self.board

    def item_of(self, number: int) -> tuple[int, int] | None:
        """Return which item of a ticket was being computed, if that was said."""
        if self.board is None or number not in self.deaths.strikes:
            return None
        with contextlib.suppress(self.ray.exceptions.RayError):
            found: tuple[int, int] | None = self.ray.get(self.board.read.remote(number), timeout=ENDING)
            return found
        return None

    # -- patience

    def look(self) -> None:
        """End an actor that has been at one item for too long, or warn of it."""
        for seat in self.seats:
            with self.room:
                head = seat.under_way[0].number if seat.under_way and seat.birth is not None else 0
                ticket, _ = self.sent.get(head, (None, None))
            if ticket is None or time.monotonic() - seat.since < self.patience.tick:
                continue
            sight = seat.sight()
            known = sight is not None and sight.number == head
            seconds = self.patience.exceeded(seat.number, head, seat.since, sight.item if sight and known else None)
            if not seconds:
                seat.ask()
                continue
            worker = next((str(x) for x in self.workers if x.number == seat.number), f"Ray worker {seat.number}")
            stack = sight.stack if sight and known else "(it does not answer)"
            text = self.patience.describe(ticket, sight.item if sight and known else None, seconds, worker, stack)
            if not self.patience.fatal:
                self.patience.warn(text)
                continue
            with self.room:
                if self.settle(head) is None:
                    continue  # just now it was done
                self.patience.looks.pop(seat.number, None)
            error = Split() if ticket.size > 1 else self.patience.error(text)
            self.deliver(Outcome(head, [], None, error, seconds, 0, seat.number))
            self.kill(seat.actor)

    def await_first(self) -> None:
        """Say what Ray was asked for, where no actor works yet; give up where that takes too long."""
        waited = time.monotonic() - self.began
        if self.told and waited < self.executor.start_within:
            return
        if self.deaths.count or any(seat.birth is not None for seat in self.seats):
            return
        words = f"none of {self.executor!r} works yet, after {waited:.0f} s. {ray_cluster.room(self.ray, self.asked)}."
        if waited >= self.executor.start_within:
            self.fail(WorkerNotStarted(f"{words} Ask for less, or wait longer: Ray(…, start_within=seconds)."))
        elif waited >= OVERDUE:
            self.told = True
            logger.warning("%s Still waiting.", words)


sessions: weakref.WeakSet[RaySession] = weakref.WeakSet()


def close_all() -> None:
    """Close what is open, before Ray ends: no thread may wait in it then."""
    for session in list(sessions):
        session.close()
