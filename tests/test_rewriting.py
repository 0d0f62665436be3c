"""What a loader changes in a description: shares of batches and policies, and nothing else."""

import pytest

import penstock as ps
from penstock.errors import ArgumentError
from penstock.graph.node import ordered
from penstock.graph.policy import Skip
from penstock.operations.batch import Batch
from penstock.operations.on_error import OnError
from penstock.rewriting import guarded, sharded


def labels(node):
    return [n.label() for n in ordered(node)]


def test_only_the_last_batch_is_divided():
    """A rank takes its part of the outermost batch; the batches within are whole."""
    node = sharded(ps.range(48).batch(4).batch(3).map(len).node, 1, 3)
    parts = [n.part for n in ordered(node) if isinstance(n, Batch)]
    assert parts == [(0, 1), (1, 3)]


def test_a_share_keeps_the_numbers():
    """Rewriting keeps every step at its number, so random draws and states are those of the whole."""
    dataset = ps.range(48).seed(3).shuffle().map(abs).batch(4).map(len)
    assert labels(sharded(dataset.node, 0, 2)) == labels(dataset.node)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(8).batch([2, 3]),
        ps.range(8).batch_by(3, len),
        ps.range(8).batch_while(max),
        ps.range(8).group(abs, 2),
        ps.range(8).bucket(abs, [3], 2),
        ps.range(8).batch(2).rebatch(3),
    ],
    ids=repr,
)
def test_every_step_that_makes_batches_is_divided(dataset):
    """Whatever makes batches takes a rank's part, and has the loader's policy in front of it."""
    assert sharded(dataset.node, 1, 2).part == (1, 2)
    looked = ps.range(8).map(abs).group(abs, 2)
    assert labels(guarded(looked.node, Skip())) == ["range(8)", "map(abs)", "on_error('skip')", "group(abs, 2)"]


def joins():
    """Return joins of batches: what is divided, one dataset for each way to join."""
    a = ps.range(12).shuffle().map(abs).batch(4)
    b = ps.range(24).batch(6)
    return [
        ps.mix([a, b], weights=[1, 2], stop="all"),
        ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 2}, how="random", stop="repeat"),
        ps.concat(a, b),
        ps.interleave(a, b),
        ps.zip(a, b),
        ps.zip(x=a, y=a.map(list)),
        ps.switch([0, 1, 0], a, b),
        ps.switch(ps.items([0, 1, 1]), a, b).repeat(2),
    ]


@pytest.mark.parametrize("dataset", joins(), ids=repr)
@pytest.mark.parametrize("world", [2, 3])
def test_every_input_of_a_join_is_divided(dataset, world):
    """Batches that are mixed, chained, chosen or zipped are divided all; states load into any other world size."""

    def joined(parts):
        if isinstance(parts[0], dict):
            return {name: joined([part[name] for part in parts]) for name in parts[0]}
        if isinstance(parts[0], tuple):
            return tuple(map(joined, zip(*parts, strict=True)))
        return [int(x) for part in parts for x in part]

    whole = [joined([batch]) for batch in dataset]
    ranks, states = [], []
    for rank in range(world):
        with dataset.loader(shard=(rank, world)) as loader:
            ranks.append(list(loader))
        with dataset.loader(shard=(rank, world)) as loader:
            iterator = iter(loader)
            next(iterator)
            states.append(loader.state_dict())
    assert [joined(parts) for parts in zip(*ranks, strict=True)] == whole
    assert all(state == states[0] for state in states)
    with dataset.loader() as loader:
        loader.load_state_dict(states[0])
        assert [joined([batch]) for batch in loader] == whole[1:]


