"""Both ends on one host: batches stay where a worker made them, in shared memory, and consumers look at them there.

    worker ──► slab ◄──────────────── consumer's read-only map of the same arena
                │ held by the server as long as a consumer looks
                └── server ── an arena's descriptor, once  ──► consumer   (a Unix socket without a file)
                    server ── "lent": arena, offset, bytes ──► consumer   (the same)
                    server ◄── "nobody looks any more"      ── finalizer  (the same; says what is finished, too)

Memory of another process's own is copied into an arena of the server first. The Unix socket has an abstract name of 128
random bits, which the welcome tells, and who comes must show the token that came with it. When a consumer dies, its end
of the socket closes, and all that it looked at is free.

A batch comes as a letter: the number of bytes of what is said, what is said, and the small parts of the batch. Whoever
waits for it reads it, the consumer's own thread; all else goes through ZeroMQ, and so do batches that are small, and
those for which there is no room here. What was sent one way may arrive before what was sent the other way earlier: a
letter waits for that, and before a message from ZeroMQ is heard, the letters are read, which are here by then.

What comes through the Unix socket wakes nobody up as long as there is something else to do: the server looks before
each batch that it sends. So memory is free again a batch later, and a batch costs the server one turn, not two. Only
where nothing can be sent, or read, before something is finished, the server waits for that.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import socket
import struct
import sys
import threading
import time
import weakref
from array import array
from collections import deque
from typing import Any

import numpy as np

from penstock.service.lanes import Entry
from penstock.service.ledger import Inflow
from penstock.service.library import POLLIN
from penstock.service.protocol import HEADS, SAYS, Message, Nonsense, opened
from penstock.transport.slab import Arena, Shared, arena_size, create, origin_of
from penstock.transport.wire import OWN

NEW = struct.Struct("<QQ")  # an arena's number and size
FREE = struct.Struct("<QQQ")  # a lease, the route that it came down, and how many batches of that are finished
SAID = struct.Struct("<I")  # how many bytes of a letter are what is said
LETTER = 1 << 16  # bytes that a letter may have
WAITING = 64  # connections that have not shown a token yet
PATIENCE = 5.0  # seconds that they have
DESCRIPTOR = socket.CMSG_SPACE(4) if hasattr(socket, "CMSG_SPACE") else 0  # bytes that one takes beside a message
LENT = {"lent": SAYS["lent"]}
MUCH = 1 << 30  # bytes that a consumer may look at before it gets copies instead


def possible() -> bool:
    """Tell whether this system has what is needed."""
    return sys.platform == "linux" and hasattr(os, "memfd_create")


# ------------------------------------------------------------------------------------------------- the server's side


class Spare:
    """An arena of the server's own, made when memory has to be copied for the first time."""

    def __init__(self) -> None:
        self.arena: Arena | None = None

    def copied(self, piece: memoryview) -> tuple[Shared, int, Any]:
        """Copy a piece into shared memory; return where, and what keeps it there."""
        if self.arena is None:
            size = arena_size(4)
            fd = create("penstock-served", size)
            try:
                self.arena = Arena(fd, size, keep=True)
            except BaseException:
                os.close(fd)
                raise
            weakref.finalize(self.arena, os.close, fd).atexit = False
        arena = self.arena
        slab, root = arena.lease(len(piece))
        view = root[: len(piece)]
        view[:] = np.frombuffer(piece, np.uint8)
        return arena.map.memory, arena.offsets[slab], view


