"""Mode share: each batch goes to exactly one consumer, whoever comes, goes, dies, or is started again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from itertools import chain

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, RemoteError, ServiceError, StateError
from penstock.service.holding import Holding
from penstock.service.inlets import Wishes
from penstock.service.lanes import Where
from penstock.service.link import Link
from penstock.testing import same

TCP = "tcp://127.0.0.1:*"


def fail_at_5(x):
    if x == 5:
        raise ValueError("five is broken")
    return x


def consume(place, found, **how):
    found.extend(map(int, ps.connect(place, timeout=20, **how)))


def in_threads(count, place, **how):
    """Let several consumers read at once; return what each of them got."""
    found = [[] for _ in range(count)]
    threads = [threading.Thread(target=consume, args=(place, one), kwargs=how) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_one_consumer_gets_everything_in_order():
    """Alone, a consumer of a server that deals reads what it would read locally, in every epoch."""
    dataset = ps.range(20).shuffle().batch(3)
    with ps.serve(dataset, TCP, mode="share") as server, ps.connect(server.endpoint).loader() as loader:
        assert same([list(loader) for _ in range(3)], [list(dataset.epoch(epoch)) for epoch in range(3)])


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("size", [1, 30_000, 100_000])
def test_each_batch_goes_to_one(count, size):
    """Whatever the batches' size, several consumers together get every batch once, and each in rising order."""
    dataset = ps.range(60).map(lambda x: np.full(size, x)).map(lambda x: x)
    with ps.serve(dataset.map(lambda x: x), TCP, mode="share") as server:
        found = [[] for _ in range(count)]

        def read(one):
            for item in ps.connect(server.endpoint, timeout=20, window=2):
                one.append(int(item.min()))

        threads = [threading.Thread(target=read, args=(one,)) for one in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(chain(*found)) == list(range(60))
    assert all(one == sorted(one) for one in found)


def test_what_a_consumer_leaves_goes_to_others():
    """One consumer stops after a few: what it had been sent and not taken goes to the other, what it took does not."""
    with ps.serve(ps.range(50), TCP, mode="share") as server:
        first = iter(ps.connect(server.endpoint, window=10))
        taken = [next(first) for _ in range(3)]
        first.close()
        assert sorted(taken + list(ps.connect(server.endpoint))) == list(range(50))


DYING = """
    import os, sys, penstock as ps
    for number, item in enumerate(ps.connect(sys.argv[1] if len(sys.argv) > 1 else os.environ["PLACE"], window=8)):
        print(int(item), flush=True)
        if number == 4:
            os.kill(os.getpid(), 9)
"""


def test_what_a_dead_consumer_had_goes_to_others(script):
    """A consumer is killed: what it had and not finished comes to the other, the batch in its hands included.

    What it had finished in its last moment, and could not say any more, comes again: nobody else can know of it.
    """
    with ps.serve(ps.range(40), TCP, mode="share", patience=1) as server:
        run = script(DYING, env={"PLACE": server.endpoint})
        assert run.returncode == -signal.SIGKILL
        finished = [int(line) for line in run.stdout.split()][:-1]  # it had not come back from the last
        rest = list(ps.connect(server.endpoint, timeout=20))
        assert sorted({*finished, *rest}) == list(range(40))
        assert len(rest) == len(set(rest)) >= 36
        again = sorted({*finished} & {*rest})
        assert again == finished[len(finished) - len(again) :]


@pytest.mark.parametrize("kind", ["sequence", "stream"])
def test_a_server_that_is_started_again_with_its_file(tmp_path, kind):
    """The server goes away twice in mid-epoch and comes back with its state file: each batch comes to one consumer, once."""
    dataset = ps.range(80) if kind == "sequence" else ps.range(160).filter(lambda x: x % 2)
    file = tmp_path / "state.json"
    server = ps.serve(dataset, TCP, mode="share", state_file=file)
    place = server.endpoint
    found = [[], []]
    try:
        readings = [iter(ps.connect(place, window=3, timeout=20)) for _ in found]
        for turn in range(20):
            for reading, one in zip(readings, found, strict=True):
                one.append(next(reading))
            if turn in (5, 11):
                server.close()
                server = ps.serve(dataset, place, mode="share", state_file=file)
        threads = [threading.Thread(target=one.extend, args=(r,)) for one, r in zip(found, readings, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        server.close()
    assert sorted(map(int, chain(*found))) == sorted(map(int, dataset))
    assert file.stat().st_mode & 0o077 == 0
    assert len(file.read_text()) < 1024


SERVER = """
    import os, penstock as ps
    dataset = ps.range(600)
    server = ps.serve(dataset, os.environ["PLACE"], mode="share", state_file=os.environ["FILE"])
    print("here", flush=True)
    server.wait()
"""


def test_a_server_that_is_killed(tmp_path):
    """The server is killed with SIGKILL, several times, at whatever it is; two consumers together get each batch once."""
    with ps.serve(ps.range(1), TCP) as other:
        place = other.endpoint
    path = tmp_path / "server.py"
    path.write_text("\n".join(line[4:] for line in SERVER.splitlines()))
    env = {**os.environ, "PLACE": place, "FILE": str(tmp_path / "state")}

    def start():
        process = subprocess.Popen([sys.executable, str(path)], env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "here\n"
        return process

    process = start()
    found = [[], []]
    done = threading.Event()

    def read(one):
        for item in ps.connect(place, window=4, timeout=30):
            one.append(item)
            done.wait(0.002)

    threads = [threading.Thread(target=read, args=(one,)) for one in found]
    try:
        for thread in threads:
            thread.start()
        for wanted in (30, 150, 300):
            while sum(map(len, found)) < wanted and any(thread.is_alive() for thread in threads):
                done.wait(0.01)
            process.kill()
            process.wait()
            process.stdout.close()
            process = start()
        for thread in threads:
            thread.join(40)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert sorted(chain(*found)) == list(range(600))


def test_without_a_file_doubt_is_said():
    """A server that deals and is started again without a state file cannot know: consumers are told what is in doubt."""
    server = ps.serve(ps.range(100), TCP, mode="share")
    place = server.endpoint
    reading = iter(ps.connect(place, window=2, timeout=20))
    next(reading)
    server.close()
    with ps.serve(ps.range(100), place, mode="share"), pytest.raises(ServiceError, match="state_file="):
        list(reading)
    reading.close()


def test_a_consumer_that_comes_back_with_its_state():
    """A consumer is started again from a state: what the state says it finished is not sent to anybody again."""
    dataset = ps.range(30).shuffle()
    with ps.serve(dataset, TCP, mode="share", patience=0.5) as server:
        with ps.connect(server.endpoint, window=4).loader() as loader:
            reading = iter(loader)
            head = [next(reading) for _ in range(7)]
            saved = json.loads(json.dumps(loader.state_dict()))
        with ps.connect(server.endpoint).loader() as loader:
            loader.load_state_dict(saved)
            assert same(head + list(loader), list(dataset))
    with ps.serve(dataset, TCP, mode="share") as server, ps.connect(server.endpoint).loader() as loader:
        loader.load_state_dict(saved)  # a fresh server goes on where its first consumer was
        assert same(head + list(loader), list(dataset))


def test_epochs_end_for_everybody():
    """Two consumers in step through three epochs: each epoch's batches come once, and nothing of one in the next."""
    totals = {}
    with ps.serve(ps.range(25).shuffle(), TCP, mode="share") as server:

        def read(name):
            with ps.connect(server.endpoint, timeout=20, window=2).loader() as loader:
                for epoch in range(3):
                    totals[name, epoch] = list(loader)

        threads = [threading.Thread(target=read, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    for epoch in range(3):
        assert sorted(totals["a", epoch] + totals["b", epoch]) == list(range(25))


def test_an_abandoned_epoch_is_over_when_nobody_reads_it():
    """The only consumer leaves an epoch in its middle: the next one is whole, and has nothing of the first."""
    dataset = ps.range(30).shuffle()
    with ps.serve(dataset, TCP, mode="share") as server, ps.connect(server.endpoint).loader() as loader:
        next(iter(loader))
        assert same(list(loader), list(dataset.epoch(1)))


def test_coming_late(caplog):
    """Who comes when an epoch is over finds nothing left of it, and is told so."""
    with ps.serve(ps.range(5), TCP, mode="share") as server:
        assert list(ps.connect(server.endpoint)) == [0, 1, 2, 3, 4]
        assert list(ps.connect(server.endpoint)) == []
        assert "was over before" in caplog.text


def test_an_error_reaches_everybody_who_waits():
    """An item that fails is an error for those who read; what came before it was dealt, and asking again tries again."""
    with ps.serve(ps.range(9).map(fail_at_5), TCP, mode="share") as server:
        reading = iter(ps.connect(server.endpoint))
        assert [next(reading) for _ in range(5)] == [0, 1, 2, 3, 4]
        for _ in range(2):
            with pytest.raises(RemoteError, match="five is broken"):
                next(reading)
        reading.close()


def test_several_servers_that_deal():
    """Two servers deal their shares to two consumers: together each batch once."""
    with ps.serve(ps.range(60), TCP, mode="share") as one, ps.serve(ps.range(60), TCP, mode="share") as two:
        found = in_threads(2, [one.endpoint, two.endpoint])
    assert sorted(chain(*found)) == list(range(60))


def test_a_state_file_of_another_pipeline(tmp_path):
    """A state file that belongs to another pipeline, or is none, is refused and says what to do."""
    file = tmp_path / "state"
    with ps.serve(ps.range(5), TCP, mode="share", state_file=file) as server:
        reading = iter(ps.connect(server.endpoint))
        next(reading)
        reading.close()
    with pytest.raises(StateError, match="another pipeline"):
        ps.serve(ps.range(6), TCP, mode="share", state_file=file)
    file.write_text("nonsense")
    with pytest.raises(StateError, match="not a state file"):
        ps.serve(ps.range(5), TCP, mode="share", state_file=file)


def test_a_slow_consumer_does_not_hold_up_the_others():
    """While one consumer keeps a batch in its hands, the other gets all the rest; the epoch ends when both are through."""
    with ps.serve(ps.range(400), TCP, mode="share", window=4) as server:
        slow = iter(ps.connect(server.endpoint, window=1))
        kept = next(slow)
        fast = iter(ps.connect(server.endpoint))
        found = [next(fast) for _ in range(399)]
        assert sorted([kept, *found]) == list(range(400))
        ended = []
        thread = threading.Thread(target=lambda: ended.extend(fast))
        thread.start()
        assert list(slow) == []
        thread.join(10)
        assert not thread.is_alive()
        assert ended == []


def test_a_consumer_that_slept():
    """One that did not run for longer than ``patience`` uses nothing that others were given meanwhile.

    Its thread cannot come in, as in a process that is stopped. What was in its hand comes twice, and nothing else.
    """
    with ps.serve(ps.range(40), TCP, mode="share", patience=0.5) as server:
        link = Link(Wishes((server.endpoint,), window=8), 0, [Where(0, 0)], None)
        (inlet,) = link.inlets
        holding = Holding(link, None)
        mine = [link.take([inlet], holding)[1].number for _ in range(3)]
        while inlet.unkept:  # until the server has heard that two are finished
            link.bell.ring()
        with link.lock:
            others = list(ps.connect(server.endpoint))
            assert inlet.buffer
            assert link.talk.next(inlet) is None
        assert link.take([inlet], holding) is None
        link.close()
    assert (mine, sorted(others)) == ([0, 1, 2], list(range(2, 40)))


def test_a_state_file_that_cannot_be_written(tmp_path, caplog):
    """Nothing leaves that could not be written down; when there is room again, all goes on, and comes once."""
    folder = tmp_path / "folder"
    with pytest.raises(ArgumentError, match="cannot be written"):
        ps.serve(ps.range(60), TCP, mode="share", state_file=folder / "file")
    folder.mkdir()
    with ps.serve(ps.range(60), TCP, mode="share", state_file=folder / "file") as server:
        reading = iter(ps.connect(server.endpoint))
        found = [next(reading)]
        folder.rename(tmp_path / "gone")
        thread = threading.Thread(target=lambda: found.extend(reading))
        thread.start()
        while "batches wait until it can" not in caplog.text:
            assert len(found) <= 16
        folder.mkdir()
        thread.join(20)
    assert found == list(range(60))


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_each_batch_comes_once(tmp_path, relay, seed):
    """Wires are cut, consumers leave and come, the server is killed and started again: nothing is lost, nothing twice."""
    dataset = ps.range(120) if seed % 2 else ps.range(240).filter(lambda x: x % 2).map(lambda x: x // 2)
    how = {"mode": "share", "state_file": tmp_path / "state", "patience": 4}
    server = ps.serve(dataset, TCP, **how)
    place = server.endpoint
    wires = [relay(place) for _ in range(3)]
    found = []

    def read(wire, dice):
        left = True
        while left:
            left = False
            reading = iter(ps.connect(wire.endpoint, timeout=30, window=dice.choice([1, 3, 8])))
            for item in reading:
                found.append(int(item))
                pause.wait(0.004 * dice.random())
                if dice.random() < 0.03:
                    wire.cut()
                if dice.random() < 0.03:
                    left = True
                    break
            reading.close()

    pause = threading.Event()
    threads = [
        threading.Thread(target=read, args=(wire, random.Random(10 * seed + number)))
        for number, wire in enumerate(wires)
    ]
    try:
        for thread in threads:
            thread.start()
        for wanted in (25, 60):
            while len(found) < wanted and any(thread.is_alive() for thread in threads):
                pause.wait(0.005)
            server._loop.send = server._loop.mode.save = lambda *_: None  # from here on it is as if killed
            server.close()
            server = ps.serve(dataset, place, **how)
        for thread in threads:
            thread.join(40)
    finally:
        for wire in wires:
            wire.__exit__()
        server.close()
    assert sorted(found) == list(range(120))
