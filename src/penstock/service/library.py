"""ZeroMQ, which is an optional dependency: imported when it is first needed. And the consumers' sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtra

if TYPE_CHECKING:
    from penstock.service.keys import Pair

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


def dealer(context: Any, pair: Pair | None, largest: int) -> Any:
    """Return a consumer's socket, not connected yet.

    Args:
        context: ZeroMQ's.
        pair: the consumer's keys, and the server's public one.
        largest: bytes that a frame may have.
    """
    z = zmq()
    socket = context.socket(z.DEALER)
    socket.linger = 0
    socket.rcvhwm = 0  # credit bounds what comes
    socket.sndhwm = 64
    socket.immediate = True  # what is said to nobody is not kept for somebody
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