class Neighbour:
    """A consumer on this host."""

    def __init__(self, connection: socket.socket, spare: Spare, guest: Any) -> None:
        self.connection = connection
        self.spare = spare
        self.guest = guest
        self.known: dict[int, tuple[int, Shared]] = {}
        self.leases: dict[int, tuple[Any, int]] = {}
        self.held = 0
        self.last = 0
        self.closed = False

    def lend(self, entry: Entry, said: str) -> bool:
        """Send a batch with what is said of it; return whether that could be done."""
        if self.closed or self.held + entry.nbytes > MUCH or entry.parcel is None:
            return False
        try:
            if entry.shared is None:
                entry.shared = self.placed(entry.parcel.frames())
            small = [piece for memory, _, piece in entry.shared if memory is None]
            if len(small) == len(entry.shared):
                return False
            lease, at, pieces = self.last + 1, 0, []
            for memory, offset, piece in entry.shared:
                if memory is None:
                    pieces.append([0, at, len(piece)])
                    at += len(piece)
                else:
                    pieces.append([self.number(memory), offset, len(piece)])
            # Lists of whole numbers are JSON as Python writes them.
            head = HEADS["lent"] + f'{{"lease":{lease},"pieces":{pieces},{said}}}'.encode()
            if SAID.size + len(head) + at > LETTER:
                return False
            self.connection.sendmsg([SAID.pack(len(head)), head, *small])
        except (OSError, MemoryError):  # so much is on its way that there is no room for more, among others
            return False
        self.last = lease
        self.leases[lease] = (entry.shared, entry.nbytes)
        self.held += entry.nbytes
        return True

    def placed(self, pieces: list[Any]) -> list[tuple[Shared | None, int, Any]]:
        """Return each piece with where it lies in shared memory; small ones lie nowhere."""
        found: list[tuple[Shared | None, int, Any]] = []
        for piece in pieces:
            if len(piece) < OWN:
                found.append((None, 0, piece))
                continue
            origin = origin_of(memoryview(piece))
            if origin is not None:
                found.append((*origin, piece))
            else:
                found.append(self.spare.copied(memoryview(piece)))
        return found

    def number(self, memory: Shared) -> int:
        """Return what an arena is called between us; give its descriptor the first time."""
        known = self.known.get(id(memory))
        if known is None:
            number = len(self.known) + 1
            socket.send_fds(self.connection, [NEW.pack(number, len(memory))], [memory.fd])
            known = self.known[id(memory)] = (number, memory)
        return known[0]

    def hear(self) -> dict[int, int]:
        """Take back what nobody looks at any more; return how many batches are finished, by route."""
        finished: dict[int, int] = {}
        while not self.closed:
            try:
                said = self.connection.recv(FREE.size + 1)
            except BlockingIOError:
                break
            except OSError:
                said = b""
            if len(said) != FREE.size:
                self.close()
                break
            lease, route, upto = FREE.unpack(said)
            _, nbytes = self.leases.pop(lease, (None, 0))
            self.held -= nbytes
            finished[route] = max(upto, finished.get(route, 0))
        return finished

    def close(self) -> None:
        """Forget everything."""
        self.closed = True
        self.connection.close()
        self.leases.clear()
        self.known.clear()


class Hall:
    """Where consumers of this host come in."""

    def __init__(self) -> None:
        self.name = f"penstock-{secrets.token_hex(16)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.socket.bind(f"\0{self.name}")
        self.socket.listen(WAITING)
        self.waiting: dict[socket.socket, float] = {}
        self.neighbours: list[Neighbour] = []
        self.polled: set[int] = set()
        self.patient = False  # whether neighbours are polled, too
        self.spare = Spare()

    def watch(self, poller: Any, *, starved: bool) -> None:
        """Have those polled who have not shown a token yet, and neighbours where nothing can go on without them."""
        self.patient = starved
        neighbours = [one.connection for one in self.neighbours] if starved else []
        wanted = {one.fileno() for one in (self.socket, *self.waiting, *neighbours)}
        for number in self.polled - wanted:
            poller.unregister(number)
        for number in wanted - self.polled:
            poller.register(number, POLLIN)
        self.polled = wanted

    def enter(self, guests: dict[str, Any]) -> None:
        """Let in who comes with the token of a guest."""
        with contextlib.suppress(OSError):
            while len(self.waiting) < WAITING:
                connection, _ = self.socket.accept()
                connection.setblocking(False)
                self.waiting[connection] = time.monotonic()
        for connection, since in list(self.waiting.items()):
            try:
                token = connection.recv(256).decode("ascii", "replace")
            except BlockingIOError:
                if time.monotonic() - since < PATIENCE:
                    continue
                token = ""
            except OSError:
                token = ""
            del self.waiting[connection]
            guest = guests.get(token)
            if guest is None or guest.local is not None:
                connection.close()
                continue
            guest.local = Neighbour(connection, self.spare, guest)
            self.neighbours.append(guest.local)

    def close(self) -> None:
        """Let nobody in any more."""
        for other in [*self.waiting, self.socket]:
            other.close()
        for one in self.neighbours:
            one.close()


