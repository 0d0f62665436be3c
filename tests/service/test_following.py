"""One consumer, and several that each read everything: exact, resumable anywhere, whoever is started again."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, RemoteError, ServerLost, ServerRefused, StateError
from penstock.service.following import Following
from penstock.service.inlets import Peer
from penstock.service.lanes import Lane
from penstock.service.link import Link
from penstock.service.routes import Guest, Route
from penstock.testing import check_dataset, same

TCP = "tcp://127.0.0.1:*"


def fail_at_5(x):
    if x == 5:
        error = ValueError("five is broken")
        error.add_note("look at five")
        raise error
    return x


def named(x):
    return {"x": np.full((3, 2), x), "name": f"item {x}", "raw": bytes([x]), "pair": (x, None, [1.5, True])}


DATASETS = {
    "sequence": ps.range(40).shuffle().batch(3),
    "one": ps.range(1),
    "empty": ps.range(0),
    "dicts": ps.range(9).map(named),
    "stream": ps.range(60).filter(lambda x: x % 3).batch(4),
    "plain": ps.stream(range(12)),
    "endless": ps.range(7).repeat(),
    "random": ps.range(20).map(lambda x, rng: x + rng.random(), rng=True).shuffle(window=5),
    "large": ps.range(5).map(lambda x: np.full(200_000, x)),
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_contract(name):
    """What a server sends is a dataset like any other: same items twice, in every executor, and from every state."""
    with ps.serve(DATASETS[name], TCP) as server:
        remote = ps.connect(server.endpoint, timeout=20)
        check_dataset(remote, limit=15)
        for epoch in (0, 2):
            local = list(itertools.islice(DATASETS[name].epoch(epoch), 30))
            assert same(list(itertools.islice(remote.epoch(epoch), 30)), local)


def test_a_stream_like_any_other():
    """What comes can be mapped, batched, prefetched and read by workers, and resumes through all of that."""
    with ps.serve(ps.range(30).shuffle(), TCP) as server:
        remote = ps.connect(server.endpoint).map(lambda x: x * 2).batch(4).prefetch(2)
        check_dataset(remote, limit=6, executors=(ps.Threads(2),))
        assert sum(map(int, (b.sum() for b in remote))) == 2 * sum(range(30))


def test_two_endpoints_and_unix_sockets(tmp_path):
    """A server listens at several places at once, and serves the same to whoever comes."""
    with ps.serve(ps.range(10), [TCP, f"ipc://{tmp_path}/batches"]) as server:
        assert [list(ps.connect(end)) for end in server.endpoints] == [list(range(10))] * 2


def test_a_server_may_be_the_one_that_connects(tmp_path):
    """The consumer waits at a place of its own, and the server comes to it."""
    place = f"ipc://{tmp_path}/waiting"
    reading = iter(ps.connect(place, bind=True, timeout=20))
    found = []
    thread = threading.Thread(target=lambda: found.extend(reading))
    thread.start()
    with ps.serve(ps.range(10), place, bind=False):
        thread.join(20)
    assert found == list(range(10))


def test_arrays_can_be_written_to():
    """What arrives over the network is the consumer's own memory."""
    with ps.serve(ps.range(3).map(lambda x: np.full(100_000, x)), TCP) as server:
        for item in ps.connect(server.endpoint, local=False):
            item[:] = 1


@pytest.mark.parametrize("name", ["sequence", "stream", "large"])
def test_a_server_that_is_started_again(name):
    """In the middle of an epoch the server goes away and another comes to its place: not a batch is lost or twice."""
    dataset = DATASETS[name]
    server = ps.serve(dataset, TCP, window=4)
    place = server.endpoint
    found = []
    try:
        for number, item in enumerate(ps.connect(place, window=2, timeout=20)):
            found.append(item)
            if number in (1, 3):
                server.close()
                server = ps.serve(dataset, place, window=4)
    finally:
        server.close()
    assert same(found, list(dataset))


@pytest.mark.parametrize("name", ["sequence", "stream"])
def test_a_consumer_that_is_started_again(name):
    """A state that was saved here is loaded there, at another server: exactly the remaining batches come."""
    dataset = DATASETS[name]
    with ps.serve(dataset, TCP) as server, ps.connect(server.endpoint).loader() as loader:
        reading = iter(loader)
        first = [next(reading) for _ in range(4)]
        saved = json.loads(json.dumps(loader.state_dict()))
    with ps.serve(dataset, TCP) as server, ps.connect(server.endpoint).loader() as loader:
        loader.load_state_dict(saved)
        rest = list(loader)
        again = list(loader)
    assert same(first + rest, list(dataset))
    assert same(again, list(dataset.epoch(1)))


