"""Mode share behind steps that run ahead: a batch is finished when the loop comes back from it, and not before."""

from __future__ import annotations

import copy
import json
import pickle
import signal
import threading
from itertools import chain, islice

import pytest

import penstock as ps
from penstock.graph.progress import Mark, Progress, tell

TCP = "tcp://127.0.0.1:*"
AHEAD = {
    "prefetch": lambda d: (d.prefetch(8), None),
    "prefetch more than the window": lambda d: (d.prefetch(50), None),
    "map": lambda d: (d.map(int), ps.Threads(3)),
    "map and prefetch": lambda d: (d.map(int).prefetch(4), ps.Threads(2)),
    "prefetch and map": lambda d: (d.prefetch(4).map(int), ps.Threads(2)),
    "filter": lambda d: (d.filter(lambda x: True).prefetch(3), None),
    "in line": lambda d: (d, None),
}
GATHERING = {
    "batch": lambda d: (d.batch(5).prefetch(2), None),
    "a batch above the window": lambda d: (d.batch(7).prefetch(2), None),
    "batches of batches": lambda d: (d.batch(3).prefetch(2).unbatch().batch(5).prefetch(2), ps.Threads(2)),
    "shuffle": lambda d: (d.shuffle(window=9).prefetch(2), None),
    "sorted": lambda d: (d.sort_within(10, key=int).map(int).prefetch(1), ps.Threads(2)),
    "zip": lambda d: (ps.zip(d.prefetch(2), ps.range(100).prefetch(2)).map(lambda pair: pair[0]), None),
}


def flat(items):
    return [int(x) for item in items for x in (item if hasattr(item, "__len__") else [item])]


@pytest.mark.parametrize("name", AHEAD)
def test_what_was_read_ahead_goes_to_others(name):
    """A loop that is left after three batches has had three: what was read ahead for it comes to the next consumer."""
    with ps.serve(ps.range(60), TCP, mode="share") as server:
        dataset, workers = AHEAD[name](ps.connect(server.endpoint, timeout=20))
        with dataset.loader(workers=workers) as loader:
            taken = flat(islice(loader, 3))
        rest = flat(ps.connect(server.endpoint, timeout=20))
    assert sorted(taken + rest) == list(range(60))


@pytest.mark.parametrize("name", AHEAD | GATHERING)
def test_everything_comes_once(name):
    """Two consumers read to the end, one of them slowly, and again: each batch goes to one of them, and nobody waits.

    What a step gathers before it gives anything, be it more than the window, keeps no consumer waiting.
    """
    with ps.serve(ps.range(47), TCP, mode="share") as server:
        found = [[], []]

        def read(number):
            remote = ps.connect(server.endpoint, timeout=20, window=6)
            dataset, workers = {**AHEAD, **GATHERING}[name](remote)
            with dataset.loader(workers=workers) as loader:
                for _ in range(2):
                    found[number].append(flat(loader))

        threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    for epoch in range(2):
        assert sorted(chain(*(each[epoch] for each in found))) == list(range(47))


DYING = """
    import os, time, penstock as ps
    remote = ps.connect(os.environ["PLACE"], window=8).prefetch(4).map(int)
    with remote.loader(workers=ps.Threads(2)) as loader:
        for number, item in enumerate(loader):
            print(item, flush=True)
            if number == 4:
                time.sleep(0.3)  # in which others run ahead
                os.kill(os.getpid(), 9)
"""


def test_a_killed_consumer_takes_nothing_along(script):
    """A consumer is killed: what it had read ahead comes to the other."""
    with ps.serve(ps.range(40), TCP, mode="share", patience=1) as server:
        run = script(DYING, env={"PLACE": server.endpoint})
        assert run.returncode == -signal.SIGKILL
        had = [int(line) for line in run.stdout.split()]
        rest = flat(ps.connect(server.endpoint, timeout=20))
    assert len(had) == 5
    assert sorted({*had, *rest}) == list(range(40))
    assert len(rest) == len(set(rest)) >= 36  # the batch in its hands comes again


def test_a_state_is_plain():
    """What is saved behind a server that deals is plain JSON, and going on from it misses nothing."""
    with ps.serve(ps.range(30), TCP, mode="share") as server:
        remote = ps.connect(server.endpoint, timeout=20).prefetch(5)
        with remote.loader() as loader:
            taken = flat(islice(loader, 4))
            saved = json.loads(json.dumps(loader.state_dict()))
        with remote.loader() as loader:
            loader.load_state_dict(saved)
            assert sorted(taken + flat(loader)) == list(range(30))


class Heard:
    """A source that writes down what it hears."""

    def __init__(self):
        self.counts = []

    def reached(self, count):
        self.counts.append(count)

    def look(self):
        self.counts.append("look")


def test_marks():
    """A mark is found wherever a position holds it; its copies are plain lists; a source that is gone hears nothing."""
    source, gone = Heard(), Heard()
    position = [3, {"a": (Mark([1, 2], source, 7), None)}, Mark([], gone, 1)]
    del gone
    tell(position)
    assert source.counts == [7]
    for plain in (pickle.loads(pickle.dumps(position)), copy.deepcopy(position)):
        assert plain == [3, {"a": ([1, 2], None)}, []]
        assert type(plain[1]["a"][0]) is type(plain[2]) is list


def test_dry(monkeypatch):
    """A loop waits for nothing else when all that runs ahead has nothing; after a while, whatever that says."""

    class Step:
        dry = False

    progress, step = Progress(), Step()
    assert not progress.dry
    progress.asked(None)
    assert progress.dry
    progress.ahead.add(step)
    assert not progress.dry
    step.dry = True
    assert progress.dry
    step.dry = False
    monkeypatch.setattr("penstock.graph.progress.LONG", -1.0)
    assert progress.dry
    progress.given()
    assert not progress.dry