def test_a_batch_step_that_is_divided_and_whole_is_refused():
    """What one input would have divided and another whole cannot be both without changing the steps' numbers."""
    batches = ps.range(8).batch(4)
    with pytest.raises(ArgumentError, match="two places"):
        sharded(ps.zip(batches, batches.batch(2)).node, 0, 2)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(8),
        ps.range(8).map(abs),
        ps.zip(ps.range(8).batch(2), ps.range(8)),
        ps.mix([ps.range(8).batch(4), ps.range(8).batch(4).unbatch()], weights=[1, 1]),
        ps.range(8).batch(4).unbatch(),
        ps.switch(ps.items([0, 1]).batch(1, collate=max), ps.range(8).batch(4), ps.range(8)),
    ],
    ids=repr,
)
def test_what_cannot_be_divided_is_refused(dataset):
    """Without one batch step whose rows can be divided for good, a shard is refused."""
    with pytest.raises(ArgumentError, match="shard="):
        sharded(dataset.node, 0, 2)


def test_policies_stand_before_batches_and_at_the_end():
    """A loader's policy guards items in front of each batch, and batches behind the last function."""
    node = guarded(ps.range(8).map(abs).batch(2).map(len).node, Skip())
    assert labels(node) == ["range(8)", "map(abs)", "on_error('skip')", "batch(2)", "map(len)", "on_error('skip')"]


def test_nothing_is_guarded_that_cannot_fail():
    """Where no function of the user runs, nothing changes: the dataset keeps its length."""
    node = ps.range(8).shuffle().batch(2).node
    assert guarded(node, Skip()) == node


def test_a_policy_of_the_dataset_comes_first():
    """A step that has a policy of its own is not given the loader's as well."""
    node = guarded(ps.range(8).map(abs).on_error("raise").batch(2).node, Skip())
    assert [n.policy for n in ordered(node) if isinstance(n, OnError)] == ["raise"]


def test_shared_branches_stay_shared():
    """A step that two branches have in common is still one step, so both see the same draws."""
    base = ps.range(8).map(abs)
    both = ps.zip(base, base.map(len))
    assert len(ordered(guarded(both.batch(2).node, Skip()))) == len(ordered(both.batch(2).node)) + 1


@pytest.mark.parametrize(
    "steps",
    [
        lambda d: d.take(3),
        lambda d: d.shuffle(window=3),
        lambda d: d.prefetch(2),
        lambda d: d.reuse(1),
        lambda d: d.unique(),
        lambda d: d.take_while(lambda x: x < 9),
        lambda d: ps.mix([d, ps.range(0)], weights=[1, 1], stop="all"),
        lambda d: ps.concat(d, ps.range(0)),
    ],
)
def test_a_loaders_policy_stands_in_front_of_every_step_in_the_caller(steps):
    """An item that fails before such a step is left out, and the step goes on with the next."""

    def fail(x):
        if x == 1:
            raise ValueError(x)
        return x

    dataset = steps(ps.stream([0, 1, 2, 3]).map(fail))
    with dataset.loader(on_error="skip") as loader:
        assert sorted(loader) == [0, 2, 3]
        assert loader.report().skipped == 1


@pytest.mark.parametrize(
    "behind",
    [
        lambda d: d[1:],
        lambda d: d.shuffle(),
        lambda d: d.select([0]),
        lambda d: d.sample(3),
        lambda d: d.repeat_each(2),
        lambda d: d.unbatch(size=2),
        lambda d: ps.switch([0, 1], d, d),
        lambda d: d.shuffle().map(len)[:1].batch(1),
    ],
)
def test_what_needs_positions_behind_a_batch_of_items_that_may_be_left_out_is_refused(behind):
    """The error names the step and says what helps, before anything is read; other policies leave positions alone."""
    dataset = behind(ps.range(8).map(abs).batch(2))
    with pytest.raises(ArgumentError, match=r"loader\(on_error='skip'\).*needs them.*\.on_error\('skip'\)"):
        dataset.loader(on_error="skip")
    for policy in ("raise", lambda error, source: 0):
        with dataset.loader(on_error=policy) as loader:
            assert len(list(loader)) == len(dataset)