def test_an_abandoned_epoch_leaves_nothing():
    """After a break the next epoch begins at its own beginning, and is whole."""
    with ps.serve(DATASETS["sequence"], TCP) as server, ps.connect(server.endpoint).loader() as loader:
        for _ in itertools.islice(loader, 3):
            pass
        assert same(list(loader), list(DATASETS["sequence"].epoch(1)))


def test_errors_arrive_with_all_that_is_known():
    """An error of the server's pipeline has its type's name, its notes and its traceback; batches before it come first."""
    with ps.serve(ps.range(9).map(fail_at_5), TCP) as server:
        reading = iter(ps.connect(server.endpoint))
        assert [next(reading) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(RemoteError, match="ValueError: five is broken") as caught:
            next(reading)
        assert "look at five" in caught.value.__notes__
        assert any("item 5 of map(fail_at_5)" in note for note in caught.value.__notes__)
        assert "in fail_at_5" in str(caught.value.__cause__)
        assert list(ps.connect(server.endpoint).take(5)) == [0, 1, 2, 3, 4]  # the server goes on


def test_what_cannot_be_sent_says_what_to_do():
    """An item that is no data is an error that names the remedy; it is not pickled."""
    with ps.serve(ps.items([object()]), TCP) as server, pytest.raises(RemoteError, match="records hold arrays"):
        list(ps.connect(server.endpoint))


def test_a_server_that_is_not_there():
    """Nobody answers: an error after the timeout, and it says where."""
    began = time.monotonic()
    with pytest.raises(ServerLost, match=r"127\.0\.0\.1:1 has been silent"):
        next(iter(ps.connect("tcp://127.0.0.1:1", timeout=0.5)))
    assert time.monotonic() - began < 5


def test_nobody_answers(monkeypatch, caplog):
    """Before the timeout is over a line says that nobody answers, and what is known of the reason."""
    monkeypatch.setattr("penstock.service.link.SLOW", 0.1)

    def unknown(*_):
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(ServerLost, match="cannot be looked up: no such name"):
        next(iter(ps.connect("tcp://localhost:1", timeout=0.5)))
    (said,) = caplog.messages
    assert "has been silent for 0 s; waiting for up to 0.5 s. The name of its host" in said


def test_a_stop_is_no_silence_of_the_server():
    """Of the time in which a consumer's own thread did not run, nothing is held against a server."""
    link = SimpleNamespace(peers=[Peer("silent", 10.0), Peer("heard", 99.0)])
    Link.excuse(link, 100.0, 0.1)
    Link.excuse(link, 100.0, 80.0)
    assert [peer.heard for peer in link.peers] == [90.0, 100.0]


def test_a_server_that_nobody_holds(caplog):
    """It is closed, and says so; one that was closed says nothing."""
    ps.serve(ps.range(3), TCP).close()
    assert not caplog.messages
    ps.serve(ps.range(3), TCP)
    gc.collect()
    (said,) = caplog.messages
    assert "keep what serve() returns" in said


def test_a_server_that_does_not_come_back():
    """A server that goes away for good is an error after the timeout; what came before is delivered."""
    server = ps.serve(ps.range(1000), TCP)
    reading = iter(ps.connect(server.endpoint, timeout=0.5, window=4))
    found = [next(reading)]
    server.close()
    with pytest.raises(ServerLost):
        found.extend(reading)
    reading.close()


def test_a_state_of_another_pipeline():
    """A state is refused by a server of another pipeline, and so is a server that was replaced by another one."""
    with ps.serve(ps.range(10), TCP) as server, ps.connect(server.endpoint).loader() as loader:
        next(iter(loader))
        saved = loader.state_dict()
    with ps.serve(ps.range(10).shuffle(), TCP) as server, ps.connect(server.endpoint).loader() as loader:
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match="another pipeline"):
            list(loader)


