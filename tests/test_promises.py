"""The first two promises, over random pipelines: one canonical order, and exactly once from wherever one resumes.

Chains of operations over all kinds of sources are drawn at random. What each one gives when it is read in line, item
after item, is the definition; every other way of reading must give the same, to the bit.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import CollateError
from penstock.graph.node import ordered
from penstock.graph.reading import Plan, Reading
from penstock.testing import Scrambled, same

LIMIT = 24  # items that are looked at


# Functions of the module, so that processes find them. An item is anything: these take whatever comes.


def total(x):
    """Return a number that depends on all of an item."""
    if isinstance(x, dict):
        return sum(total(v) for v in x.values())
    if isinstance(x, (tuple, list)):
        return sum(total(v) for v in x)
    return float(len(x)) if isinstance(x, str) else float(np.sum(x))


def jitter(x, rng):
    """Return a number and a draw."""
    return total(x) + float(rng.random())


def pair(x, rng):
    """Return a tuple with a draw."""
    return total(x), int(rng.integers(100))


def image(x):
    """Return an array."""
    return np.full((2, 3), total(x), np.float32)


def sample(x):
    """Return a dict of several kinds."""
    return {"x": image(x), "y": total(x), "name": str(total(x))}


def some(x):
    """Keep about two of three."""
    return int(total(x) * 7) % 3 != 0


def several(x):
    """Return a list of none to three."""
    return [total(x) + k for k in range(int(abs(total(x))) % 4)]


def weight(x):
    """Return a size from 0 to 3."""
    return int(abs(total(x))) % 4


def drawn(x, rng):
    """Yield a random number of items."""
    for k in range(int(rng.integers(3))):
        yield total(x) + k


def neighbours(items):
    """Yield sums of neighbours."""
    last = 0.0
    for item in items:
        yield last + total(item)
        last = total(item)


class Running:
    """Running sums; resumes by itself."""

    def __init__(self, items):
        self.items = items
        self.sum = 0.0

    def __next__(self):
        self.sum += total(next(self.items))
        return self.sum

    def state_dict(self):
        """Return the sum so far."""
        return {"sum": self.sum}

    def load_state_dict(self, state):
        """Go on from a sum."""
        self.sum = state["sum"]


def sizes(low=1):
    """Return small whole numbers."""
    return st.integers(low, 5)


def numbers(n):
    """Return a function that yields numbers, as a source that can be read again."""
    return ps.stream([float(x) for x in range(n)])


SOURCES = st.one_of(
    st.integers(0, 30).map(ps.range),
    st.integers(0, 20).map(lambda n: ps.items([float(x) for x in range(n)])),
    st.integers(0, 20).map(lambda n: ps.arrays(np.arange(3.0 * n).reshape(n, 3))),
    st.integers(0, 20).map(lambda n: ps.arrays(x=np.arange(2.0 * n).reshape(n, 2), y=np.arange(n))),
    st.integers(0, 20).map(numbers),
    st.integers(0, 9).map(lambda n: ps.synthetic(n, x=((3,), "f4"), y=((), "u1"))),
)


def cached(options):
    """Return a step that keeps items, where there are positions and nothing is drawn before."""

    def step(d):
        drawn = any(getattr(node, "random", False) for node in ordered(d.node))
        return d.cache(**options) if closed(d) and not drawn else d

    return step


STEPS = {
    "cache": st.sampled_from([{"memory": 100_000}, {"memory": 500}, {"count": 3}]).map(cached),
    "shuffle": st.just(lambda d: d.shuffle() if isinstance(d, ps.Sequence) and d.node.length() is not None else d),
    "shuffle near": sizes(2).map(lambda n: lambda d: d.shuffle(window=n)),
    "shuffle blocks": st.tuples(sizes(), sizes()).map(
        lambda a: lambda d: d.shuffle(block=a[0], blocks=2, ascending=a[1]) if closed(d) else d
    ),
    "sample": st.sampled_from([True, False]).map(lambda b: lambda d: d.sample(replacement=b) if closed(d) else d),
    "weighted": st.sampled_from([True, False]).map(
        lambda b: lambda d: (
            d.sample(weights=1 + np.arange(len(d)) % 3, replacement=b) if closed(d) and 0 < len(d) < 1000 else d
        )
    ),
    "order": sizes().map(lambda n: lambda d: d.order(range(0, len(d), n)) if closed(d) and len(d) < 1000 else d),
    "reuse": st.tuples(sizes(), sizes()).map(lambda a: lambda d: d.reuse(a[0], window=a[1])),
    "mix": st.tuples(sizes(), st.sampled_from(["exact", "random"]), st.sampled_from(["first", "all"])).map(
        lambda a: lambda d: ps.mix([d, ps.range(12).shuffle()], weights=[a[0], 2], how=a[1], stop=a[2])
    ),
    "map": st.sampled_from([total, image, sample]).map(lambda f: lambda d: d.map(f)),
    "draw": st.sampled_from([jitter, pair]).map(lambda f: lambda d: d.map(f, rng=True)),
    "filter": st.just(lambda d: d.filter(some)),
    "spread": st.just(lambda d: d.map(several).unbatch()),
    "batch": st.tuples(sizes(), st.sampled_from(["keep", "drop"])).map(lambda a: lambda d: d.batch(a[0], last=a[1])),
    "lists": sizes().map(lambda n: lambda d: d.batch(n, collate=list)),
    "rebatch": st.tuples(sizes(), sizes()).map(lambda a: lambda d: d.batch(a[0], collate=list).unbatch().batch(a[1])),
    "take": sizes(0).map(lambda n: lambda d: d.take(4 * n)),
    "skip": sizes(0).map(lambda n: lambda d: d.skip(n)),
    "slice": st.tuples(sizes(0), st.sampled_from([1, 2, -1])).map(
        lambda a: lambda d: d[a[0] :: a[1]] if isinstance(d, ps.Sequence) and d.node.length() is not None else d
    ),
    "repeat": st.integers(0, 3).map(lambda n: lambda d: d.repeat(n)),
    "prefetch": sizes().map(lambda n: lambda d: d.prefetch(n)),
    "debug": sizes(0).map(lambda n: lambda d: d.debug(lambda index, item: None, max_calls=n)),
    "monitor": st.just(lambda d: d.monitor(ps.Monitor())),
    "zip": sizes().map(lambda n: lambda d: ps.zip(d, d.map(jitter, rng=True), ps.range(10 * n))),
    "zip shared": st.just(lambda d: ps.zip(x=d, y=d)),
    "concat": sizes().map(lambda n: lambda d: ps.concat(d, ps.range(n).map(jitter, rng=True)) if finite(d) else d),
    "epoch": sizes().map(lambda n: lambda d: d.epoch(n)),
    "perhaps": st.sampled_from([0.0, 0.4, 1]).map(lambda p: lambda d: d.map(jitter, rng=True, p=p)),
    "choose": st.just(lambda d: d.map(ps.OneOf(total, ps.Maybe(jitter), weights=[1, 2]), rng=True)),
    "enumerate": sizes(0).map(lambda n: lambda d: d.enumerate(n)),
    "shard": st.tuples(st.integers(0, 2), st.sampled_from(["stride", "block"])).map(
        lambda a: (
            lambda d: d.shard(a[0], 3, last="pad", by=a[1] if isinstance(d, ps.Sequence) and finite(d) else "stride")
        )
    ),
    "flat map": st.just(lambda d: d.flat_map(several)),
    "flat draw": st.just(lambda d: d.flat_map(drawn, rng=True)),
    "take while": sizes().map(lambda n: lambda d: d.take_while(lambda x: total(x) < 9 * n)),
    "drop while": sizes().map(lambda n: lambda d: d.drop_while(lambda x: total(x) < n)),
    "unique": st.sampled_from([None, 1, 3]).map(lambda n: lambda d: d.unique(total, window=n)),
    "per epoch": sizes().map(lambda n: lambda d: d.per_epoch(3 * n)),
    "transform": st.just(lambda d: d.transform(neighbours)),
    "transform with a state": st.just(lambda d: d.transform(Running)),
    "interleave": st.tuples(sizes(), st.sampled_from(["all", "first"])).map(
        lambda a: lambda d: ps.interleave(d.map(total), ps.range(7).map(jitter, rng=True), block=a[0], stop=a[1])
    ),
    "select": sizes().map(lambda k: part_of(lambda d, n: d.select([i * k % n for i in range(n + 2)] if n else []))),
    "split": st.tuples(st.none() | sizes(0), st.booleans()).map(
        lambda a: part_of(
            lambda d, n: d.split(0.7, 0.3, seed=a[0], groups=[i // 3 for i in range(n)] if a[1] else None)[0]
        )
    ),
    "repeat each": sizes(0).map(lambda k: lambda d: d.repeat_each(k) if isinstance(d, ps.Sequence) else d),
    "windows": st.tuples(sizes(), sizes()).map(lambda a: lambda d: d.map(total).windows(*a)),
    "grams": sizes().map(lambda k: lambda d: d.windows(2, k, collate=tuple)),
    "switch": sizes().map(lambda k: part_of(lambda d, n: ps.switch([i // k % 2 for i in range(n)], d, d[::-1]))),
    "unbatch sized": sizes().map(
        lambda k: part_of(lambda d, n: d.batch(k, collate=list).map(list).unbatch(size=k, total=n))
    ),
    "indexed": sizes(0).map(
        lambda k: lambda d: (  # of one epoch: a random number of items would not do
            d.epoch(0).take(12).indexed(len(list(d.take(6))), cache=k) if isinstance(d, ps.Stream) else d
        )
    ),
    "padded": sizes().map(lambda n: lambda d: d.batch(n, last="pad", collate=list)),
    "schedule": st.lists(sizes(), min_size=1, max_size=3).map(lambda k: lambda d: d.batch(k)),
    "pad": sizes().map(lambda n: lambda d: d.map(several).batch(n, collate=ps.Pad(mask=True))),
    "batch by": st.tuples(st.integers(4, 12), st.booleans()).map(
        lambda a: lambda d: d.batch_by(a[0], weight, padded=a[1], collate=list)
    ),
    "batch while": sizes().map(lambda n: lambda d: d.batch_while(lambda items, item: len(items) < n and some(item))),
    "group": st.tuples(sizes(), sizes(), st.integers(1, 20)).map(
        lambda a: lambda d: d.group(weight, a[0], open=a[1], within=a[2], collate=list)
    ),
    "bucket": sizes().map(lambda n: lambda d: d.bucket(weight, [1, 3], n, last="drop", collate=list)),
    "budget": st.integers(4, 12).map(lambda n: lambda d: d.bucket(weight, [2], budget=n, within=9, collate=list)),
    "sort": sizes().map(lambda n: lambda d: d.sort_within(n, key=total)),
    "other size": st.tuples(sizes(), sizes()).map(lambda a: lambda d: d.batch(a[0], collate=list).rebatch(a[1])),
    "pack": st.tuples(st.integers(2, 9), sizes(), st.sampled_from(["best_fit", "first_fit"])).map(
        lambda a: lambda d: d.map(several).pack(a[0], open=a[1], how=a[2], oversize="split")
    ),
    "end to end": st.integers(2, 9).map(lambda n: lambda d: d.map(several).pack(n, how="concat_split")),
}


def part_of(pick):
    """Return a function that picks from a sequence with a length by it, and leaves anything else as it is."""
    return lambda d: pick(d, d.node.length()) if isinstance(d, ps.Sequence) and d.node.length() is not None else d


def closed(dataset):
    """Tell whether a dataset has positions and an end."""
    return isinstance(dataset, ps.Sequence) and dataset.node.length() is not None


def finite(dataset):
    """Tell whether something may stand behind a dataset: streams end here, and so do sequences with a length."""
    return isinstance(dataset, ps.Stream) or dataset.node.length() is not None


@st.composite
def pipelines(draw, steps=tuple(STEPS), most=5, endless=True):
    """Draw a source and a chain of operations, each of which its items allow."""
    dataset = draw(SOURCES)
    if draw(st.booleans()):
        dataset = dataset.seed(draw(st.integers(0, 2**32)))
    for name in draw(st.lists(st.sampled_from(steps), max_size=most)):
        longer = draw(STEPS[name])(dataset)
        try:
            for epoch in (0, 1):
                list(itertools.islice(longer.epoch(epoch), LIMIT + 8))
        except ValueError as error:  # items that do not stack: the user's mistake, not this test's question
            if type(error).__name__ != "CollateError":
                raise
            continue
        dataset = longer
    if endless and draw(st.integers(0, 4)) == 0 and dataset.node.length() != 0:  # nothing that filters may follow
        dataset = dataset.repeat().map(jitter, rng=True).batch(2)
    return dataset


def in_line(dataset, epoch=0):
    """Return the first items: the definition of what a pipeline gives."""
    return list(itertools.islice(dataset.epoch(epoch), LIMIT))


def read(dataset, workers, state=None, count=LIMIT, **options):
    """Return items of a loader and the states behind each, from a state."""
    with dataset.loader(workers=workers, **options) as loader:
        if state is not None:
            loader.load_state_dict(json.loads(state))
        states = [json.dumps(loader.state_dict())]
        items = []
        for item in itertools.islice(loader, count):
            items.append(item)
            states.append(json.dumps(loader.state_dict()))
    return items, states


@given(pipelines(), st.integers(0, 3), st.integers(0, 100), st.integers(1, 40))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)
def test_executors_give_the_same(dataset, epoch, seed, window):
    """In line, in threads and in any wrong order, the items and the states of an epoch are the same."""
    expected = in_line(dataset, epoch)
    first = None
    for workers in (ps.Inline(), ps.Threads(2), Scrambled(seed=seed)):
        with dataset.loader(workers=workers) as loader:
            start = json.dumps({**loader.state_dict(), "epoch": epoch})
        items, states = read(dataset, workers, start, window=window)
        assert same(items, expected), f"{workers!r} gives other items"
        first = first or states
        assert states == first, f"{workers!r} gives other states"
        assert max(map(len, states)) <= 1024


@given(pipelines())
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_processes_give_the_same(dataset):
    """In other processes, too, the items and the states are the same."""
    expected, states = read(dataset, ps.Inline())
    found, theirs = read(dataset, ps.Processes(2))
    assert same(found, expected)
    assert theirs == states


@given(pipelines(), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)
def test_a_state_resumes_anywhere(dataset, data):
    """Saved after any item under any executor, loaded under any other: exactly the remaining items come, and again."""
    places = [ps.Inline(), ps.Threads(2), Scrambled(seed=3)]
    items, states = read(dataset, data.draw(st.sampled_from(places)))
    assert same(items, in_line(dataset))
    cut = data.draw(st.integers(0, len(items)))
    rest, later = read(dataset, data.draw(st.sampled_from(places)), states[cut], LIMIT - cut)
    assert same(rest, items[cut:])
    again = data.draw(st.integers(0, len(rest)))
    last, _ = read(dataset, data.draw(st.sampled_from(places)), later[again], LIMIT - cut - again)
    assert same(last, items[cut + again :])


@given(pipelines(), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_next_epoch_follows_a_resumed_one(dataset, data):
    """After the rest of a resumed epoch comes the next epoch, whole."""
    if not finite(dataset) or len(in_line(dataset)) >= LIMIT:
        return
    items, states = read(dataset, ps.Inline())
    cut = data.draw(st.integers(0, len(items)))
    with dataset.loader(workers=data.draw(st.sampled_from([ps.Inline(), Scrambled()]))) as loader:
        loader.load_state_dict(json.loads(states[cut]))
        assert same(list(loader), items[cut:])
        assert loader.epoch == 1
        assert same(list(itertools.islice(loader, LIMIT)), in_line(dataset, 1))


POSITIONAL = tuple(name for name in STEPS if name not in {"filter", "spread", "rebatch", "reuse", "mix"})


@given(pipelines(POSITIONAL), st.integers(0, 2), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=80)
def test_gathering_is_indexing_is_iterating(dataset, epoch, data):
    """By index, by any vector of indices, by slice and from the front, a sequence has the same items."""
    if not isinstance(dataset, ps.Sequence):
        return
    fixed = dataset.epoch(epoch)
    items = in_line(dataset, epoch)
    assert same([fixed[k] for k in range(len(items))], items)
    where = st.lists(st.integers(0, len(items) - 1), max_size=12) if items else st.just([])
    wanted = data.draw(where)
    for indices in (np.array(wanted, np.int64), range(len(items)), range(len(items) - 1, -1, -2)):
        gathered = Reading(Plan(fixed.node)).gather(fixed.node, indices)
        assert same(list(gathered), [items[k] for k in indices]), f"gathering {indices} differs"
    start, step = data.draw(st.integers(0, len(items))), data.draw(st.integers(1, 3))
    assert same(list(fixed[start : len(items) : step]), items[start::step])


def rows_of(batch):
    """Return a batch's rows as lists of plain numbers."""
    return np.asarray(batch).tolist()


