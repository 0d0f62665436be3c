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


@pytest.mark.parametrize(
    "dataset",
    [ps.range(8), ps.range(8).map(abs), ps.zip(ps.range(8).batch(2), ps.range(8).batch(2)), ps.range(8).batch(4).unbatch()],
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
