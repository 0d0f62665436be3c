"""A seat of ``Ray``: one actor, the thread that looks after it, and the next actor where this one dies."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import WorkerError, WorkerNotStarted
from penstock.executors.messages import open_body, unreadable
from penstock.executors.nursery import search_path
from penstock.executors.ray_worker import CONTROL, Birth, Sight
from penstock.graph.execution import Outcome, Split, Ticket
from penstock.transport.bundle import Piece, unbundle

if TYPE_CHECKING:
    from penstock.executors.ray import RaySession

SHORT = 0.05  # seconds of a ticket below which the way there and back would leave its actor idle for a part that counts
EXIT = re.compile(r"exit code (\d+)")
SHUT = "Ray was shut down while a loader used it. Make a new loader; arrays that came from this one are gone."
GUESSES = "Some common causes include"  # what Ray says of any death from here on


class Sent(NamedTuple):
    """A ticket that an actor has."""

    number: int
    ref: Any


class Seat:
    """One actor of a session, and the thread that looks after it."""

    def __init__(self, session: RaySession, number: int) -> None:
        self.session = session
        self.ray = session.ray
        self.number = number
        self.actor: Any = None
        self.birth: Birth | None = None  # None until it is ready
        self.under_way: deque[Sent] = deque()
        self.pace = 0.0  # seconds of the ticket before
        self.since = 0.0  # when it began with the first of these, as far as one can see from here
        self.question: Any = None  # the answer to what it is at, when that has come
        self.thread = threading.Thread(target=self.run, name=f"penstock-ray-{number}", daemon=True)

    def run(self) -> None:
        """Keep an actor at work, until the session closes."""
        while not self.session.over:
            try:
                self.begin()
                while self.step():
                    pass
            except BaseException as error:  # noqa: BLE001  somebody waits for an answer
                self.cope(error)

    def cope(self, error: BaseException) -> None:
        """Find out what an error means that came instead of an outcome."""
        session = self.session
        if not session.connected:  # then any error may come, an exit, for one
            session.fail(WorkerError(SHUT))
        elif isinstance(error, self.ray.exceptions.RayTaskError):  # it lives, but something in it that is ours failed
            session.fail(WorkerError(f"worker {self.number} failed, not the item that it was at: {error}"))
        elif isinstance(error, self.ray.exceptions.RayError):
            self.mourn(error)
        else:
            session.fail(WorkerError(f"Ray cannot be asked for worker {self.number}: {error!r}"))

    def begin(self) -> None:
        """Ask for an actor, and wait until it is ready."""
        session = self.session
        with session.room:
            if session.closed:
                return
            self.check()
            self.actor = session.hire()
            ready = self.actor.prepare.remote(self.number, search_path(), session.description)
        birth = self.answer(ready)
        if isinstance(birth, str):
            session.fail(WorkerNotStarted(f"worker {self.number} could not start. It said:\n{birth}"))
        else:
            self.birth = Birth(*birth)

    # -- tickets

    def step(self) -> bool:
        """Wait for an outcome and pass it on, and hold nothing of it while waiting for the next. False at the end."""
        sent = self.next()
        if sent is None:
            return False
        self.receive(sent.number, *self.answer(sent.ref))
        return True

    def answer(self, ref: Any) -> Any:
        """Wait for the answer of a call."""
        self.check()
        return self.ray.get(ref)

    def check(self) -> None:
        """Refuse to go on where Ray was shut down: whatever is asked of it then starts another one."""
        if not self.session.connected:
            raise WorkerError(SHUT)

    def next(self) -> Sent | None:
        """Return the ticket whose outcome comes next; hand over what the actor has room for. None at the end."""
        session = self.session
        while True:
            with session.room:
                while not (self.under_way or session.waiting or session.over):
                    session.idle += 1
                    try:
                        session.room.wait()
                    finally:
                        session.idle -= 1
                if session.over:
                    return None
                order = session.take() if self.has_room() else None
            if order is None:
                if self.under_way:
                    return self.under_way[0]
                continue
            self.send(*order)

    def has_room(self) -> bool:
        """Tell whether the actor should have another ticket: a second one beside a short one, if nobody is idle."""
        if not self.under_way:
            return True
        return len(self.under_way) < 2 and self.pace < SHORT and len(self.session.waiting) > self.session.idle

    def send(self, ticket: Ticket, elements: bytes | None) -> None:
        """Hand over a ticket."""
        if not self.under_way:
            self.since = time.monotonic()
        fields = tuple(ticket._replace(elements=None, places=()))
        try:
            self.check()
            board = self.session.board_of(ticket.number)
            more = () if elements is None and board is None else (elements, board)  # each costs Ray some 30 µs
            ref = self.actor.perform.remote(fields, *more)
        except BaseException:  # no room for its elements in the store, say
            self.under_way.append(Sent(ticket.number, None))  # so that it is not lost
            raise
        self.under_way.append(Sent(ticket.number, ref))

    def receive(self, number: int, seconds: float, *pieces: Piece) -> None:
        """Take an outcome."""
        with self.session.room:
            self.under_way.popleft()
            self.pace, self.since = seconds, time.monotonic()
            ticket = self.session.settle(number)
        if ticket is None:  # it was cancelled, or given up
            return
        nbytes = sum(map(len, pieces))
        try:
            items, counts, error, skips = open_body(unbundle(self.session.opener.opened(pieces)))
        except Exception as problem:  # noqa: BLE001  a user's class that cannot be rebuilt here
            items, counts, skips = [], None, []
            error = Split() if ticket.size > 1 else unreadable(problem, ticket)
        self.session.deliver(Outcome(number, items, counts, error, seconds, nbytes, self.number, skips))

    # -- the end of an actor

    def mourn(self, error: Exception) -> None:
        """Let go of an actor that has ended, or whose node has; what it had is waiting again."""
        session = self.session
        head = self.under_way[0].number if self.under_way else 0
        item = session.item_of(head)
        with session.room:
            lost = [sent.number for sent in self.under_way]
            ready = self.birth is not None
            self.under_way.clear()
            self.birth = self.question = None
            self.pace = 0.0
            session.kill(self.actor)
            self.actor = None
            if session.closed:
                return
            status, words = cause(error)
            broken = session.deaths.add(status, ready=ready, words=words)
            if broken is not None:
                session.fail(broken)
                return
            session.strike(head, item, status, words)
            session.put_back(lost)

    def ask(self) -> None:
        """Ask the actor what it is at; the answer is there at the next look."""
        if self.question is None:
            self.question = self.actor.sight.options(concurrency_group=CONTROL).remote()

    def sight(self) -> Sight | None:
        """Return what the actor said that it is at, if it has said anything since it was asked."""
        question = self.question
        if question is None or not self.ray.wait([question], timeout=0)[0]:
            return None
        self.question = None
        try:
            return Sight(*self.ray.get(question))
        except self.ray.exceptions.RayError:
            return None  # it has died; its thread will say so


def cause(error: Exception) -> tuple[int, str]:
    """Return how an actor ended, as far as Ray knows, as a process's status and in words.

    Ray tells an exit from a death by a signal, but not one signal from another, nor from the death of a whole node.
    """
    text = str(error).strip()
    words = " ".join(text.splitlines()[-1].partition(GUESSES)[0].split())
    found = EXIT.search(text)
    return (int(found[1]) if found else -signal.SIGKILL), words
