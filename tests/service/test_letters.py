"""Letters, as batches come on one host: none is taken in before its turn, and none keeps what was lost from being seen."""

from __future__ import annotations

import json
import secrets
import socket

import numpy as np
import pytest

from penstock.service.inlets import Inlet, Peer, Wishes
from penstock.service.lanes import Where
from penstock.service.local import SAID, Host, possible
from penstock.service.protocol import HEADS, Message
from penstock.service.talk import Talk
from penstock.transport.wire import Parcel

pytestmark = pytest.mark.skipif(not possible(), reason="shared memory without a name needs Linux")
WELCOME = {
    "version": "", "token": "t", "instance": "i", "mode": "mirror", "pipeline": [], "digest": 1, "kept": False, "patience": 10.0,
    "window": 8, "bytes": 1 << 20, "local": None,
}  # fmt: skip


@pytest.fixture
def talk():
    """A consumer of one server, and what it says."""
    said = []
    peer = Peer("tcp://nowhere", 0.0)
    inlet = Inlet(0, Where(0, 0), peer)
    made = Talk(Wishes(("tcp://nowhere",)), 0, [inlet], None, lambda *a, **k: said.append((a, k)), int)
    made.welcome(peer, WELCOME)
    return made, inlet, said


@pytest.fixture
def ends():
    """Both ends of the way through shared memory."""
    name = secrets.token_hex(16)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        host = Host(name, "token")
        connection, _ = listener.accept()
    with connection:
        connection.recv(100)
        yield connection, host
    host.close()


RECORD = b"".join(Parcel(np.arange(3)).frames())


def about(inlet, seq):
    """What is said of a batch."""
    return {"route": inlet.route, "seq": seq, "numbers": [seq], "sizes": [len(RECORD)], "after": None}


def letter(inlet, seq):
    """A batch as it comes through the Unix socket."""
    fields = {"lease": seq + 1, "pieces": [[0, 0, len(RECORD)]], **about(inlet, seq)}
    head = HEADS["lent"] + json.dumps(fields).encode()
    return SAID.pack(len(head)) + head + RECORD


def test_what_comes_too_early_waits(talk, ends):
    """A batch that overtakes one that came the other way waits for it; none is missing, and no route is opened anew."""
    made, inlet, said = talk
    connection, inlet.peer.host = ends
    said.clear()
    for seq in (1, 2):
        connection.send(letter(inlet, seq))
    assert not made.collect(inlet.peer)
    assert not inlet.buffer
    made.heard(inlet.peer, Message("data", about(inlet, 0), [memoryview(RECORD)]))
    made.heard(inlet.peer, Message("pulse", {"clock": 0, "routes": [[inlet.route, 3, 0]]}))
    assert [arrival.number for arrival in inlet.buffer] == [0, 1, 2]
    assert not said


def test_what_waits_for_what_was_lost(talk, ends):
    """Where the one before was lost, a pulse says so: the route is opened anew, and what waited is thrown away."""
    made, inlet, said = talk
    connection, inlet.peer.host = ends
    connection.send(letter(inlet, 1))
    assert not made.collect(inlet.peer)
    made.heard(inlet.peer, Message("pulse", {"clock": 0, "routes": [[inlet.route, 2, 0]]}))
    assert said[-1][0][1] == "open"
    assert not made.collect(inlet.peer)
    assert not inlet.buffer
    assert inlet.peer.host.early is None
