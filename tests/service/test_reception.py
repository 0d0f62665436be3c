"""Servers that come to a consumer: the same order, each batch once, whoever comes, goes and comes again."""

from __future__ import annotations

import itertools
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

import penstock as ps
from penstock.cli import main
from penstock.errors import ArgumentError, ServerLost, ServiceError
from penstock.service.protocol import HEADS
from penstock.testing import check_dataset, same

zmq = pytest.importorskip("zmq")

DATASETS = {
    "sequence": ps.range(40).shuffle().batch(3),
    "stream": ps.range(60).filter(lambda x: x % 3).batch(4),
}


@pytest.fixture
def place(tmp_path):
    """Where the consumer waits."""
    return f"ipc://{tmp_path}/waiting"


@pytest.fixture
def coming():
    """Start servers that connect; close what is left of them when the test is over."""
    with ExitStack() as stack:
        yield lambda dataset, place, **said: stack.enter_context(ps.serve(dataset, place, bind=False, **said))


def wait_for(condition):
    """Wait until something is so; fail after some seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("count", [2, 3])
def test_several_that_come_are_one(name, count, place, coming):
    """Whatever the order in which servers come, the consumer sees one canonical order, and resumes at any place."""
    dataset = DATASETS[name]
    for _ in range(count):
        coming(dataset, place)
    remote = ps.connect(place, bind=True, servers=count, timeout=20)
    check_dataset(remote, limit=3, executors=())
    with remote.loader() as loader:
        assert same([list(loader) for _ in range(2)], [list(dataset), list(dataset.epoch(1))])


def test_first_come_first_served(place, coming):
    """On request batches come as they come: all of them, each once, and resumable."""
    for _ in range(2):
        coming(ps.range(30), place)
    remote = ps.connect(place, bind=True, servers=2, ordered=False, timeout=20)
    with remote.loader() as loader:
        head = list(itertools.islice(loader, 11))
        saved = json.loads(json.dumps(loader.state_dict()))
    with remote.loader() as loader:
        loader.load_state_dict(saved)
        assert sorted(head + list(loader)) == list(range(30))


@pytest.mark.parametrize("name", DATASETS)
def test_one_that_is_started_again(name, place, coming):
    """In the middle of an epoch servers go away and others come: not a batch is lost or comes twice."""
    dataset = DATASETS[name]
    servers = [coming(dataset, place, window=2) for _ in range(2)]
    found = []
    for item in ps.connect(place, bind=True, servers=2, window=1, timeout=20):
        found.append(item)
        if len(found) in {3, 6}:
            servers.pop(0).close()
            servers.append(coming(dataset, place, window=2))
    assert same(found, list(dataset))


def test_whoever_waits_takes_a_free_seat(place, coming):
    """A third server for two seats waits, and goes on where one of the two is lost."""
    dataset = DATASETS["sequence"]
    servers = [coming(dataset, place, window=2) for _ in range(3)]
    found = []
    for item in ps.connect(place, bind=True, servers=2, window=1, timeout=20):
        found.append(item)
        if len(found) == 4:
            served = [server for server in servers if server.figures()["consumers"]]
            assert len(served) == 2
            served[0].close()
    assert same(found, list(dataset))
    assert sum(server.figures()["batches"] > 0 for server in servers) == 3


def test_fewer_than_expected(place, coming, caplog):
    """Where one of three does not come in time, the others take over its share, and it is said how many came."""
    dataset = DATASETS["stream"]
    for _ in range(2):
        coming(dataset, place)
    with caplog.at_level(logging.WARNING, "penstock"):
        assert same(list(ps.connect(place, bind=True, servers=3, timeout=1)), list(dataset))
    assert f"2 of 3 servers came to {place}" in caplog.text


def test_nobody_comes(place):
    """The error says where the consumer waited, for how long, and how many came."""
    with pytest.raises(ServerLost, match=r"0 of 2 servers came to ipc://.*waiting within 1 s"):
        next(iter(ps.connect(place, bind=True, servers=2, timeout=0.6)))


def test_all_are_lost(place, coming):
    """The error of a loop that has lost all its servers says how many there had been."""
    server = coming(DATASETS["sequence"], place, window=1)
    reading = iter(ps.connect(place, bind=True, window=1, timeout=1))
    next(reading)
    server.close()
    with pytest.raises(ServerLost, match="silent for 1 s; 1 of 1 server came"):
        list(reading)


def test_strangers_are_shown_out(place, coming, caplog):
    """Whoever knocks and then sends what no server says loses the seat; servers get it, and all comes."""
    dataset = DATASETS["sequence"]
    found = []
    reading = threading.Thread(target=lambda: found.extend(ps.connect(place, bind=True, timeout=20)))
    with zmq.Context() as context, caplog.at_level(logging.WARNING, "penstock"):
        reading.start()
        for nonsense in ([HEADS["welcome"] + b"{}"], [b"who", b"are", b"you"], [b"x"]):
            with context.socket(zmq.DEALER) as stranger:
                stranger.linger = 0
                stranger.connect(place)
                stranger.send_multipart([b""])
                assert stranger.poll(10_000), "whoever knocks is greeted"
                stranger.send_multipart(nonsense)
                wait_for(lambda: "is not heard" in caplog.text)
                caplog.clear()
        coming(dataset, place)
        reading.join(20)
    assert same(found, list(dataset))


def test_a_server_that_comes_twice_has_one_seat(place, tmp_path, coming):
    """A server that reaches the consumer at two of its places takes one seat, and leaves the other to somebody else."""
    dataset = DATASETS["stream"]
    beside = f"ipc://{tmp_path}/beside"
    twice = coming(dataset, [place, beside])
    reading = iter(ps.connect([place, beside], bind=True, servers=2, timeout=20))
    found = [next(reading)]
    other = coming(dataset, beside)
    found += reading
    assert same(found, list(dataset))
    assert min(twice.figures()["batches"], other.figures()["batches"]) > 0


def test_a_consumer_that_is_killed_and_started_again(place, coming):
    """What a killed consumer was to get is not kept for the next one at its place."""
    dataset = ps.range(3000)
    coming(dataset, place)
    program = f"""
