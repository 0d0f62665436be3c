"""States: plain JSON, small, and refused where they do not belong, with the difference named."""

from __future__ import annotations

import copy
import itertools
import json
import os

import numpy as np
import pytest

import penstock as ps
from penstock.errors import StateError
from penstock.graph.position import STEPS, WIDTH, opened, pipeline, state

BASE = ps.range(100).seed(1).shuffle().map(abs).batch(8)


def saved(dataset=BASE, taken=3):
    """Return a state after some items, through JSON."""
    with dataset.loader() as loader:
        list(itertools.islice(loader, taken))
        return json.loads(json.dumps(loader.state_dict()))


def test_a_state_says_what_it_belongs_to():
    """A state is a few lines: the steps, the epoch, the position."""
    found = saved()
    assert found == {
        "penstock": 1,
        "pipeline": ["range(100)", "seed(1)", "shuffle()", "map(abs)", "batch(8)"],
        "epoch": 0,
        "position": 3,
    }


def test_a_state_stays_small():
    """However long a pipeline and its labels, a state stays below a kilobyte, and still tells pipelines apart."""

    def long(last):
        dataset = ps.files(os.path.join(os.path.dirname(__file__), "*.py"))
        for _ in range(100):
            dataset = dataset.map(str)
        return dataset.filter(last).map(str).batch(2)

    one, two = saved(long(bool), 1), saved(long(len), 1)
    assert len(json.dumps(one)) < 1024
    assert len(one["pipeline"]) <= STEPS
    assert all(len(line) <= WIDTH for line in one["pipeline"])
    assert one["pipeline"] != two["pipeline"]


def test_a_state_of_a_long_pipeline_knows_its_first_steps():
    """Steps that are kept as a check sum only still tell pipelines apart."""

    def long(seed):
        dataset = ps.range(9).seed(seed)
        for _ in range(30):
            dataset = dataset.map(str)
        return dataset

    with pytest.raises(StateError, match="step 1 was"):
        opened(long(2).node, saved(long(1)))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (ps.range(101).seed(1).shuffle().map(abs).batch(8), ["step 1 was range(100)", "here it is range(101)"]),
        (ps.range(100).seed(2).shuffle().map(abs).batch(8), ["step 2 was seed(1)", "here it is seed(2)"]),
        (ps.range(100).seed(1).map(abs).batch(8), ["step 3 was shuffle()", "here it is map(abs)"]),
        (ps.range(100).seed(1).shuffle().map(str).batch(8), ["step 4 was map(abs)", "here it is map(str)"]),
        (ps.range(100).seed(1).shuffle().map(abs).batch(9), ["step 5 was batch(8)", "here it is batch(9)"]),
        (ps.range(100).seed(1).shuffle().map(abs).batch(8, last="drop"), ["last='drop'"]),
        (BASE.prefetch(2), ["step 6 was not there", "here it is prefetch(2)"]),
        (ps.range(100).seed(1).shuffle().map(abs), ["step 5 was batch(8)", "here it is not there"]),
    ],
    ids=repr,
)
def test_another_pipelines_state_is_refused(other, words):
    """A state of another description is refused; the first step that differs is named on both sides."""
    with other.loader() as loader:
        before = loader.state_dict()
        with pytest.raises(StateError) as caught:
            loader.load_state_dict(saved())
        assert loader.state_dict() == before
    for word in words:
        assert word in str(caught.value)
    assert "pipeline that it came from" in str(caught.value)


