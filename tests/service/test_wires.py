"""Connections that are cut, held up, slow, and killed at both ends: what is consumed equals the local run."""

from __future__ import annotations

import hashlib
import random
import threading

import numpy as np
import pytest

import penstock as ps
from penstock.testing import same

TCP = "tcp://127.0.0.1:*"


def large(x):
    return np.full(60_000, x)


def digest(items):
    found = hashlib.sha256()
    for item in items:
        found.update(np.ascontiguousarray(item).tobytes())
    return found.hexdigest()


DATASETS = {
    "small": ps.range(400).shuffle().batch(3),
    "large": ps.range(80).map(large),
    "stream": ps.range(600).filter(lambda x: x % 3).map(lambda x, rng: x + rng.random(), rng=True),
}


@pytest.mark.parametrize("mode", ["mirror", "share"])
@pytest.mark.parametrize("name", DATASETS)
def test_a_wire_that_is_cut_again_and_again(name, mode, relay):
    """The connection is cut in whatever it is in the middle of, many times: the hash of what comes is the local one."""
    dataset = DATASETS[name]
    dice = random.Random(1)
    with ps.serve(dataset, TCP, mode=mode, patience=20) as server, relay(server.endpoint) as wire:
        found = []
        for number, item in enumerate(ps.connect(wire.endpoint, timeout=20, window=8, local=False)):
            found.append(item)
            if dice.random() < 0.05 and number < 200:
                wire.cut()
    assert digest(found) == digest(dataset)


def test_a_wire_that_is_silent_for_a_while(relay):
    """Nothing passes for longer than the server's patience, and nobody is told: then it goes on where it was."""
    dataset = DATASETS["large"]
    with ps.serve(dataset, TCP, patience=0.5) as server, relay(server.endpoint) as wire:
        found = []
        for number, item in enumerate(ps.connect(wire.endpoint, timeout=20, window=4, local=False)):
            found.append(item)
            if number == 10:
                wire.held.set()
                threading.Timer(1.5, wire.held.clear).start()
    assert same(found, list(dataset))


def test_a_slow_wire(relay):
    """Batches that take a second each are no reason to give up, with a timeout that allows for one."""
    dataset = ps.range(3).map(large)
    with ps.serve(dataset, TCP) as server, relay(server.endpoint, rate=1_000_000) as wire:
        assert same(list(ps.connect(wire.endpoint, timeout=5, local=False)), list(dataset))


def test_a_wire_that_stays_cut(relay):
    """Where the connection does not come back, the consumer is told after its timeout, and by name."""
    with ps.serve(ps.range(1000), TCP) as server, relay(server.endpoint) as wire:
        reading = iter(ps.connect(wire.endpoint, timeout=1, window=4, local=False))
        next(reading)
        wire.refusing = True
        wire.cut()
        with pytest.raises(ps.errors.ServerLost, match="silent"):
            list(reading)


def test_consumers_over_bad_wires_share(relay):
    """Three consumers, whose wires are cut at random, share a server: together each batch once."""
    found = [[] for _ in range(3)]
    with ps.serve(ps.range(300), TCP, mode="share", patience=20) as server:
        wires = [relay(server.endpoint) for _ in found]

        def read(one, wire, seed):
            dice = random.Random(seed)
            for item in ps.connect(wire.endpoint, timeout=20, window=4):
                one.append(int(item))
                if dice.random() < 0.1:
                    wire.cut()

        threads = [
            threading.Thread(target=read, args=(one, wire, seed))
            for seed, (one, wire) in enumerate(zip(found, wires, strict=True))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for wire in wires:
            wire.__exit__()
    assert sorted(found[0] + found[1] + found[2]) == list(range(300))