def test_the_high_water_mark_is_kept():
    """A consumer that takes nothing is sent what its window allows, and not one batch more."""
    with ps.serve(ps.range(100), TCP) as server:
        reading = iter(ps.connect(server.endpoint, window=3))
        next(reading)
        deadline = time.monotonic() + 5
        while (now := server.figures()["consumers"][0]["under_way"]) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert now == 3
        assert server.figures()["batches"] == 3
        reading.close()


def test_consumers_that_read_together_cost_one_decoding():
    """Three consumers near one another get every batch each, and each item is computed once."""
    calls = []
    with ps.serve(ps.range(200).map(lambda x: calls.append(x) or x), TCP, window=64) as server:
        readings = [iter(ps.connect(server.endpoint, window=8)) for _ in range(3)]
        assert [list(row) for row in zip(*readings, strict=True)] == [[x] * 3 for x in range(200)]
    assert max(calls.count(x) for x in range(200)) <= 2  # the beginning of the next epoch is computed ahead


def test_consumers_that_are_far_apart(monkeypatch):
    """A consumer that comes late reads from the front, and another from its state, while the first is elsewhere."""
    monkeypatch.setattr("penstock.service.following.APART", 0.1)
    dataset = DATASETS["stream"]
    with ps.serve(dataset, TCP, window=3) as server:
        first = iter(ps.connect(server.endpoint, window=2))
        head = [next(first) for _ in range(6)]
        assert same(list(ps.connect(server.endpoint, window=2)), list(dataset))
        assert same(head + list(first), list(dataset))


def test_nobody_waits_for_somebody_who_pauses(monkeypatch):
    """Two consumers begin together and one pauses: the other goes on alone after a while, and both get everything."""
    monkeypatch.setattr("penstock.service.following.APART", 0.1)
    with ps.serve(ps.range(100), TCP, window=4) as server:
        one, two = (iter(ps.connect(server.endpoint, window=2)) for _ in range(2))
        assert next(one) == next(two) == 0
        assert list(two) == list(range(1, 100))
        assert list(one) == list(range(1, 100))


def test_there_are_only_so_many_places():
    """Where consumers stand at more places than the server reads at, the one too many is told what to do."""
    with ps.serve(ps.range(1000), TCP, window=2, lanes=1) as server:
        first = iter(ps.connect(server.endpoint, window=1))
        for _ in range(50):
            next(first)
        with pytest.raises(ServerRefused, match="lanes="):
            next(iter(ps.connect(server.endpoint)))
        first.close()


@pytest.mark.parametrize("name", ["sequence", "dicts"])
def test_ranks_get_their_part_of_every_batch(name):
    """In mode shard each rank gets what a local loader of that rank would, and the world may change in mid-epoch."""
    dataset = ps.range(48).shuffle().batch(6)
    with ps.serve(dataset, TCP, mode="shard", workers=ps.Threads(4)) as server:
        for world in (1, 2, 3):
            for rank in range(world):
                with dataset.loader(shard=(rank, world)) as local:
                    assert same(list(ps.connect(server.endpoint, shard=(rank, world))), list(local))
        with ps.connect(server.endpoint, shard=(1, 2)).loader() as loader:
            next(iter(loader))
            saved = loader.state_dict()
        with ps.connect(server.endpoint, shard=(2, 3)).loader() as loader, dataset.loader(shard=(2, 3)) as local:
            loader.load_state_dict(saved)
            assert same(list(loader), list(local)[1:])
        with pytest.raises(ServerRefused, match="shard="):
            list(ps.connect(server.endpoint))
    with ps.serve(dataset, TCP) as server, pytest.raises(ServerRefused, match='mode="shard"'):
        list(ps.connect(server.endpoint, shard=(0, 2)))
    with (
        ps.serve(ps.range(4), TCP, mode="shard") as server,
        pytest.raises((ServerRefused, RemoteError), match="no batch"),
    ):
        list(ps.connect(server.endpoint, shard=(0, 2)))


