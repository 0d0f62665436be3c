"""Reading: seeds, epochs and places, and who is blamed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import penstock as ps
from penstock.graph.cursors import MOST, Spread, Walk, chain, part
from penstock.graph.node import Place
from penstock.graph.reading import Plan, Reading


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


def test_seeds_are_inherited():
    """Each node has the nearest seed below it, through its first input, and 0 without any."""
    dataset = ps.zip(ps.range(4).seed(5).shuffle(), ps.range(4).shuffle()).map(draw, rng=True)
    plan = Plan(dataset.node)
    found = {node.label(): seed for node, seed in zip(plan.nodes, plan.seeds, strict=True)}
    assert found["seed(5)"] == found["zip()"] == found["map(draw, rng=True)"] == 5
    assert [s for node, s in zip(plan.nodes, plan.seeds, strict=True) if node.label() == "shuffle()"] == [5, 0]


def test_generators_have_keys_of_their_own():
    """Seed, epoch, operation, position and part each make another generator; the same ones make the same."""
    third = Place(3)

    def first(seed=0, epoch=0, steps=1, place=third):
        dataset = ps.range(9).seed(seed)
        for _ in range(steps):
            dataset = dataset.map(draw, rng=True)
        read = Reading(Plan(dataset.node), epoch)
        return tuple(read.rng(dataset.node, place).random(4))

    places = [Place(2), Place(4), Place(3, 1), Place(3, 2), Place(1, 3), Place(10**15)]
    keys = [first(), first(seed=1), first(epoch=1), first(steps=2), *(first(place=p) for p in places)]
    assert len(set(keys)) == len(keys)
    assert len(set(itertools.chain(*keys))) == 4 * len(keys)
    assert first() == first()


def test_many_draws_of_one_item_do_not_reach_the_next():
    """The draws of one item, however many, never come again as another item's."""
    read = Reading(Plan(ps.range(9).map(draw, rng=True).node))
    node = read.plan.root
    draws = [read.rng(node, Place(k)).integers(0, 2**63, 2000) for k in range(20)]
    assert len(np.unique(np.concatenate(draws))) == 40_000


def test_orders_do_not_share_words_with_items():
    """A shuffle's words are not an item's draws."""
    from penstock.graph.order import words

    read = Reading(Plan(ps.range(9).map(draw, rng=True).node))
    item = read.rng(read.plan.root, Place(0)).bit_generator.random_raw(1000)
    assert not set(item.tolist()) & set(words((0, 1, 0), 1000).tolist())


def test_a_chain_is_split_at_what_has_positions_or_is_sequential():
    """The elementwise steps end at a sequence, or at a step that only goes from front to back."""
    base = ps.range(9).map(draw, rng=True)
    top = base.filter(bool).map(len).unbatch()
    below, steps = chain(top.node)
    assert below is base.node
    assert [s.label() for s in steps] == ["filter(bool)", "map(len)", "unbatch()"]
    below, steps = chain(top.batch(3).map(len).node)
    assert below.label() == "batch(3)"
    assert len(steps) == 1
    assert chain(base.node) == (base.node, ())


def test_parts_are_apart():
    """Parts within parts of one element are all different, and fit the generator's counter."""
    parts = [part(outer, step, k) for outer in (0, part(0, 1, 3)) for step in range(1, 5) for k in range(500)]
    assert len(set(parts)) == len(parts)
    assert all(0 <= p < 1 << 60 for p in parts)


@pytest.mark.parametrize("n", [0, 1, 2, MOST, 3 * MOST + 1])
def test_walking_reads_ahead_only_what_is_pure(n):
    """Items of pure descriptions are read several at a time; positions are those of the items delivered."""
    walk = Reading(Plan(ps.arrays(np.arange(n)).node)).start(ps.arrays(np.arange(n)).node, None)
    assert isinstance(walk, Walk)
    assert [(int(x), walk.position(), walk.place) for x in walk] == [(k, k + 1, Place(k)) for k in range(n)]
    assert walk.position() == n
    with pytest.raises(StopIteration):
        next(walk)


def test_walking_runs_no_function_early():
    """A user's function runs when its item is asked for, in line."""
    calls = []
    iterator = iter(ps.range(100).map(calls.append))
    next(iterator)
    next(iterator)
    assert calls == [0, 1]


def test_positions_stay_small():
    """The position of a chain tells where an element came from and how many of its items are gone."""
    dataset = ps.items([[1, 2, 3], [], [4]]).unbatch()
    cursor = Reading(Plan(dataset.node)).start(dataset.node, None)
    assert isinstance(cursor, Spread)
    found = [cursor.position()] + [cursor.position() for _ in cursor]
    assert found == [[0, 0], [0, 1], [0, 2], [1, 0], [3, 0]]


def test_the_innermost_operation_speaks_once():
    """However many operations an error passes through, it has one item note and one line note."""

    def bad(x):
        raise OSError("torn")

    dataset = ps.range(9).map(bad).map(len).batch(2).map(len).prefetch(2).filter(bool).map(len)
    with pytest.raises(OSError, match="torn") as caught:
        list(dataset)
    notes = caught.value.__notes__
    assert sum("item" in n for n in notes) == 1
    assert sum("written at" in n for n in notes) == 1
    assert "item 0 of map(bad)" in notes[0]


def test_a_broken_origin_does_not_hide_the_error():
    """Where the source's name for an item cannot be found, the error still arrives, with its index."""

    class Nameless(type(ps.range(3).node)):
        def origin(self, index, read):
            raise RuntimeError("no name")

    def bad(x):
        raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        ps.Sequence(Nameless(3)).map(bad)[1]
    assert "item 1 of map(bad)" in caught.value.__notes__[0]


def test_what_is_keyed_is_made_once_and_kept_for_a_while():
    """What depends on (seed, operation, epoch) is made once for each; of large things only few are kept."""
    dataset = ps.range(9).seed(3).shuffle()
    plan = Plan(dataset.node)
    made = []

    def make(word, key):
        made.append((word, key))
        return word, key

    for epoch in (0, 0, 1, 1, 0, 2, 0):
        assert Reading(plan, epoch).keyed(plan.root, make, "a", kept=2) == ("a", (3, 2, epoch))
    assert [key[2] for _, key in made] == [0, 1, 2, 0]
    assert Reading(plan).keyed(plan.root, make, "b", kept=2)[0] == "b"


def test_keys_within_independent_inputs_depend_on_their_names():
    """Within a mix, draws are keyed by the member's name and the step's number in it; outside, by the step's number."""

    def words(**members):
        plan = Plan(ps.mix(members).shuffle(window=3).node)
        return {node.label(): word for node, word in zip(plan.nodes, plan.words, strict=True)}

    one = words(a=ps.range(9).map(abs), b=ps.range(8).map(str))
    two = words(c=ps.range(7), b=ps.range(8).map(str))
    assert one["map(str)"] == two["map(str)"] > 1 << 63
    assert one["map(abs)"] != one["map(str)"]
    assert one["range(9)"] != one["range(8)"] != two["range(7)"]
    assert one["shuffle(window=3)"] == two["shuffle(window=3)"] == 1


def test_rounds_within_endless_rounds_have_epochs_of_their_own():
    """However deep endless repetitions stand within one another, each round has a number that keys can hold."""
    inner = ps.range(5).shuffle().repeat().filter(bool).take(7)
    outer = inner.repeat().take(20).repeat()
    rounds = [tuple(itertools.islice(outer.epoch(epoch), 20)) for epoch in (0, 1, 2, 2**20)]
    assert len(set(rounds)) == 4
