"""Both ends on one host: large arrays are looked at where they were made, and stay as they are while somebody looks."""

from __future__ import annotations

import gc
import itertools
import signal
import socket
import time

import numpy as np
import pytest

import penstock as ps
from penstock.service.local import FREE, possible
from penstock.testing import check_dataset, same

pytestmark = pytest.mark.skipif(not possible(), reason="shared memory without a name needs Linux")
TCP = "tcp://127.0.0.1:*"
SIZE = 100_000


def made(x):
    return {"x": np.full(SIZE, x), "y": np.full((3, SIZE), x % 250, "u1"), "name": f"item {x}"}


def placed(x):
    array = ps.empty(SIZE, "int64")
    array.fill(x)
    return array


def sent(server):
    """Bytes that went over the network."""
    return server.figures()["bytes"]


@pytest.mark.parametrize("mode", ["mirror", "share"])
@pytest.mark.parametrize("workers", [None, ps.Processes(2)])
def test_the_same_comes(mode, workers):
    """What is read through shared memory is what the pipeline says, from any workers, and hardly a byte is sent."""
    dataset = ps.range(30).map(made)
    with ps.serve(dataset, TCP, mode=mode, workers=workers) as server:
        items = list(ps.connect(server.endpoint, timeout=20))
        assert same(items, list(dataset))
        assert sent(server) < 12 * SIZE * 8  # at most the first ones, before the two had met
        if mode == "mirror":
            del items
            check_dataset(ps.connect(server.endpoint, timeout=20), limit=5)


def test_what_is_kept_stays_as_it_is():
    """Batches that a loop keeps are not written over, however many follow, and survive the end of the server."""
    with ps.serve(ps.range(200).map(placed), TCP, workers=ps.Processes(1), window=4) as server:
        reading = iter(ps.connect(server.endpoint, timeout=20, window=2))
        kept = [(number, item) for number, item in enumerate(reading) if number % 20 == 3]
    assert all((item == number).all() for number, item in kept)
    views = [item[::1000].reshape(-1, 2) for _, item in kept]
    del kept
    gc.collect()
    assert [int(view.min()) for view in views] == list(range(3, 200, 20))


def test_memory_goes_round():
    """A worker's memory is used again when nobody looks any more: a long run needs no more than a short one."""
    with ps.serve(ps.range(800).map(placed), TCP, workers=ps.Processes(1), window=4) as server:
        seen = set()
        for item in ps.connect(server.endpoint, timeout=20, window=2):
            seen.add(item.__array_interface__["data"][0])
        assert len(seen) < 400


def test_nobody_writes_into_what_others_see():
    """Several consumers look at one memory, so it is read-only; a copy is the consumer's own."""
    with ps.serve(ps.range(50).map(made), TCP) as server:
        for item in itertools.islice(ps.connect(server.endpoint, timeout=20), 40, 45):
            with pytest.raises(ValueError, match="read-only"):
                item["x"][0] = 1
            item["x"].copy()[0] = 1


DYING = """
    import os, signal, penstock as ps
    kept = []
    for number, item in enumerate(ps.connect(os.environ["PLACE"], window=8)):
        kept.append(item)
        if number == 40:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_consumer_that_dies_frees_what_it_looked_at(script):
    """After SIGKILL of a consumer that kept batches, the server holds nothing for it, and serves the next one."""
    with ps.serve(ps.range(100).map(placed), TCP, workers=ps.Processes(1), window=4, patience=1) as server:
        run = script(DYING, env={"PLACE": server.endpoint})
        assert run.returncode == -signal.SIGKILL
        hall = server._loop.hall
        deadline = time.monotonic() + 5
        while hall.neighbours and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not hall.neighbours
        assert sum(1 for _ in ps.connect(server.endpoint, timeout=20)) == 100


def test_who_has_no_token_gets_nothing():
    """Strangers on this host who find the socket and say anything but a token are shown out; everybody else goes on."""
    with ps.serve(ps.range(20).map(made), TCP) as server:
        for said in (b"", b"token", b"x" * 200):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                stranger.settimeout(10)
                stranger.connect(f"\0{server._loop.hall.name}")
                stranger.send(said)
                assert stranger.recv(1) == b""
        assert sum(1 for _ in ps.connect(server.endpoint)) == 20


def test_a_consumer_that_talks_nonsense_in_here():
    """A neighbour that frees what it never had, or says what is no number, is shut out, and nothing else happens."""
    with ps.serve(ps.range(300).map(made), TCP, window=8) as server:
        reading = iter(ps.connect(server.endpoint, window=2))
        for _ in range(5):
            next(reading)
        host = reading.link.peers[0].host
        host.connection.send(FREE.pack(999, 0, 0))
        host.connection.send(b"nonsense that is too long")
        assert sum(1 for _ in reading) == 295


def test_who_lets_go_says_what_is_finished():
    """The memory of a batch, and the server's own copy of it, are given up with the message that nobody looks any more."""
    with ps.serve(ps.range(300).map(placed), TCP, workers=ps.Processes(1)) as server:
        reading = iter(ps.connect(server.endpoint, timeout=20, window=200))
        for _ in range(60):  # less than half of the window: no beat says so
            item = next(reading)
        inlet = reading.link.inlets[0]
        (guest,) = server._loop.guests.here.values()
        (route,) = guest.routes.values()
        deadline = time.monotonic() + 5
        while route.flow.finished < 50 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 50 <= route.flow.finished <= inlet.flow.finished == 59
        assert item[0] == 59


