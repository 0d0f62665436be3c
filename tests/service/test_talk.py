"""When a consumer says what it has finished: soon enough that nobody waits for it, and not more often."""

from __future__ import annotations

import pytest

from penstock.service.inlets import Arrival, Inlet, Peer, Wishes
from penstock.service.lanes import Where
from penstock.service.ledger import Outflow
from penstock.service.protocol import Message, Nonsense
from penstock.service.talk import Talk

WELCOME = {
    "version": "", "token": "t", "instance": "i", "mode": "mirror", "pipeline": [], "digest": 1, "kept": False, "patience": 10.0,
    "window": 1024, "bytes": 1 << 28, "local": None,
}  # fmt: skip


@pytest.fixture
def talk():
    """A consumer of one server, and what it says."""

    def make(welcome=(), **wishes):
        said = []
        peer = Peer("tcp://nowhere", 0.0)
        inlet = Inlet(0, Where(0, 0), peer)
        made = Talk(Wishes(("tcp://nowhere",), **wishes), 0, [inlet], None, lambda *a, **k: said.append((a, k)), int)
        made.welcome(peer, {**WELCOME, **dict(welcome)})
        return made, inlet, said

    return make


@pytest.mark.parametrize(
    ("server", "consumer", "credit"),
    [
        ((8, 1000), (None, 5000), (8, 1000)),
        ((8, 1000), (3, 100), (3, 100)),
        ((1, 1), (None, 5000), (1, 1)),
    ],
)
def test_credit_is_what_both_have_room_for(talk, server, consumer, credit):
    """A server keeps what is not finished: a consumer asks for no more than it can keep, or both would wait."""
    window, nbytes = consumer
    _, _, said = talk({"window": server[0], "bytes": server[1]}, window=window, window_bytes=nbytes)
    opened = said[-1][1]
    assert (opened["window"], opened["bytes"]) == credit


def test_in_share_the_server_keeps_nothing(talk):
    """What is dealt out is the consumer's alone, so the server's own window is no bound of it."""
    made, _, said = talk({"mode": "share", "window": 4})
    assert said[-1][1]["window"] == made.window == 16


@pytest.mark.parametrize("window", [1, 2, 3, 8, 1024])
@pytest.mark.parametrize("size", [1, 30, 60, 300])
@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_nobody_waits_for_the_other(talk, window, size, limit):
    """A consumer that has taken all that came has either told what it finished, or left room for one more batch."""
    made, inlet, _ = talk(window=window, window_bytes=limit)
    flow = Outflow(made.window, made.bytes)
    beats = 0
    for number in range(3000):
        assert flow.allows(size)
        flow.add(size)
        inlet.largest = max(inlet.largest, size)
        inlet.hands.append((number, size))
        inlet.taken += 1
        made.finish(inlet)
        if made.half(inlet):
            flow.finish(inlet.flow.finished)
            inlet.flow.tell()
            beats += 1
    assert beats <= 3000 / min(max(1, window // 2), max(1, (limit // 2 - size) // size))


@pytest.fixture
def leaving(talk):
    """A consumer of a server that deals, which has finished three batches and is about to go."""
    made, inlet, _ = talk({"mode": "share", "kept": True})
    for number in range(3):
        inlet.hands.append((number, 1))
        inlet.taken += 1
        made.finish(inlet)
    inlet.flow.received = 3
    inlet.leaving = True
    return made, inlet


def test_a_pulse_from_before_is_no_answer(leaving):
    """Whoever leaves waits until all is written down, and goes then: a pulse that came first is not the last."""
    made, inlet = leaving
    route = inlet.route
    made.pulse(route, 3, 1)
    assert (inlet.route, len(inlet.unkept)) == (route, 2)
    made.pulse(route, 3, 3)
    assert (inlet.route, len(inlet.unkept)) == (0, 0)


def test_more_than_was_finished_cannot_be_written_down(leaving):
    """A server that says so is none."""
    made, inlet = leaving
    with pytest.raises(Nonsense, match="4 batches written down, 3 finished"):
        made.pulse(inlet.route, 3, 4)


@pytest.fixture
def dealt(talk, monkeypatch):
    """A consumer of a server that deals, with two batches that came; and its clock, which it can set."""
    times = [1_000_000]
    for module in ("inlets", "talk"):
        monkeypatch.setattr(f"penstock.service.{module}.clock", lambda: times[0])
    made, inlet, said = talk({"mode": "share", "patience": 2.5})
    inlet.buffer.extend(Arrival(number, [], None, 1) for number in (4, 5))
    inlet.flow.received = 2
    return made, inlet, said, times


def pulse(made, inlet, at):
    """Let the server say that it heard of the consumer at some time of the consumer's clock."""
    made.heard(inlet.peer, Message("pulse", {"clock": at, "routes": []}))


def test_what_may_be_somebody_elses_by_now_is_not_used(dealt):
    """After ``patience`` without an answer nothing that was dealt is handed out, until the server was heard again.

    Only what the server heard after it was told what is held here counts.
    """
    made, inlet, said, times = dealt
    assert made.next(inlet) is None
    pulse(made, inlet, times[0] - 1)
    assert made.next(inlet) is None
    pulse(made, inlet, times[0])
    assert made.next(inlet).number == 4
    times[0] += 2500
    assert made.next(inlet) is None
    made.heard(inlet.peer, Message("again", {}))
    made.welcome(inlet.peer, {**WELCOME, "mode": "share", "patience": 2.5})
    assert said[-1][1]["held"] == [[4, 5], [5, 6]]
    pulse(made, inlet, times[0] - 1)
    assert made.next(inlet) is None
    made.heard(inlet.peer, Message("void", {"route": inlet.route, "numbers": [[5, 6]]}))
    pulse(made, inlet, times[0])
    assert made.next(inlet) is None  # it is somebody else's
    assert inlet.flow.finished == 0  # what was taken before is not finished
    made.finish(inlet)
    assert inlet.flow.finished == 2


def test_what_was_lost_may_be_dealt_anew(dealt):
    """A batch that was somebody else's meanwhile is handed out when it is dealt to this consumer again."""
    made, inlet, _, times = dealt
    pulse(made, inlet, times[0])
    made.heard(inlet.peer, Message("void", {"route": inlet.route, "numbers": [[4, 6], [7, 9]]}))
    assert made.next(inlet) is None
    inlet.buffer.extend(Arrival(number, [], None, 1) for number in (4, 7))
    assert [made.next(inlet).number, made.next(inlet).number] == [4, 7]


@pytest.mark.parametrize(("window", "limit", "sizes"), [(3, 1000, [1, 1, 1, 1]), (9, 100, [60, 41]), (1, 5, [9, 9])])
def test_more_than_was_asked_for_is_nonsense(talk, window, limit, sizes):
    """A server that sends beyond its credit is none. One batch alone may be as large as it likes.

    What is held when a route is opened anew is no part of its credit in bytes, as the server counts it, too.
    """
    made, inlet, _ = talk(window=window, window_bytes=limit)

    def came(seq, size):
        made.batches(inlet, {"seq": seq, "numbers": [seq], "sizes": [size], "after": None}, [bytes(size)])

    for seq, size in enumerate(sizes[:-1]):
        came(seq, size)
    with pytest.raises(Nonsense, match="were asked for"):
        came(len(sizes) - 1, sizes[-1])
    inlet.buffer.pop()
    made.open_route(inlet)
    assert (inlet.flow.held, sum(arrival.nbytes for arrival in inlet.buffer)) == (0, 0)