def test_other_data_of_the_same_shape_is_told_apart():
    """Which branch a step reads is part of a state."""
    a, b = ps.range(9).map(abs), ps.range(9).map(str)
    with pytest.raises(StateError):
        opened(ps.zip(b, a).node, saved(ps.zip(a, b)))
    shared = ps.range(9).shuffle()
    with pytest.raises(StateError):
        opened(ps.zip(shared, shared).node, saved(ps.zip(ps.range(9).shuffle(), ps.range(9).shuffle())))


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        3,
        "state",
        [],
        {},
        {"epoch": 0, "position": 3},
        {**saved(), "penstock": 2},
        {**saved(), "penstock": "1"},
        {**saved(), "penstock": None},
        {**saved(), "pipeline": None},
        {**saved(), "pipeline": 3},
        {**saved(), "pipeline": []},
        {**saved(), "pipeline": "range"},
        {**saved(), "pipeline": {"a": 1}},
        {**saved(), "epoch": -1},
        {**saved(), "epoch": 1.5},
        {**saved(), "epoch": "0"},
        {**saved(), "epoch": None},
        {**saved(), "epoch": True},
        {**saved(), "epoch": 2**64},
        {**saved(), "position": -1},
        {**saved(), "position": 14},
        {**saved(), "position": 1.5},
        {**saved(), "position": "3"},
        {**saved(), "position": [3]},
        {**saved(), "position": True},
        {**saved(), "position": np.arange(3)},
    ],
    ids=lambda g: repr(g)[:90],
)
def test_garbage_is_refused(garbage):
    """What is no state, or has an impossible epoch or position, is refused, and the loader stays as it was."""
    with BASE.loader() as loader:
        next(iter(loader))
        before = loader.state_dict()
        with pytest.raises(StateError):
            loader.load_state_dict(garbage)
        assert loader.state_dict() == before


STREAMS = [
    ps.stream(list(range(9))),
    ps.range(9).filter(bool),
    ps.range(9).filter(bool).batch(2),
    ps.stream(list(range(9))).take(5),
    ps.stream(list(range(9))).skip(2),
    ps.stream(list(range(9))).repeat(2),
    ps.zip(ps.stream([1, 2]), ps.stream([3, 4])),
    ps.concat(ps.stream([1, 2]), ps.stream([3, 4])),
    ps.stream([1, 2]).prefetch(2),
]


@pytest.mark.parametrize("dataset", STREAMS, ids=repr)
def test_garbage_positions_of_streams_are_refused(dataset):
    """An impossible position of a stream is a StateError, at the latest when the reading begins; never other items."""
    for garbage in ("position", -1, 1.5, True, [1], [1, 2, 3, 4, 5], ["a", "b"], {"a": 1}, [-1, None]):
        with dataset.loader() as loader, pytest.raises(StateError):
            loader.load_state_dict({**saved(dataset, 1), "position": garbage})
            list(loader)


def test_an_empty_dataset_has_no_positions():
    """Behind the end of an empty dataset there is no position either."""
    with pytest.raises(StateError):
        opened(ps.range(0).node, state(ps.range(0).node, 0, 5))


def test_the_end_is_a_position():
    """A state that stands at the very end gives an empty rest, then the next epoch."""
    with ps.range(4).loader() as loader:
        loader.load_state_dict({**loader.state_dict(), "position": 4})
        assert list(loader) == []
        assert loader.epoch == 1
        assert list(loader) == [0, 1, 2, 3]


def test_what_a_mapping_is_does_not_matter():
    """A state may come back as any mapping, with more in it."""
    import types

    with BASE.loader() as loader:
        loader.load_state_dict(types.MappingProxyType({**saved(), "more": 1}))
        assert loader.state_dict() == saved()


def test_lines_name_their_inputs():
    """Steps that do not read the one before them say which they read."""
    shared = ps.range(9)
    assert pipeline(ps.zip(shared.map(abs), shared.map(str)).node) == [
        "range(9)",
        "map(abs)",
        "map(str) of 0",
        "zip() of 1, 2",
    ]


def test_a_mix_is_listed_without_its_members():
    """Members of a mix may come and go, so they are not among the steps; steps behind are, and count from the mix."""
    a, b = ps.range(9).shuffle(), ps.range(5)
    assert pipeline(ps.mix([a, b], weights=[1, 2]).batch(2).node) == ["mix(how='exact', stop='first')", "batch(2)"]
    shared = ps.zip(ps.mix([a, b]), a)
    assert pipeline(shared.node) == ["mix(how='exact', stop='first')", "range(9)", "shuffle()", "zip() of 0, 2"]


def test_a_mix_behind_which_items_are_read_again_is_listed_whole():
    """Where a step behind it reads again, a mix is listed with weights, members and names."""
    a, b = ps.range(9), ps.range(5)
    one, two = (ps.mix({name: a, "b": b}).shuffle(window=4) for name in ("a", "x"))
    assert pipeline(one.node)[:2] == ["range(9)", "range(5)"]
    assert pipeline(one.node)[2].startswith("mix() ")
    assert pipeline(one.node) != pipeline(two.node)
    assert pipeline(one.node) != pipeline(ps.mix({"a": a, "b": b}, temperature=2).shuffle(window=4).node)