def test_who_finishes_what_was_never_sent_is_dropped():
    """A number that cannot be meant, on this way too, ends a consumer's being heard; everybody else goes on."""
    with ps.serve(ps.range(300).map(made), TCP, window=8) as server:
        reading = iter(ps.connect(server.endpoint, window=2, timeout=20))
        for _ in range(5):
            next(reading)
        reading.link.peers[0].host.connection.send(FREE.pack(1, reading.link.inlets[0].route, 10_000))
        deadline = time.monotonic() + 5
        while not server.figures()["dropped"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.figures()["dropped"] == 1
        assert sum(1 for _ in ps.connect(server.endpoint, timeout=20)) == 300
        reading.close()


def mixed(x):
    return np.full(SIZE if x % 3 else 50, x)


def lean(x):
    return np.full(40_000, x)


@pytest.mark.parametrize("mode", ["mirror", "share"])
def test_two_ways_are_one_stream(mode):
    """Small batches come through ZeroMQ, large ones do not: nothing overtakes, and a state fits at any place."""
    dataset = ps.range(60).map(mixed)
    with ps.serve(dataset, TCP, mode=mode) as server:
        assert same(list(ps.connect(server.endpoint, timeout=20)), list(dataset))
        if mode == "mirror":
            check_dataset(ps.connect(server.endpoint, timeout=20), limit=8)


def test_a_way_that_is_full():
    """What finds no room on the way through the Unix socket goes through ZeroMQ, and all comes in order."""
    with ps.serve(ps.range(120).map(made), TCP) as server:
        reading = iter(ps.connect(server.endpoint, timeout=20, window=30))
        first = [next(reading)["x"][0] for _ in range(5)]
        (neighbour,) = server._loop.hall.neighbours
        neighbour.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is: a few letters
        before = sent(server)
        numbers = []
        for item in reading:
            numbers.append(item["x"][0])
            item = None  # noqa: PLW2901
            while len(numbers) == 1 and sent(server) == before:
                time.sleep(0.001)
        assert [*first, *numbers] == [*range(120)]


def test_a_server_that_talks_nonsense_in_here():
    """What no server would send through the Unix socket is an error at once, not a wait."""
    with ps.serve(ps.range(300).map(made), TCP, window=8) as server:
        reading = iter(ps.connect(server.endpoint, window=2, timeout=20))
        next(reading)
        (neighbour,) = server._loop.hall.neighbours
        neighbour.connection.send(b"nonsense")
        with pytest.raises(ps.errors.ServiceError, match="no server of Penstock"):
            list(reading)


def test_many_are_let_go_at_once():
    """However many batches a loop lets go of at once, the server hears of each, although the way holds fewer."""
    with ps.serve(ps.range(400).map(lean), TCP) as server:
        reading = iter(ps.connect(server.endpoint, timeout=20))
        kept = list(itertools.islice(reading, 350))
        (neighbour,) = server._loop.hall.neighbours
        with server._loop.lock:  # nobody listens meanwhile
            kept.clear()
        deadline = time.monotonic() + 10
        while len(neighbour.leases) > 51 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(neighbour.leases) <= 51
        assert sum(1 for _ in reading) == 50