@given(
    pipelines(most=4, endless=False),
    st.integers(1, 4),
    st.integers(1, 4),
    st.data(),
)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_ranks_reassemble_the_batches(base, world, other, data):
    """For any world size the ranks' parts are the global batches; a state moves from any rank to another world's."""
    dataset = base.map(total).batch(4, last="drop")
    whole = [rows_of(b) for b in in_line(dataset)]
    places = st.sampled_from([ps.Inline(), ps.Threads(2), Scrambled(seed=1)])
    ranks = [read(dataset, data.draw(places), shard=(rank, world)) for rank in range(world)]
    assert [
        list(itertools.chain(*parts))
        for parts in zip(*([rows_of(b) for b in items] for items, _ in ranks), strict=True)
    ] == whole
    assert all(states == ranks[0][1] for _, states in ranks)
    cut = data.draw(st.integers(0, len(whole)))
    moved = [
        read(dataset, data.draw(places), ranks[0][1][cut], LIMIT - cut, shard=(rank, other))[0] for rank in range(other)
    ]
    assert [
        list(itertools.chain(*parts)) for parts in zip(*([rows_of(b) for b in items] for items in moved), strict=True)
    ] == whole[cut:]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_rows_of_a_batch_that_is_taken_apart_again(world):
    """Behind batch().unbatch(), a state of one world size resumes in another without losing or repeating a row."""
    dataset = ps.range(16).shuffle().batch(4).unbatch()
    try:
        loaders = [dataset.loader(shard=(rank, world)) for rank in range(world)]
    except ValueError as error:
        assert "shard" in str(error)  # noqa: PT017  refusing is as good
        return
    states = []
    for loader in loaders:
        with loader:
            list(itertools.islice(loader, 6 // world))
            states.append(loader.state_dict())
    assert all(state == states[0] for state in states)
    with dataset.loader() as loader:
        loader.load_state_dict(states[0])
        left = list(loader)
    assert [int(x) for x in left] == [int(x) for x in dataset][16 - len(left) :]
    assert len(left) == 16 - 6 // world * world


@given(pipelines(most=6))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=40)
def test_what_is_added_behind_changes_no_draw(dataset):
    """Whatever is added behind a pipeline, what it gave is still what goes in."""
    seen = []

    def look(x):
        seen.append(x)
        return x

    longer = dataset.map(look).batch(3, collate=list)
    try:
        list(itertools.islice(longer, 4))
    except CollateError:  # of items of a later epoch, which other inputs gave than in the first
        reject()
    expected = list(itertools.islice(dataset, len(seen)))
    assert same(seen, expected)