def test_positions_may_be_dicts_by_name():
    """Dicts of plain positions are plain; names are words."""
    from penstock.graph.position import plain

    assert plain({"a": [1, None, {"b": 2}]})
    assert not plain({1: 2})
    assert not plain({"a": "x"})
    assert not plain({"a": -1})


def edited():
    """Return descriptions of all kinds of positions."""
    numbers = ps.range(40).seed(3)

    def stream():
        return ps.stream(list(range(40)))

    lists = stream().batch(4, collate=list)
    return {
        "sequence": numbers.shuffle().batch(4),
        "filter": numbers.filter(lambda x: x % 3).batch(4),
        "stream": stream(),
        "map": stream().map(lambda x: x + 1).batch(3),
        "flat_map": stream().flat_map(lambda x: [x] * (x % 3)),
        "unbatch": lists.unbatch(),
        "take": stream().take(20),
        "skip": stream().skip(3),
        "take_while": stream().take_while(lambda x: x < 30),
        "drop_while": stream().drop_while(lambda x: x < 5),
        "unique": stream().unique(lambda x: x % 7, window=5),
        "unique of all": stream().unique(lambda x: x % 30),
        "shuffle": stream().shuffle(window=8),
        "shuffle of unbatched": lists.unbatch().shuffle(window=4),
        "group": stream().group(lambda x: x % 3, 4, within=20),
        "bucket": stream().map(lambda x: [x] * (x % 9 + 1)).bucket(len, [4, 8], 3, collate=list),
        "pack": stream().map(lambda x: np.arange(x % 9 + 1)).pack(16),
        "batch_by": stream().batch_by(50, lambda x: x + 1, collate=list),
        "batch_while": stream().batch_while(lambda batch, x: len(batch) < 3),
        "rebatch": stream().batch(3).rebatch(4),
        "sort_within": stream().sort_within(8, key=lambda x: -x),
        "prefetch": stream().map(lambda x: x).prefetch(4).batch(2),
        "repeat": stream().repeat(3),
        "per_epoch": stream().repeat().per_epoch(10),
        "concat": ps.concat(stream(), stream().map(lambda x: -x)),
        "zip": ps.zip(stream(), stream().skip(2)),
        "interleave": ps.interleave(stream(), stream().take(3), block=2),
        "mix": ps.mix([numbers, stream()], weights=[0.5, 0.5]),
        "on_error": stream().map(lambda x: x).on_error("skip"),
        "on_error of a sequence": numbers.map(lambda x: 1 // (x % 5)).on_error("skip").batch(2),
        "transform": stream().transform(lambda items: (2 * x for x in items)),
        "windows": stream().windows(3),
        "enumerate": stream().enumerate(),
        "shard": stream().shard(0, 2, last="keep"),
        "reuse": stream().reuse(3),
        "epoch": numbers.epoch(2).filter(lambda x: x % 2),
        "many": stream().repeat().take(90).shuffle(window=16).batch(5).unbatch().filter(lambda x: x % 2).batch(2),
    }


def places(position, at=()):
    """Yield where something stands in a position: every list, dict and number."""
    yield at
    if isinstance(position, (list, dict)):
        for name, part in enumerate(position) if isinstance(position, list) else position.items():
            yield from places(part, (*at, name))


def replaced(position, at, value):
    """Return a position with something else at one place."""
    if not at:
        return value
    changed = copy.copy(position)
    changed[at[0]] = replaced(position[at[0]], at[1:], value)
    return changed


@pytest.mark.parametrize("name", edited())
def test_edited_positions(name):
    """Whatever somebody writes into a state, it is refused as no state of this dataset, or read; nothing else fails."""
    dataset = edited()[name]
    with dataset.loader() as loader:
        for _ in itertools.islice(loader, 3):
            good = loader.state_dict()
    refused = 0
    for at in places(good["position"]):
        for value in ("x", None, True, -1, 1.5, 10**30, [], {}, [0], [None], {"a": 1}, [[[]]], 0, 3):
            position = replaced(good["position"], at, value)
            try:
                with dataset.loader() as loader:
                    loader.load_state_dict(good | {"position": position})
                    for _ in itertools.islice(loader, 3):
                        pass
            except StateError:
                refused += 1
            except Exception as error:
                raise AssertionError(f"{position} for {good['position']}: {error!r}") from error
    assert refused > 7
