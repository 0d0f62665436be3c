"""The accounts, without sockets: credit, what is missing, and batches that are dealt out, lost and found again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.service.ledger import Inflow, Missing, Outflow, Share
from penstock.service.protocol import Nonsense


@given(st.integers(1, 5), st.integers(1, 100), st.lists(st.integers(0, 60) | st.just("finish"), max_size=40))
def test_credit_is_never_exceeded(window, nbytes, steps):
    """Whatever sizes come, at most window batches and nbytes bytes are out at once, or a single larger batch."""
    flow = Outflow(window, nbytes)
    out = []
    for step in steps:
        if step == "finish":
            if out:
                out.pop(0)
                assert flow.finish(flow.finished + 1) == 1
        elif flow.allows(step):
            out.append(step)
            flow.add(step)
        assert len(out) == flow.sent - flow.finished
        assert len(out) <= 1 or (len(out) <= window and sum(out) <= nbytes)


def test_a_fast_consumer_is_never_refused_its_first():
    """With nothing out, a batch of any size may be sent: a window that is too small never means standstill."""
    flow = Outflow(1, 1)
    assert flow.allows(1 << 40)


def test_finishing_is_cumulative():
    """Beats that are repeated, or come late, change nothing; one that finishes what was never sent is nonsense."""
    flow = Outflow(4, 100)
    for _ in range(3):
        flow.add(10)
    assert (flow.finish(2), flow.finish(2), flow.finish(1), flow.held) == (2, 0, 0, 10)
    with pytest.raises(Nonsense):
        flow.finish(4)


def test_what_came_before_is_dropped_and_gaps_are_seen():
    """A consumer takes in each number once, and notices one that is left out."""
    flow = Inflow()
    assert flow.accept(0, 3) == 0
    assert flow.accept(1, 4) == 2
    assert flow.accept(0, 2) == 2
    assert flow.received == 5
    flow.expect(5)
    with pytest.raises(Missing):
        flow.accept(6)
    with pytest.raises(Missing):
        flow.expect(6)


def test_lost_batches_come_first():
    """What a lost consumer had is dealt again before anything new, in order, and the frontier waits for it."""
    share: Share[str] = Share()
    for number in range(6):
        share.add(number, "x")
    assert [share.deal("a")[0] for _ in range(2)] == [0, 1]
    assert share.deal("b")[0] == 2
    share.finish(2, "b")
    share.finish(0, "a")
    assert (share.frontier, share.done(1)) == (1, [[2, 3]])
    assert share.lose("a") == [1]
    assert share.deal("b")[0] == 1
    assert not share.finish(1, "a")  # too late: it is somebody else's
    assert share.finish(1, "b")
    assert share.frontier == 3


def test_a_consumer_that_comes_back_keeps_what_it_holds():
    """Batches that a consumer holds stay its own, also where the server was started anew and has not computed them yet."""
    share: Share[str] = Share(10)
    assert share.claim(11, "a")
    assert not share.claim(11, "b")
    for number in range(10, 14):
        share.add(number, "x")
    assert share.deal("b")[0] == 10
    assert share.deal("b")[0] == 12
    assert share.finish(11, "a")
    assert share.settle(10) is False  # somebody has it meanwhile
    assert share.frontier == 12


@settings(max_examples=60)
@given(
    st.integers(1, 20), st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["deal", "finish", "lose", "add", "restart"]), st.integers(0, 3)), max_size=80),
)  # fmt: skip
def test_each_batch_is_finished_once(total, step, acts):
    """However consumers come, go, and the server is started anew from what was written down: each batch is done once."""
    numbers = iter(range(0, total * step, step))
    share: Share[int] = Share(0, step)
    done = []
    for act, who in [*acts, *[("add", 0)] * total]:
        mine = [n for n, dealt in share.out.items() if dealt.owner == who]
        if act == "deal" and share.pending:
            share.deal(who)
        elif act == "finish" and mine:
            assert share.finish(mine[0], who)
            done.append(mine[0])
        elif act == "lose":
            share.lose(who)
        elif act == "add":
            number = next(numbers, None)
            if number is not None:
                share.add(number, number)
        elif act == "restart":
            first = max(0, share.frontier - who * step)
            turns = [turn for start, stop in share.done(first) for turn in range(start, stop)]
            share = Share(first, step, [turn * step for turn in turns])
            numbers = iter(range(share.frontier, total * step, step))
    for who in range(4):
        share.lose(who)
    while share.pending:
        number, _ = share.deal(9)
        share.finish(number, 9)
        done.append(number)
    assert sorted(done) == list(range(0, total * step, step))
    assert share.settled(total * step)
