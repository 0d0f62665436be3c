"""The loop of a server: sockets, accounts, and the lanes behind it.

    consumers ◄── ROUTER ◄── loop (one thread) ◄── lanes (a thread and a loader each) ◄── workers
    those of this host ◄── Unix sockets ◄────────────┘

The loop alone touches ZeroMQ's sockets. It never waits for a lane, and never for a consumer: what has no credit is not
sent. Nothing that a peer says can raise in it; whatever is nonsense drops that peer. Where there are consumers of this
host, a lane that has read a batch sends it to them in its own thread; accounts have a lock for that, and what must go
through ZeroMQ meanwhile is left to the loop. A lane never waits for that lock, since whoever has it may wait for lanes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
import zlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.errors import ServiceError
from penstock.graph import position as states
from penstock.graph.context import teach_malloc
from penstock.graph.drawing import line
from penstock.service import protocol
from penstock.service.arguments import PLACE
from penstock.service.bell import Bell
from penstock.service.dealing import Dealing
from penstock.service.door import Door
from penstock.service.figures import figures_of
from penstock.service.following import Following
from penstock.service.guests import Guests
from penstock.service.lanes import Key, Lane
from penstock.service.library import MORE, NOBLOCK, POLLIN, PROGRESS, received, version, zmq
from penstock.service.local import Hall, possible
from penstock.service.protocol import BEAT, Nonsense
from penstock.service.routes import Guest
from penstock.service.terms import Terms, fewer

if TYPE_CHECKING:
    from penstock.loader import Loader
    from penstock.surface.dataset import Dataset

logger = logging.getLogger("penstock")

COPIED = 1 << 18  # bytes up to which a copy costs less than hearing, in a thread of pyzmq's, that memory was sent
FAULT = "the data service has stopped: a fault of Penstock"
TURN = 512  # messages that are heard before something is sent again


class Loop:
    """What the server's thread does; apart from the server, so that a server that is garbage can be ended."""

    def __init__(self, dataset: Dataset[Any], endpoints: Sequence[str], terms: Terms) -> None:
        self.dataset = dataset
        self.terms = terms
        pipeline = states.pipeline(dataset.node)
        digest = zlib.crc32("\n".join(pipeline).encode())
        self.totals = {"batches": 0, "bytes": 0}
        self.began = time.monotonic()
        self.stopping = threading.Event()
        self.thread = 0  # the loop's own
        self.tick = 0.0
        self.mode: Following | Dealing
        if terms.mode == "share":
            self.mode = Dealing(self.start_lane, self, terms.state_file, digest, terms.patience)
        else:
            self.mode = Following(self.start_lane, self, terms.lanes)
        self.bell = Bell()
        self.lock = threading.RLock()  # of all accounts
        self.later: list[tuple[Guest, Sequence[Any], Sequence[Any]]] = []  # what lanes leave to the loop's thread
        self.endpoints: list[str] = []
        self.hall: Hall | None = None
        teach_malloc()  # each group of small batches is memory of its own
        self.library = zmq()
        self.context = self.library.Context()
        try:
            self.open_sockets(endpoints)
        except BaseException:
            self.shut()
            raise
        welcome = self.welcome(pipeline, digest)
        self.guests = Guests(terms, self.mode, self, welcome, line(dataset.node), partial(figures_of, self))

    def welcome(self, pipeline: Sequence[str], digest: int) -> dict[str, Any]:
        """Return what everybody is told who comes, but for the token."""
        terms = self.terms
        return {
            "version": version(),
            "instance": secrets.token_hex(8),
            "mode": terms.mode,
            "pipeline": [step[:64] for step in pipeline],
            "digest": digest,
            "kept": terms.state_file is not None,
            "patience": terms.patience,
            "window": terms.window,
            "bytes": terms.window_bytes,
            "local": None if self.hall is None else self.hall.name,
        }

    # -- sockets

    def open_sockets(self, endpoints: Sequence[str]) -> None:
        """Bind, or connect, and let the door be kept."""
        z = self.library
        self.context.max_sockets = 1023
        self.door = Door(self.context, self.terms.keys, self.terms.rate)
        router = self.router = self.context.socket(z.ROUTER)
        router.linger = 0
        router.sndhwm = 0  # credit bounds what is sent
        router.rcvhwm = 64
        router.maxmsgsize = protocol.WORDS + 1024
        router.router_mandatory = True
        router.handshake_ivl = 5000
        router.backlog = 512
        router.ipv6 = any("[" in endpoint for endpoint in endpoints)
        if not self.terms.bind:
            router.probe_router = True  # knocks at a consumer that waits, …
            router.immediate = True  # … again with every connection, and keeps nothing for the next consumer there
            router.reconnect_ivl, router.reconnect_ivl_max = 10, 200  # it comes back for each epoch
        router.setsockopt(z.TCP_MAXRT, PROGRESS)
        router.zap_domain = b"penstock"
        if self.terms.keys is not None:
            router.curve_server = True
            router.curve_secretkey = self.terms.keys.pair.secret.encode()
        for endpoint in endpoints:
            try:
                (router.bind if self.terms.bind else router.connect)(endpoint)
            except z.ZMQError as error:
                what = "bound" if self.terms.bind else "connected to"
                raise ServiceError(f"serve(): {endpoint} cannot be {what}: {error}. {PLACE}") from None
            self.endpoints.append(router.last_endpoint.decode() if self.terms.bind else endpoint)
        self.poller = z.Poller()
        self.poller.register(router, z.POLLIN)
        self.poller.register(self.door.socket, z.POLLIN)
        self.poller.register(self.bell.number, z.POLLIN)
        if self.terms.local and possible():
            self.hall = Hall()
            self.hall.watch(self.poller, starved=False)

    def wake(self) -> None:
        """Let the loop look again."""
        self.bell.ring()

    def deliver(self) -> None:
        """Send what a lane has read. Called by lanes, in their threads."""
        hall = self.hall
        if hall is None or not hall.neighbours or not self.lock.acquire(blocking=False):
            self.wake()
            return
        try:
            if not self.stopping.is_set():
                self.visit(hall)
                self.mode.pump()
                if self.starved and not hall.patient:
                    self.wake()
        except Exception:
            logger.exception(FAULT)
            self.stopping.set()
            self.wake()
        finally:
            self.lock.release()

    def stuck(self) -> None:
        """Hear at once what consumers of this host are through with: a lane has no room. Called by lanes."""
        if self.hall is not None and self.hall.neighbours:
            self.wake()

    def frame(self, memory: Any) -> Any:
        """Return a frame over memory that can be sent several times."""
        return self.library.Frame(memory, copy=len(memory) <= COPIED)

    def copied(self, memory: Any) -> Any:
        """Return such a frame with a copy of the memory, which ZeroMQ frees by itself when it is sent."""
        return self.library.Frame(memory, copy=True)

    def send(self, guest: Guest, frames: Sequence[Any], bulk: Sequence[Any] = ()) -> None:
        """Send a message to a consumer; one that is gone is noted."""
        if threading.get_ident() != self.thread:
            self.later.append((guest, frames, bulk))
            self.wake()
            return
        z, send = self.library, self.router.send
        try:
            send(guest.identity, NOBLOCK | MORE)
            send(frames[0], NOBLOCK | MORE if bulk else NOBLOCK)
            for frame in bulk[:-1]:
                send(frame, NOBLOCK | MORE, copy=False)
            for frame in bulk[-1:]:
                send(frame, NOBLOCK, copy=False)
        except z.ZMQError as error:
            if error.errno not in (z.EHOSTUNREACH, z.EAGAIN):
                raise
            guest.gone = True
        if bulk:
            self.totals["bytes"] += sum(map(len, bulk))

    def count(self, batches: int) -> None:
        """Hear how many batches were sent."""
        self.totals["batches"] += batches

    # -- lanes

    def start_lane(self, key: Key) -> Lane:
        """Start to read the pipeline, for one kind of consumer."""
        terms = self.terms
        return Lane(
            self.dataset, key, self.make_loader, (terms.window, terms.window_bytes), self.deliver, stuck=self.stuck
        )

    def make_loader(self, dataset: Dataset[Any], key: Key) -> Loader[Any]:
        """Return a loader; ranks divide the workers among them."""
        workers = self.terms.workers
        if workers is not None and key.shard is not None and getattr(workers, "count", 0) > 1:
            workers = fewer(workers, key.shard[1])
        return dataset.loader(workers=workers, shard=key.shard, window_bytes=max(1, self.terms.window_bytes // 4))

    # -- the loop

    def run(self) -> None:
        """Serve until told to stop."""
        self.thread = threading.get_ident()
        try:
            while not self.stopping.is_set():
                ready = dict(self.poller.poll(250))
                with self.lock:
                    self.turn(ready)
        except Exception:
            logger.exception(FAULT)
        finally:
            self.stopping.set()
            with self.lock:
                self.shut()

    def turn(self, ready: dict[Any, int]) -> None:
        """Hear what has come, and send what can be sent."""
        if self.bell.number in ready:
            self.bell.answer()
        later, self.later = self.later, []
        for message in later:
            self.send(*message)
        if self.door.socket in ready:
            self.door.answer()
        if self.router in ready:
            self.hear()
        if self.hall is not None:
            if self.hall.waiting or self.hall.socket.fileno() in ready:
                self.admit(self.hall)
            self.visit(self.hall)
        self.mode.pump()
        if self.hall is not None:
            self.hall.watch(self.poller, starved=self.starved)
        now = time.monotonic()
        due = now - self.tick >= BEAT / 2
        self.guests.pulse(due)
        if due:
            self.tick = now
            self.guests.expire(now)
            self.mode.tick()

    def shut(self) -> None:
        """Close everything, the sockets even where the user's pipeline fails at its end.

        Names go first: the process may end before a slow pipeline does.
        """
        for endpoint in self.endpoints if self.terms.bind else ():
            if endpoint.startswith("ipc://") and not endpoint.startswith("ipc://@"):
                with contextlib.suppress(OSError):  # ZeroMQ leaves the file
                    os.unlink(endpoint.removeprefix("ipc://"))
        try:
            self.mode.shut()
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close all sockets."""
        if self.hall is not None:
            self.hall.close()
        self.context.destroy(linger=200)
        self.bell.close()

    def visit(self, hall: Hall) -> None:
        """Hear what the consumers of this host are through with."""
        for one in list(hall.neighbours):
            try:
                for number, finished in one.hear().items():
                    self.guests.finish(one.guest, number, finished)
            except Nonsense as problem:
                one.close()
                self.guests.drop(one.guest.identity, str(problem))
            if one.closed:
                hall.neighbours.remove(one)

    def admit(self, hall: Hall) -> None:
        """Let in who comes from this host."""
        hall.enter({guest.token: guest for guest in self.guests.here.values()})

    @property
    def starved(self) -> bool:
        """Whether nothing can go on before something is finished."""
        return self.mode.starved or any(lane.full for lane in self.mode.lanes)

    def hear(self) -> None:
        """Take what has come, for a while."""
        events = self.library.EVENTS
        for _ in range(TURN):
            if not self.router.get(events) & POLLIN:  # cheaper than an exception
                return
            frames = [frame.bytes for frame in received(self.router)]
            identity = frames.pop(0)
            if identity in self.guests.deaf:
                continue
            try:
                self.guests.heard(identity, frames)
            except Nonsense as problem:
                self.guests.drop(identity, str(problem))