import os, signal, penstock as ps
for number, item in enumerate(ps.connect({place!r}, bind=True, timeout=20)):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=40).returncode == -signal.SIGKILL
    assert list(ps.connect(place, bind=True, timeout=20)) == list(dataset)


def test_accounts_are_not_mixed_up(place, coming):
    """One server that deals may come; of several, a consumer could not tell whose account is whose, and says so."""
    coming(ps.range(10), place, mode="share")
    assert list(ps.connect(place, bind=True, timeout=20)) == list(range(10))
    with pytest.raises(ServiceError, match=r"must know them by name: connect\(\[a, b, c\]\)"):
        next(iter(ps.connect(place, bind=True, servers=2, timeout=20)))


def test_with_keys(place, tmp_path, coming):
    """Servers with the right keys are let in; one without is not, and does not hold up the others."""
    assert main(["keys", str(tmp_path / "keys"), "alice"]) == 0
    dataset = DATASETS["sequence"]
    coming(dataset, place)
    for _ in range(2):
        coming(dataset, place, keys=tmp_path / "keys")
    remote = ps.connect(place, bind=True, servers=2, keys=tmp_path / "keys/alice.json", timeout=20)
    assert same(list(remote), list(dataset))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"servers": 2}, "with bind=True. Name those to connect to in a list"),
        ({"bind": True, "servers": 0}, "servers must be"),
    ],
)
def test_wrong_arguments_are_named(said, words):
    """What makes no sense is refused where it is written."""
    with pytest.raises(ArgumentError, match=words):
        ps.connect("tcp://127.0.0.1:5557", **said)


def test_what_is_printed():
    """The description says for how many servers it waits."""
    assert "bind=True, servers=3" in repr(ps.connect("tcp://*:5557", bind=True, servers=3))
