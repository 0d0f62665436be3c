"""Why a server is not there, as far as a consumer can tell: in words, for its user."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from penstock.errors import ServerLost, ServerRefused
from penstock.service import protocol
from penstock.service.inlets import Inlet, Peer
from penstock.service.library import zmq
from penstock.service.reception import Reception

KEYED = "It wants keys: connect(…, keys=…)."
KEYLESS = "It has no keys, and this client has some: serve(…, keys=…)."
HELP = "Is the server running, and can it be reached?"


def refused(event: int, value: int, peer: Peer, *, keys: bool, known: bool) -> ServerRefused | None:
    """Return an error where a connection that could not be made will never be; else note in the peer what is wrong.

    Args:
        event: of ZeroMQ's, about a socket.
        value: what came with the event.
        peer: whose connection it was; where servers come to us, one that is missing.
        keys: whether this client has some.
        known: whether it let us in before, or where they come to us, anybody did.
    """
    z = zmq()
    if event == z.EVENT_HANDSHAKE_FAILED_AUTH and value == protocol.BUSY:
        peer.trouble = "It has no room for more connections at the moment, or too many came from here at once."
    elif event == z.EVENT_HANDSHAKE_FAILED_AUTH:
        peer.trouble = "It refused this client: its key is not on the server's list."
        return None if known else ServerRefused(f"connect(): {peer.endpoint} did not let us in. {peer.trouble}")
    elif value == z.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH and peer.socket and not known:  # ZeroMQ does not try again
        return ServerRefused(f"connect(): {peer.endpoint} did not let us in. {KEYLESS if keys else KEYED}")
    elif event != z.EVENT_HANDSHAKE_SUCCEEDED:
        peer.trouble = "It was reached, but one side has keys and the other none, or others; or it is none of Penstock."
    return None


def silence(peer: Peer, peers: Sequence[Peer], reception: Reception | None, now: float) -> str:
    """Say how long a server has been silent, or where they come to us, how many came."""
    seconds = f"{now - peer.heard:.0f} s"
    if reception is None:
        return f"connect(): {peer.endpoint} has been silent for {seconds}"
    came = reception.missing(peers)
    if not peer.instance:
        return f"connect(): {came} within {seconds}"
    return f"connect(): {peer.endpoint} has been silent for {seconds}; {came}"


def unresolved(peer: Peer) -> None:
    """Note in a peer whether its host's name means nothing here. May take seconds."""
    parts = urlsplit(peer.endpoint)
    if parts.scheme == "tcp" and parts.hostname and peer.socket:
        try:
            socket.getaddrinfo(parts.hostname, None)
        except OSError as error:
            peer.trouble = f"The name of its host cannot be looked up: {error}."


def lost(said: str, peer: Peer, held: Sequence[Inlet]) -> ServerLost:
    """Return the error of a consumer whom nobody serves.

    Args:
        said: how long there has been silence.
        peer: whose it was.
        held: of what it dealt to us, the inlets.
    """
    doubt = sorted(number for inlet in held for number in inlet.held())
    more = f" In doubt are the batches {doubt[:20]}." if doubt else ""
    return ServerLost(f"{said}. {peer.trouble or f'{HELP} connect(…, timeout=…) waits for longer.'}{more}")