def test_workers_compute_what_is_served():
    """The server's loader has processes, and what comes is the same."""
    dataset = ps.range(24).map(named).batch(4)
    with ps.serve(dataset, TCP, workers=ps.Processes(2)) as server:
        assert same(list(ps.connect(server.endpoint)), list(dataset))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ps.connect("host:5557"), "no endpoint"),
        (lambda: ps.connect([]), "no endpoint"),
        (lambda: ps.connect(["tcp://a:1", "tcp://a:1"]), "twice"),
        (lambda: ps.connect("tcp://a:1", timeout=0), "timeout"),
        (lambda: ps.connect("tcp://a:1", shard=(2, 2)), "does not exist"),
        (lambda: ps.connect("tcp://a:1", window=0), "window"),
        (lambda: ps.serve(ps.range(3), TCP, mode="sharr"), "Did you mean 'share'"),
        (lambda: ps.serve(ps.range(3), "5557"), "no endpoint"),
        (lambda: ps.serve(ps.range(3), TCP, state_file="x"), 'only mode="share"'),
        (lambda: ps.serve(ps.range(3), TCP, patience=-1), "patience"),
        (lambda: ps.serve(ps.range(3), TCP, keys="/nowhere"), "penstock keys"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    """An argument that cannot work is refused where it is given, with its name and the remedy."""
    with pytest.raises(ArgumentError, match=words):
        call()


def test_a_place_that_is_taken():
    """Two servers cannot be at one place, and the second is told so."""
    with ps.serve(ps.range(3), TCP) as server, pytest.raises(ps.errors.ServiceError, match="cannot be bound"):
        ps.serve(ps.range(3), server.endpoint)


def test_open_doors_are_warned_of():
    """Whoever binds to all interfaces without keys is told what that means."""
    with pytest.warns(UserWarning, match="without keys"):
        ps.serve(ps.range(3), "tcp://0.0.0.0:*").close()


def test_bytes_as_people_write_them():
    """Both ends take a number of bytes as a text, and refuse one that says nothing."""
    with ps.serve(ps.range(9), TCP, window_bytes="1MB") as server:
        assert list(ps.connect(server.endpoint, window_bytes="64 KiB")) == list(range(9))
    for wrong in (
        lambda: ps.connect("tcp://a:1", window_bytes="much"),
        lambda: ps.serve(ps.range(1), TCP, window_bytes="1XB"),
    ):
        with pytest.raises(ArgumentError, match="window_bytes must be a number of bytes"):
            wrong()


# ----------------------------------------------------------------------------------------------- several servers


@pytest.mark.parametrize("name", ["sequence", "stream", "empty", "one"])
@pytest.mark.parametrize("count", [2, 3])
def test_several_servers_are_one(name, count):
    """Each server computes its share, and the consumer sees one canonical order, with one kind of state."""
    dataset = DATASETS[name]
    servers = [ps.serve(dataset, TCP) for _ in range(count)]
    try:
        check_dataset(ps.connect([server.endpoint for server in servers]), limit=8)
        with ps.connect([server.endpoint for server in servers]).loader() as loader:
            assert same([list(loader) for _ in range(2)], [list(dataset), list(dataset.epoch(1))])
    finally:
        for server in servers:
            server.close()


def test_a_state_fits_any_number_of_servers():
    """What was read from two servers is continued with one, and the other way round."""
    dataset = DATASETS["stream"]
    with ps.serve(dataset, TCP) as one, ps.serve(dataset, TCP) as two:
        ends = [one.endpoint, two.endpoint]
        for first, then in ((ends, ends[:1]), (ends[1:], ends)):
            with ps.connect(first).loader() as loader:
                reading = iter(loader)
                head = [next(reading) for _ in range(3)]
                saved = loader.state_dict()
            with ps.connect(then).loader() as loader:
                loader.load_state_dict(saved)
                assert same(head + list(loader), list(dataset))


@pytest.mark.parametrize("name", ["sequence", "stream"])
def test_the_others_take_over(name):
    """One of three servers goes away for good: the others take over its share, and the order stays."""
    dataset = DATASETS[name]
    servers = [ps.serve(dataset, TCP, window=2) for _ in range(3)]
    found = []
    try:
        for item in ps.connect([server.endpoint for server in servers], window=1, timeout=1):
            found.append(item)
            if len(found) == 3:
                servers[1].close()
    finally:
        for server in servers:
            server.close()
    assert same(found, list(dataset))


def test_unordered_takes_what_comes():
    """On request batches of several servers come as they come: all of them, each once, and resumable."""
    with ps.serve(ps.range(30), TCP) as one, ps.serve(ps.range(30), TCP) as two:
        remote = ps.connect([one.endpoint, two.endpoint], ordered=False)
        with remote.loader() as loader:
            reading = iter(loader)
            head = [next(reading) for _ in range(11)]
            saved = json.loads(json.dumps(loader.state_dict()))
        with remote.loader() as loader:
            loader.load_state_dict(saved)
            assert sorted(head + list(loader)) == list(range(30))


# ------------------------------------------------------------------------------------------------------------- lanes


def wait_for(condition):
    """Wait until something is so; fail after some seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lane_that_is_quicker_than_its_server(monkeypatch):
    """Batches that are read before the server has noted where a consumer begins are not skipped."""
    move = Lane.move

    def quick(self, where):
        at = move(self, where)
        wait_for(lambda: self.entries)
        return at

    monkeypatch.setattr(Lane, "move", quick)
    with ps.serve(DATASETS["sequence"], TCP) as server:
        assert same(list(ps.connect(server.endpoint, timeout=20)), list(DATASETS["sequence"]))


def test_a_consumer_that_comes_again_to_a_full_lane(monkeypatch):
    """Where all that is read ahead lies before the one consumer that is left, it is dropped, and reading goes on."""
    monkeypatch.setattr("penstock.service.following.APART", 1e9)
    wish = {"epoch": 0, "share": [0, 1], "shard": None, "window": 4, "bytes": 1 << 20}
    made = lambda key: Lane(ps.range(20), key, lambda dataset, _: dataset.loader(), (4, 1 << 20), lambda: None)  # noqa: E731
    following = Following(made, None, 4)
    try:
        before, again = (Route(Guest(b"", "name", "", 0.0), wish | {"route": number}) for number in (1, 2))
        assert following.open(before, {"number": 0, "below": None, "held": []}) is None
        wait_for(lambda: following.lanes[0].full)
        following.replace([before])
        assert following.open(again, {"number": 4, "below": None, "held": []}) is None
        wait_for(lambda: again.lane.at(again.at) is not None)
        assert again.lane.at(again.at).number == 4
    finally:
        following.shut()


def test_what_comes_in_the_moment_of_a_look_is_not_skipped():
    """A route that found nothing goes on with what came right then, though another lane has been farther."""
    wish = {"epoch": 0, "share": [0, 1], "shard": None, "window": 40, "bytes": 1 << 20}
    gates = [threading.Semaphore(0), threading.Semaphore(0)]
    bodies = iter(gates)

    def start(key):
        gate = next(bodies)
        dataset = ps.range(20).map(lambda x: (gate.acquire(), x)[1])
        return Lane(dataset, key, lambda dataset, _: dataset.loader(), (40, 1 << 20), lambda: None)

    following = Following(start, None, 4)
    try:
        slow, fast = (Route(Guest(b"", "name", "", 0.0), wish | {"route": number}) for number in (1, 2))
        assert following.open(slow, {"number": 0, "below": None, "held": []}) is None
        assert following.open(fast, {"number": 2, "below": None, "held": []}) is None
        lane, other = slow.lane, fast.lane
        gates[1].release(10)
        wait_for(lambda: other.head == 10)
        look = lane.at

        def late(count):
            found = look(count)
            gates[0].release(3)
            wait_for(lambda: lane.head == 3)
            return found

        lane.at = late
        following.step(slow, lane)
        del lane.at
        assert slow.lane.at(slow.at).number == 0
    finally:
        for gate in gates:
            gate.release(1000)
        following.shut()


def test_who_is_gone_is_forgotten_at_once(relay):
    """Of a consumer whose connection was lost nothing is kept, long before the patience with silent ones ends."""
    with ps.serve(ps.range(3000), TCP, patience=60) as server, relay(server.endpoint) as wire:
        reading = iter(ps.connect(wire.endpoint, window=2, timeout=60))
        next(reading)
        wire.refusing = True
        wire.cut()
        wait_for(lambda: not server.figures()["consumers"])
        wire.refusing = False
        assert list(reading) == list(range(1, 3000))


def test_an_error_keeps_nothing_alive():
    """When a loop has ended with an error, its connection and all that the loop had are free as soon as the error is."""

    def links():
        gc.collect()
        return sum(isinstance(one, Link) for one in gc.get_objects())

    before = links()
    with contextlib.suppress(ServerLost):
        next(iter(ps.connect("tcp://127.0.0.1:9", timeout=0.2)))
    assert links() <= before
