"""Reindexing: what is traced a block at a time is what would be read place by place."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph import reindexing
from penstock.graph.items import merge
from penstock.graph.node import Node, operation
from penstock.graph.reading import Plan, Reading
from penstock.graph.reindexing import WHOLE, Piece, Reindexing, composed, groups, runs
from penstock.operations.source import Arrays
from penstock.testing import check_dataset

N = 600
SOURCE = ps.arrays(np.arange(N))
OTHER = ps.arrays(np.arange(N) + 1000)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Let blocks be so small that every test crosses their borders."""
    monkeypatch.setattr(reindexing, "BLOCK", 64)


def numbers(items):
    """Return items as plain numbers."""
    return [int(np.asarray(item)) for item in items]


CHAINS = {
    "shuffled": SOURCE.shuffle(),
    "twice": SOURCE.shuffle().shuffle(),
    "reversed": SOURCE.shuffle()[::-1],
    "every third": SOURCE.shuffle()[5:500:3].shuffle(),
    "joined": ps.concat(SOURCE.shuffle()[:200], SOURCE[300::2]).shuffle(),
    "of two": ps.concat(SOURCE.shuffle()[:200], OTHER[::-3], SOURCE[:50]).shuffle().repeat(2),
    "of many": ps.concat(*(SOURCE[k * 20 : k * 20 + 20] for k in range(30))).shuffle(),
    "plainly joined": ps.concat(SOURCE[:150].shuffle(), OTHER[:90], SOURCE[90:150]),
    "rounds": SOURCE[:30].shuffle().repeat(20),
    "endless": SOURCE[:70].shuffle().repeat(),
    "rounds, shuffled": SOURCE[:30].shuffle().repeat(20).shuffle(),
    "few a round": SOURCE[:3].shuffle().repeat(200).shuffle(),
    "endless, in a window": SOURCE[:30].repeat().shuffle(window=40),
    "in a window": SOURCE.shuffle(window=50),
    "blocks": SOURCE.shuffle(block=20, blocks=3),
    "ascending": SOURCE.shuffle(ascending=16),
    "drawn": SOURCE.sample(500).shuffle(),
    "weighed": SOURCE.sample(500, weights=np.arange(N) + 1.0),
    "chosen": SOURCE.select(np.arange(N)[::-1]).shuffle().select([5, -1, 7] * 100),
    "sampler": SOURCE.order(lambda epoch: np.random.default_rng(epoch).permutation(N)).shuffle(),
    "part": SOURCE.shuffle().shard(1, 7, last="pad"),
    "block": SOURCE.shuffle().shard(2, 7, last="keep", by="block"),
    "pinned": SOURCE.shuffle().epoch(3).shuffle(),
    "seeded": SOURCE.seed(5).shuffle().seed(6).shuffle(),
    "in turns": ps.interleave(SOURCE.shuffle(), OTHER[:100]).shuffle(),
    "by rounds": SOURCE[:50].shuffle().per_epoch(220).shuffle(),
    "each thrice": SOURCE.shuffle()[:100].repeat_each(3).shuffle(),
    "mapped": ps.concat(SOURCE.map(lambda x: x), SOURCE.map(lambda x: x + 5000)).shuffle().map(lambda x: x),
    "large": ps.range(10**12).shuffle(),
}

RANGES = st.builds(
    lambda start, count, step: range(start, start + count * step, step),
    st.integers(0, 5000),
    st.integers(1, 150),
    st.sampled_from([1, 1, 1, 2, 7, -1, -3]),
)


