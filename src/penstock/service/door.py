"""The door: ZeroMQ asks here about every connection before it hears a word of it (ZAP, rfc.zeromq.org/spec/27)."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from penstock.service import protocol
from penstock.service.library import zmq

if TYPE_CHECKING:
    from penstock.service.keys import Guards

logger = logging.getLogger("penstock")

ADDRESSES = 4096  # that are counted
BUSY = (b"%d" % protocol.BUSY, b"too many connections", b"")
SPARE = 64  # descriptors that connections leave to everything else


class Rate:
    """How often each address has come lately: a bucket that fills by ``rate`` a second and holds as many.

    >>> rate = Rate(2)
    >>> [rate.allows("a", 0.0), rate.allows("a", 0.1), rate.allows("a", 0.2), rate.allows("a", 1.3)]
    [True, True, False, True]
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Tell whether an address may come again."""
        left, before = self.buckets.pop(address, (float(self.rate), now))
        left = min(float(self.rate), left + (now - before) * self.rate)
        allowed = left >= 1
        self.buckets[address] = (left - allowed, now)
        if len(self.buckets) > ADDRESSES:
            self.buckets.popitem(last=False)
        return allowed


def crowded() -> bool:
    """Tell whether this process can hardly open anything more: ZeroMQ spins when it cannot take a connection."""
    try:
        import resource

        number = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free
    except ImportError:
        return False
    except OSError:
        return True
    os.close(number)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0 <= most < number + SPARE


class Door:
    """Answers ZeroMQ's questions: by key, where there are keys, and by how often an address comes, and by room."""

    def __init__(self, context: Any, guards: Guards | None, rate: int) -> None:
        self.library = zmq()
        self.guards = guards
        self.rate = Rate(rate)
        self.socket = context.socket(self.library.ROUTER)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")

    def answer(self) -> None:
        """Answer all that is asked at the moment."""
        z = self.library
        while True:
            try:
                frames = self.socket.recv_multipart(z.NOBLOCK)
            except z.ZMQError:
                return
            split = frames.index(b"") + 1
            route, (version, request, _domain, address, _identity, mechanism, *proof) = frames[:split], frames[split:]
            code, text, who = self.judged(address.decode("ascii", "replace"), mechanism, proof)
            self.socket.send_multipart([*route, version, request, code, text, who, b""])

    def judged(self, address: str, mechanism: bytes, proof: list[bytes]) -> tuple[bytes, bytes, bytes]:
        """Return the status, its text, and who it is."""
        if not self.rate.allows(address, time.monotonic()):
            logger.warning("connections from %s come too fast; some are refused", address or "this host")
            return BUSY
        if crowded():
            logger.warning("no descriptors are left for a connection from %s; allow more (ulimit -n)", address)
            return BUSY
        if self.guards is None:
            return b"200", b"OK", b""
        name = self.guards.name_of(proof[0]) if mechanism == b"CURVE" and len(proof) == 1 else None
        if name is None:
            logger.warning("a client from %s is not on the list, and was refused", address)
            return b"400", b"not on the list", b""
        return b"200", b"OK", name.encode()
