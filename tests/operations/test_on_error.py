"""on_error: failing items are left out, replaced or tried again, the same way everywhere."""

import itertools
import os
import signal

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, ItemTimeout, WorkerDied
from penstock.testing import check_dataset

EXECUTORS = [ps.Inline(), ps.Threads(2), ps.Processes(2)]


def tens(x):
    """Fails for every number that ends in 3."""
    if x % 10 == 3:
        raise ValueError("on purpose", x)
    return x


def with_draw(x, rng):
    return x, rng.random()


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(60).seed(2).shuffle().map(tens, on_error="skip").map(with_draw, rng=True).batch(4),
        ps.range(60).map(tens).on_error("skip"),
        ps.range(60).map(tens).on_error(ps.Skip(count=6)).batch(7),
        ps.range(60).map(tens).on_error(ps.Skip(fraction=0.2)).batch(7).prefetch(2),
        ps.range(60).map(tens, on_error=lambda error, source: -source).batch(4),
        ps.stream(range(60)).map(tens).on_error("skip").batch(4),
        ps.range(60).batch(3).unbatch().map(tens).on_error("skip").map(with_draw, rng=True),
        ps.range(60).map(tens).on_error(ps.Retry(1, wait=0, then="skip")),
        ps.range(60).map(tens).on_error(ps.Retry(1, wait=0, then=lambda error, source: 0)).batch(5),
        ps.range(60).map(tens).filter(lambda x: x % 2).on_error("skip").on_error(ps.Skip(count=0)),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every kind of policy keeps the promises: one order, states at any item, on every executor."""
    check_dataset(dataset, executors=(ps.Threads(2),), limit=70, epochs=(0, 1))


def test_the_same_in_processes():
    """What is left out in worker processes, and its report, is what is left out in line."""
    dataset = ps.range(200).seed(5).shuffle().map(tens, on_error="skip").batch(8)
    expected = [batch.tolist() for batch in dataset]
    with dataset.loader(workers=ps.Processes(2)) as loader:
        assert [batch.tolist() for batch in loader] == expected
        report = loader.report()
    assert report.skipped == 20
    assert sorted(int(s.error.args[1]) for s in report.listed) == list(range(3, 200, 10))
    assert all(type(s.error) is ValueError and s.operation == "map(tens)" for s in report.listed)
    assert sorted(s.source for s in report.listed) == list(range(3, 200, 10))
    assert "left out: 20" in str(report)


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_batches_keep_their_size(executor):
    """Behind a policy that leaves items out, every batch but the last is full."""
    with ps.range(100).map(tens, on_error="skip").batch(8).loader(workers=executor) as loader:
        sizes = [len(batch) for batch in loader]
    assert sizes == [8] * 11 + [2]


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_a_spent_budget_raises_the_error_itself(executor):
    """The failure beyond the budget arrives as itself, at its own place, with what it says about the budget."""
    with ps.range(100).map(tens, on_error=ps.Skip(count=3)).loader(workers=executor) as loader:
        found = []
        with pytest.raises(ValueError, match="on purpose") as caught:
            for item in loader:
                found.append(item)
        assert found == [x for x in range(33) if x % 10 != 3]
        assert caught.value.args == ("on purpose", 33)
        assert any("Skip(count=3)" in note for note in caught.value.__notes__)
        assert loader.report().skipped == 3


def test_the_budget_survives_a_resume():
    """What was left out before a state was saved counts against the budget after it was loaded."""
    dataset = ps.range(100).map(tens, on_error=ps.Skip(count=3))
    with dataset.loader() as loader:
        list(itertools.islice(loader, 15))  # past 3 and 13
        saved = loader.state_dict()
    with dataset.loader(workers=ps.Threads(2)) as loader:
        loader.load_state_dict(saved)
        found = []
        with pytest.raises(ValueError, match="on purpose"):
            for item in loader:
                found.append(item)
    assert found[-1] == 32


@pytest.mark.parametrize(("skipped", "tried", "allowed"), [(1, 1, True), (2, 10, False), (2, 20, True), (3, 29, False)])
def test_a_fraction_is_of_what_was_tried(skipped, tried, allowed):
    """A budget as a fraction grows with the items that were tried; one failure is always allowed."""
    assert ps.Skip(fraction=0.1).allows(skipped, tried) is allowed


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_a_loaders_policy_stands_before_every_batch(executor):
    """The policy of a loader leaves items out of batches, not batches out of the epoch."""
    with ps.range(100).map(tens).batch(8).loader(workers=executor, on_error="skip") as loader:
        items = np.concatenate(list(loader)).tolist()
    assert items == [x for x in range(100) if x % 10 != 3]


def test_a_loaders_policy_reaches_a_users_dataset():
    """What an indexable object raises is subject to the loader's policy, too."""

    class Rows:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return tens(index)

    with ps.items(Rows()).batch(3).loader(on_error="skip") as loader:
        assert [batch.tolist() for batch in loader] == [[0, 1, 2], [4, 5, 6], [7, 8, 9]]


def test_arrays_need_no_policy():
    """A pipeline without any function of the user keeps its length under a policy."""
    with ps.range(10).batch(3).loader(on_error="skip") as loader:
        assert len(loader) == 4