def fitted(places, length):
    """Return that part of a range which exists."""
    kept = [p for p in places if p >= 0 and (length is None or p < length)]
    return range(kept[0], kept[-1] + places.step // abs(places.step), places.step) if kept else range(0)


@pytest.mark.parametrize("name", CHAINS)
@given(asked=st.lists(st.tuples(RANGES, st.integers(0, 2)), min_size=1, max_size=6))
def test_what_was_asked_before_never_shows(name, asked):
    """Ranges of any place, length, step and epoch, one after the other, give what single places give."""
    node = CHAINS[name].node
    plan = Plan(node)
    for places, epoch in asked:
        there = fitted(places, node.length())
        read = Reading(plan, epoch)
        alone = Reading(Plan(node), epoch)
        assert numbers(read.gather(node, there)) == numbers(alone.item(node, p) for p in there)


@pytest.mark.parametrize("name", CHAINS)
def test_reading_on_is_reading_singly(name):
    """Batches read from the front, over the borders of blocks and epochs, have the items of single places."""
    node = CHAINS[name].node
    plan = Plan(node)
    count = min(400, node.length() or 400)
    for epoch in (0, 1, 0):
        read = Reading(plan, epoch)
        found = [item for k in range(0, count, 7) for item in read.gather(node, range(k, min(count, k + 7)))]
        alone = Reading(Plan(node), epoch)
        assert numbers(found) == numbers(alone.item(node, place) for place in range(count))


@pytest.mark.parametrize("name", ["joined", "of two", "rounds, shuffled", "endless", "mapped", "by rounds"])
def test_the_contract_holds(name):
    """Every promise of a description holds for chains that are traced in blocks."""
    check_dataset(CHAINS[name].batch(16), limit=20, executors=(ps.Threads(3),))


def test_two_iterations_at_once():
    """Two iterators, and two branches of one description that read one step at places far apart, are independent."""
    whole = numbers(CHAINS["joined"])
    one, other = iter(CHAINS["joined"]), iter(CHAINS["joined"])
    assert [numbers(pair) for pair in zip(one, other, strict=True)] == [[x, x] for x in whole]
    shuffled = SOURCE.shuffle()
    pairs = ps.zip(shuffled[:300], shuffled[300:], shuffled[150:450]).batch(10)
    found = [np.concatenate(column) for column in zip(*pairs, strict=True)]
    expected = np.array(numbers(shuffled))
    assert [column.tolist() for column in found] == [
        part.tolist() for part in (expected[:300], expected[300:], expected[150:450])
    ]


def test_seeds_are_kept_apart():
    """One source under two seeds, in one description, has two orders, each its own."""
    first, second = SOURCE.seed(1).shuffle(), SOURCE.seed(2).shuffle()
    both = ps.zip(first, second)
    found = [np.concatenate(column).tolist() for column in zip(*both.batch(50), strict=True)]
    read = Reading(Plan(both.node))
    assert found == [numbers(column) for column in zip(*(both.node.item(p, read) for p in range(N)), strict=True)]
    assert found[0] != found[1]
    assert found[0] == numbers(first)


def test_threads_share_a_plan():
    """Threads that read one description at once, at places of their own and in two epochs, each get what is theirs."""
    node = CHAINS["of two"].node
    plan = Plan(node)
    expected = [np.array(numbers(Reading(Plan(node), e).item(node, p) for p in range(node.length()))) for e in (0, 1)]
    gate = threading.Barrier(4)
    wrong: list[Any] = []

    def work(number):
        rng = np.random.default_rng(number)
        gate.wait(60)
        for _ in range(150):
            epoch, start = int(rng.integers(2)), int(rng.integers(node.length() - 40))
            found = Reading(plan, epoch).gather(node, range(start, start + 40))
            if numbers(found) != expected[epoch][start : start + 40].tolist():
                wrong.append((epoch, start))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@operation
class Turned(Reindexing):
    """The input backwards; remembers how many positions it was asked for at a time."""

    scatters = True
    asked: ClassVar[list[int]] = []

    input: Node

    def length(self):
        """Return the length of the input."""
        return self.input.length()

    def trace(self, indices, read):
        """Return the positions, counted from the end."""
        self.asked.append(len(indices))
        last = self.length() - 1
        return [Piece(WHOLE, self.input, np.array([last - i for i in indices], np.int64), read.epoch)]

    def label(self):
        """Return a name."""
        return "turned()"


@pytest.fixture
def turned():
    """Return a step that counts, and a reading of it."""
    Turned.asked.clear()
    node = Turned(SOURCE.node)
    return node, Reading(Plan(node))


def test_only_who_reads_on_is_served_ahead(turned):
    """A first question traces what it asks for, questions that follow it whole blocks, one that jumps again itself."""
    node, read = turned
    for start in range(0, 60, 2):
        assert numbers(read.gather(node, range(start, start + 2))) == [N - 1 - start, N - 2 - start]
    assert Turned.asked == [2, 32, 64]
    read.gather(node, range(400, 402))
    assert Turned.asked[3:] == [2]
    read.gather(node, range(580, 590))
    read.gather(node, range(590, 600))
    assert Turned.asked[4:] == [10, 10], "more than there is was traced"


def test_backwards_is_served_ahead_too(turned):
    """Questions that go on backwards, or with a step, are served from blocks that lie so."""
    node, read = turned
    for start in range(99, -1, -10):
        assert numbers(read.gather(node, range(start, start - 10, -1))) == [
            N - 1 - p for p in range(start, start - 10, -1)
        ]
    assert Turned.asked == [10, 64, 30]
    Turned.asked.clear()
    for start in range(0, 600, 30):
        read.gather(node, range(start, start + 30, 3))
    assert Turned.asked == [10, 64, 64, 64, 10]


def test_blocks_do_not_grow_where_tracing_is_slow(turned, monkeypatch):
    """Where a block took long, the next one is not larger."""
    node, read = turned
    monkeypatch.setattr(reindexing, "LONG", -1.0)
    for start in range(0, 40, 4):
        read.gather(node, range(start, start + 4))
    assert Turned.asked == [4] * 10


def test_all_at_once_is_not_kept(turned):
    """Whoever asks for everything at once gets it, and nothing is held for a second question."""
    node, read = turned
    assert numbers(read.gather(node, range(N))) == list(range(N))[::-1]
    assert numbers(read.gather(node, range(5))) == list(range(N))[:-6:-1]
    assert Turned.asked == [N, 5]


class Counted:
    """Numbers that count how often they are asked for many."""

    def __init__(self, count):
        self.count = count
        self.calls = 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return index

    def __getitems__(self, indices):
        """Return many."""
        self.calls += 1
        return indices


def test_parts_of_one_source_are_one_gather():
    """A batch whose rows come by several ways from one source asks that source once."""
    entries = Counted(100)
    source = ps.items(entries)
    left, right = source.split(0.5, 0.5)
    node = ps.concat(left.shuffle()[:40], right[::2], source.shuffle()).shuffle().node
    read = Reading(Plan(node))
    for start in (0, 32, 64):
        read.gather(node, range(start, start + 32))
    assert entries.calls == 3


def test_rounds_of_arrays_are_one_gather(monkeypatch):
    """Rounds of what is the same in every epoch, shuffled together, are gathered together."""
    node = SOURCE[:30].shuffle().repeat(20).shuffle().node
    read = Reading(Plan(node))
    called = []
    plain = Arrays.gather
    monkeypatch.setattr(Arrays, "gather", lambda *args: called.append(1) or plain(*args))
    read.gather(node, range(50))
    assert len(called) == 1


def test_ranges_stay_ranges():
    """Where nothing scatters, every input is asked for a range, across the borders of joins and rounds, either way."""
    node = ps.concat(SOURCE, OTHER[10:20], SOURCE).repeat(3).node
    read = Reading(Plan(node))
    length = node.input.length()
    for places in (range(590, 615), range(615, 590, -1), range(0, 3 * length, 100), range(2 * length, 40, -50)):
        pieces = node.trace(places, read)
        assert all(isinstance(p.indices, range) for p in pieces)
        inner = [p for piece in pieces for p in piece.node.trace(piece.indices, read)]
        assert all(isinstance(p.indices, range) for p in inner)
        assert numbers(read.gather(node, places)) == numbers(read.item(node, p) for p in places)


def test_rows_of_several_sources():
    """Batches of what two sources hold have the types, fields and rows that single items have."""
    x, y = np.arange(60).reshape(20, 3), np.linspace(0, 1, 20)
    both = ps.concat(ps.arrays(x=x, y=y), ps.arrays(x=x + 100, y=y + 1)).shuffle()
    items = list(both)
    for number, batch in enumerate(both.batch(8)):
        rows = items[8 * number : 8 * number + 8]
        assert batch["x"].tolist() == [row["x"].tolist() for row in rows]
        assert batch["y"].tolist() == [row["y"] for row in rows]
    mixed = ps.concat(ps.range(20), ps.items(list("abcdefgh"))).shuffle()
    assert [item for batch in mixed.batch(5, collate=list) for item in batch] == list(mixed)


def test_nothing_of_nothing():
    """No places give no items, of every chain."""
    for name, dataset in CHAINS.items():
        read = Reading(Plan(dataset.node))
        for places in (range(0), np.empty(0, np.int64)):
            assert list(read.gather(dataset.node, places)) == [], name


def test_memory_is_a_block(monkeypatch):
    """Reading on in 10**12 shuffled places, in two epochs, holds less than 4 MiB."""
    monkeypatch.undo()
    node = ps.range(10**12).shuffle().node
    plan = Plan(node)
    for epoch in (0, 1):
        Reading(plan, epoch).gather(node, range(10))
    tracemalloc.start()
    try:
        for start in range(0, 400_000, 4000):
            for epoch in (0, 1):
                Reading(plan, epoch).gather(node, range(start, start + 4000))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 4 << 20


@given(RANGES, st.lists(st.integers(0, 6000), max_size=8))
def test_runs_cut_at_borders(indices, borders):
    """Stretches lie in order, cover everything, do not cross a border, and count from where they begin."""
    indices = fitted(indices, None)
    starts = sorted({0, *borders})

    def find(index):
        number = max(k for k, start in enumerate(starts) if start <= index)
        return number, starts[number], starts[number + 1] if number + 1 < len(starts) else None

    done = 0
    for number, where, inner in runs(indices, find):
        assert where.start == done
        done = where.stop
        mine = list(indices[where])
        assert mine == [starts[number] + place for place in inner]
        assert {find(index)[0] for index in mine} == {number}
    assert done == len(indices)


@given(st.lists(st.integers(0, 12) | st.integers(0, 2**40), min_size=1, max_size=200))
def test_groups_are_all_there_is(values):
    """Every number is given once, with all its places in order, few numbers or many."""
    vector = np.array(values)
    found = {number: np.arange(len(vector))[where].tolist() for number, where in groups(vector)}
    assert found == {n: [k for k, v in enumerate(values) if v == n] for n in set(values)}


def test_some_of_some():
    """Choosing among places that were chosen is choosing once, whichever way the choices are written."""
    everything = np.arange(10)
    vector = np.array([7, 2, 5, 9, 0, 1])
    for outer in (WHOLE, slice(2, 8), vector):
        for inner in (WHOLE, slice(1, 4), np.array([3, 0])):
            assert everything[composed(outer, inner, 10)].tolist() == everything[outer][inner].tolist()


def test_merging_keeps_slices_and_vectors():
    """Parts that are given by slices and by vectors of places are put together alike."""
    rows = merge([(slice(0, 2), "ab"), (np.array([3, 2]), "dc")], 4)
    assert rows == ["a", "b", "c", "d"]
