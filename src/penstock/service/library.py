"""ZeroMQ, which is an optional dependency: imported when it is first needed. And the consumers' sockets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.service.keys import Pair

NOBLOCK = 1  # ZeroMQ's flags, as plain numbers: arithmetic with the library's enumerations costs more than a send …
MORE = 2
POLLIN = 1  # … and its events
PROGRESS = 5000  # milliseconds after which a connection whose peer takes nothing is given up, and made anew


def zmq() -> Any:
    """Return the library.

    Raises:
        MissingExtra: it is not installed; says what to install.
    """
    try:
        import zmq
        import zmq.utils.z85
    except ImportError:
        raise MissingExtra("The data service needs pyzmq: pip install 'penstock[service]'.") from None
    return zmq


def version() -> str:
    """Return this Penstock's version."""
    import penstock

    return penstock.__version__


def received(socket: Any) -> list[Any]:
    """Return the frames of the next message, uncopied; ``recv_multipart`` asks the socket after each whether more come.

    Raises:
        Again: there is none.
    """
    frame = socket.recv(NOBLOCK, copy=False)
    frames = [frame]
    while frame.more:
        frame = socket.recv(NOBLOCK, copy=False)
        frames.append(frame)
    return frames


def dealer(context: Any, pair: Pair | None, largest: int) -> Any:
    """Return a consumer's socket, not connected yet.

    Args:
        context: ZeroMQ's.
        pair: the consumer's keys, and the server's public one.
        largest: bytes that a frame may have.
    """
    return tuned(context.socket(zmq().DEALER), pair, largest)


def receiver(context: Any, pair: Pair | None, largest: int) -> Any:
    """Return the socket of a consumer that several servers come to, not bound yet; arguments as of ``dealer``."""
    z = zmq()
    socket = tuned(context.socket(z.ROUTER), pair, largest)
    socket.router_mandatory = True  # tells when a server's connection is gone
    return socket


def tuned(socket: Any, pair: Pair | None, largest: int) -> Any:
    """Return a consumer's socket with everything set that does not depend on who connects."""
    z = zmq()
    socket.linger = 0
    socket.rcvhwm = 64  # credit bounds what comes; this, what comes beyond it before that is seen
    socket.sndhwm = 64
    socket.maxmsgsize = largest
    socket.reconnect_ivl = 100
    socket.reconnect_ivl_max = 1000
    socket.connect_timeout = 2000
    socket.handshake_ivl = 5000
    socket.ipv6 = True
    socket.setsockopt(z.TCP_MAXRT, PROGRESS)
    if pair is not None:
        socket.curve_serverkey = pair.server.encode()
        socket.curve_publickey = pair.public.encode()
        socket.curve_secretkey = pair.secret.encode()
    return socket


def watched(socket: Any) -> Any:
    """Return a socket that tells of another one's connections: made, lost, or refused."""
    z = zmq()
    failed = z.EVENT_HANDSHAKE_FAILED_AUTH | z.EVENT_HANDSHAKE_FAILED_PROTOCOL | z.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    return socket.get_monitor_socket(failed | z.EVENT_HANDSHAKE_SUCCEEDED | z.EVENT_DISCONNECTED)


def events(monitor: Any) -> Iterator[tuple[int, int]]:
    """Give what has happened since one looked last: the event, and its value."""
    while monitor.poll(0):
        said = monitor.recv_multipart(zmq().NOBLOCK)[0]
        yield int.from_bytes(said[:2], sys.byteorder), int.from_bytes(said[2:6], sys.byteorder)