def test_own_is_only_the_own():
    """A policy given to a map is not for what failed before it."""
    dataset = ps.range(10).map(tens).map(str, on_error="skip")
    with pytest.raises(ValueError, match="on purpose"):
        list(dataset)


def test_what_is_replaced_keeps_its_place():
    """With a function as the policy, the result stays a sequence of the same length."""
    dataset = ps.range(10).map(tens, on_error=lambda error, source: (type(error).__name__, source))
    assert len(dataset) == 10
    assert dataset[3] == ("ValueError", 3)
    assert list(dataset)[2:5] == [2, ("ValueError", 3), 4]


def test_a_second_attempt_draws_the_same():
    """A retried item gets the same random numbers: what it becomes depends on nothing but its place."""
    attempts = {}

    def flaky(x, rng):
        value = rng.random()
        attempts[x] = attempts.get(x, 0) + 1
        if x == 3 and attempts[x] == 1:
            raise OSError("not yet")
        return value

    steady = list(ps.range(6).map(lambda x, rng: rng.random(), rng=True))
    assert list(ps.range(6).map(flaky, rng=True, on_error=ps.Retry(2, wait=0))) == steady
    assert attempts[3] == 2


def test_attempts_are_counted():
    """Retry(n) makes n further attempts, then raises the last error."""
    calls = []

    def broken(x):
        calls.append(x)
        raise OSError("never")

    with pytest.raises(OSError, match="never"):
        list(ps.range(1).map(broken).on_error(ps.Retry(3, wait=0)))
    # In line, one gather fails first where there are several; here each attempt is one call.
    assert len(calls) == 4


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_no_policy_swallows_an_interruption(executor, kind):
    """KeyboardInterrupt and SystemExit are not failures of an item."""

    def leave(x):
        if x == 3:
            raise kind("now")
        return x

    with ps.range(6).map(leave, on_error="skip").loader(workers=executor) as loader, pytest.raises(kind):
        list(loader)


@pytest.mark.parametrize("how", ["exit", "signal"])
def test_an_item_that_kills_its_worker_can_be_left_out(how):
    """Under a policy, an item that ends its worker every time is left out, and nothing else with it."""

    def deadly(x):
        if x == 17:
            os._exit(3) if how == "exit" else os.kill(os.getpid(), signal.SIGSEGV)
        return x

    with ps.range(50).map(deadly, on_error=None).loader(workers=ps.Processes(2), on_error="skip") as loader:
        assert list(loader) == [x for x in range(50) if x != 17]
        (skipped,) = loader.report().listed
    assert type(skipped.error) is WorkerDied
    assert skipped.item == 17


@pytest.mark.parametrize("executor", [ps.Threads(2), ps.Processes(2)], ids=repr)
def test_an_item_that_never_ends_can_be_left_out(executor, tmp_path):
    """Under a policy and a time-out, an item that never ends is left out, and nothing else with it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def stuck(x):
        if x == 17:
            gate.open().close()  # blocks until somebody writes
        return x

    with ps.range(50).map(stuck).loader(workers=executor, on_error="skip", timeout=0.3) as loader:
        assert list(loader) == [x for x in range(50) if x != 17]
        (skipped,) = loader.report().listed
    assert type(skipped.error) is ItemTimeout
    while True:  # let go of threads that still wait
        try:
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            break


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda d: d.on_error("skipp"), ArgumentError, ["on_error()", "'skipp'", "'skip'", "Retry(times)"]),
        (lambda d: d.on_error(3), ArgumentTypeError, ["on_error()", "3", "Skip(count=…)"]),
        (lambda d: d.on_error(ps.Skip), ArgumentTypeError, ["on_error()", "Skip(count=…)"]),
        (lambda d: d.map(abs, on_error=3), ArgumentTypeError, ["map()", "on_error", "3"]),
        (lambda d: d.loader(on_error="ignore"), ArgumentError, ["loader()", "'ignore'"]),
        (lambda d: d.loader(timeout=0), ArgumentError, ["timeout", "0"]),
        (lambda d: d.loader(timeout="1"), ArgumentError, ["timeout", "'1'"]),
        (lambda d: ps.Skip(count=-1), ArgumentError, ["Skip()", "-1"]),
        (lambda d: ps.Skip(fraction=2), ArgumentError, ["Skip()", "fraction", "2"]),
        (lambda d: ps.Retry(0), ArgumentError, ["Retry()", "times"]),
        (lambda d: ps.Retry(1, wait=-1), ArgumentError, ["Retry()", "wait"]),
        (lambda d: ps.Retry(1, then=ps.Retry(1)), ArgumentError, ["Retry()", "then"]),
    ],
)
def test_mistakes_are_refused_when_they_are_made(make, error, words):
    """A policy that cannot work is refused when it is given, with value and remedy."""
    with pytest.raises(error) as caught:
        make(ps.range(4))
    for word in words:
        assert word in str(caught.value)


def test_whose_policy_it_is_can_be_read():
    """A drawing and a state tell a policy of one map from one of all steps before it, in words a user could have said."""
    own, all_ = ps.range(3).map(abs, on_error="skip"), ps.range(3).map(abs).on_error("skip")
    assert own.node.label() == "on_error('skip') of map"
    assert all_.node.label() == "on_error('skip')"