# ----------------------------------------------------------------------------------------------- the consumer's side


class Host:
    """The way to a server on this host. It stays open as long as somebody looks at what came through it."""

    def __init__(self, name: str, token: str) -> None:
        self.lock = threading.RLock()  # a finalizer may come at any moment
        self.maps: dict[int, mmap.mmap] = {}
        # Of each lease, how many pieces are looked at; its route, and that one's account.
        self.leases: dict[int, list[Any]] = {}
        self.freed: deque[bytes] = deque()  # what could not be said yet
        self.early: Message | None = None  # a letter that waits for something that was sent the other way before
        self.room = bytearray(LETTER)
        self.closing = False
        self.owner = os.getpid()
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.connection.settimeout(PATIENCE)
            self.connection.connect(f"\0{name}")
            self.connection.send(token.encode())
            self.connection.setblocking(False)
        except BaseException:
            self.connection.close()
            raise

    def next(self) -> Message | None:
        """Return what came next, its frames not looked up yet; None where nothing is here.

        Raises:
            OSError: the server is gone.
            Nonsense: it is none of Penstock's.
        """
        early, self.early = self.early, None
        while early is None:
            try:
                count, ancillary, _, _ = self.connection.recvmsg_into([self.room], DESCRIPTOR)
            except BlockingIOError:
                return None
            if not count:
                raise ConnectionResetError("the server has closed its end")
            said = memoryview(self.room)[:count]
            if ancillary:
                self.add(bytes(said), ancillary)
                continue
            size = SAID.unpack_from(said)[0] if count >= SAID.size else count
            end = SAID.size + size
            return opened([said[SAID.size : end], bytes(said[end:])], LENT)
        return early

    def frames(self, message: Message, flow: Inflow) -> list[Any]:
        """Return all frames of a batch, the large ones in place.

        Args:
            message: what was said, and its small frames in one.
            flow: the account of the route that it came down.

        Raises:
            Nonsense: they are nowhere.
        """
        found: list[Any] = []
        fields, (letter,) = message.fields, message.frames
        pieces, lease = fields["pieces"], fields["lease"]
        large = sum(number > 0 for number, _, _ in pieces)
        if large:
            self.leases[lease] = [large, fields["route"], flow]
        for number, offset, nbytes in pieces:
            memory = self.maps.get(number) if number else letter
            if memory is None or nbytes <= 0 or offset + nbytes > len(memory):
                raise Nonsense("memory that is not there")
            root: Any = np.frombuffer(memory, np.uint8, nbytes, offset)
            if number:
                weakref.finalize(root, self.free, lease).atexit = False
            found.append(memoryview(root))
        return found

    def add(self, said: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        """Take in an arena."""
        fds = [fd for _, kind, data in ancillary if kind == socket.SCM_RIGHTS for fd in array("i", data)]
        try:
            if len(said) != NEW.size or len(fds) != 1:
                raise Nonsense("no shared memory")
            its, size = NEW.unpack(said)
            if size > os.fstat(fds[0]).st_size:
                raise Nonsense("shared memory that is too small")
            self.maps[its] = mmap.mmap(fds[0], size, mmap.MAP_SHARED, mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise Nonsense(f"no shared memory: {error}") from None
        finally:
            for fd in fds:
                os.close(fd)

    def free(self, lease: int) -> None:
        """Say that nobody looks at a piece any more. Runs in whatever thread lets go of it; not in a fork."""
        if self.owner != os.getpid():
            return
        with self.lock:
            held = self.leases[lease]
            held[0] -= 1
            if not held[0]:
                del self.leases[lease]
                _, route, flow = held
                self.freed.append(FREE.pack(lease, route, flow.tell()))
                self.tell()
            if self.closing and not self.leases:
                self.connection.close()

    def tell(self) -> None:
        """Say what nobody looks at any more, as far as there is room for it on the way."""
        with self.lock:
            while self.freed:
                said = self.freed.popleft()
                try:
                    self.connection.send(said)
                except BlockingIOError:
                    self.freed.appendleft(said)
                    return
                except OSError:  # the server is gone, and its arenas with it
                    self.freed.clear()

    def close(self) -> None:
        """Close, as soon as nobody looks any more."""
        with self.lock:
            self.closing = True
            if not self.leases:
                self.connection.close()
            self.maps.clear()
