"""The contract of an executor."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import numpy as np

from penstock.errors import ClosedError
from penstock.graph.execution import Executor, Ticket, Work
from penstock.operations.map import Map
from penstock.operations.source import Range
from penstock.sources import arrays, range, stream
from penstock.surface.dataset import Dataset
from penstock.testing.equality import same
from penstock.testing.faults import Killer, Ledger

ITEMS = 60


def check_executor(executor: Executor) -> None:
    """Check everything that an executor promises.

    Raises:
        AssertionError: a promise is broken; says which.

    >>> from penstock.testing import Scrambled
    >>> check_executor(Scrambled())
    """
    before = Ledger()
    check_value(executor)
    check_session(executor)
    for dataset in pipelines():
        check_order(executor, dataset)
        check_early_stop(executor, dataset)
    check_errors(executor)
    check_closing(executor)
    check_death(executor)
    left = Ledger.settled(before)
    assert not left, f"{executor!r} left behind: {', '.join(left)}"


def pipelines() -> list[Dataset[Any]]:
    """Return pipelines of all kinds of work: by position, by element, in several stages."""
    rows = np.arange(ITEMS * 8, dtype=np.float32).reshape(ITEMS, 8)
    base = range(ITEMS).seed(5).shuffle()
    return [
        base.map(draw, rng=True),
        arrays(x=rows, y=np.arange(ITEMS)).shuffle().batch(7),
        base.filter(odd).map(draw, rng=True).batch(4),
        base.map(heavy).batch(3),
        stream(range(ITEMS)).map(draw, rng=True).filter(positive).batch(5).prefetch(2).map(total),
        base.batch(6).unbatch().map(heavy),
    ]


def draw(x: int, rng: np.random.Generator) -> tuple[int, float]:
    """Return an item and a random number."""
    return int(x), float(rng.standard_normal())


def odd(x: int) -> bool:
    """Tell whether a number is odd."""
    return x % 2 == 1


def positive(x: tuple[int, float]) -> bool:
    """Tell whether an item's draw is positive."""
    return x[1] > 0


def total(x: Any) -> float:
    """Return the sum of a batch's draws."""
    return float(np.sum(x[1]))


def heavy(x: int) -> np.ndarray[Any, Any]:
    """Return an array that is too large for a message."""
    return np.full((64, 1024), x, np.float32)


def failing(x: int) -> int:
    """Return the number, but for one."""
    if x == ITEMS // 2:
        raise LookupError("on purpose", x)
    return x


def check_value(executor: Executor) -> None:
    """Check that an executor is a frozen value."""
    assert pickle.loads(pickle.dumps(executor)) == executor, f"{executor!r} does not survive pickling"  # noqa: S301
    assert hash(executor) == hash(pickle.loads(pickle.dumps(executor))), "equal executors have different hashes"  # noqa: S301
    assert executor.count >= 0, f"{executor!r} has {executor.count} workers"
    try:
        executor.count = 1  # type: ignore[misc]
    except AttributeError:
        return
    raise AssertionError(f"{executor!r} can be changed")


def check_session(executor: Executor) -> None:
    """Check the seam itself: every ticket has one outcome, in whatever order; cancelled ones need none."""
    work = Work(Map(Range(ITEMS), str))
    session = executor.start(work)
    try:
        for number in (3, 1, 2):
            session.submit(Ticket(number, 0, 1, 10 * number, 10 * number + 2))
        found: dict[int, list[Any]] = {}
        while len(found) < 3:
            outcome = session.collect()
            assert outcome.number not in found, f"ticket {outcome.number} had two outcomes"
            found[outcome.number] = list(outcome.items)
        assert found == {n: [str(10 * n), str(10 * n + 1)] for n in (1, 2, 3)}, f"wrong outcomes: {found}"
        session.submit(Ticket(4, 0, 1, 0, 1))
        session.cancel()
        session.submit(Ticket(5, 0, 1, 0, 1))
        while (number := session.collect().number) != 5:
            assert number in (0, 4), f"an outcome of ticket {number}, which was never submitted"
    finally:
        session.close()
        session.close()


def check_order(executor: Executor, dataset: Dataset[Any]) -> None:
    """Check that items and states are those of reading in line, in several epochs and at several window sizes."""
    with dataset.loader() as plain:
        expected = [[(item, json.dumps(plain.state_dict())) for item in plain] for _ in (0, 1)]
    for window in (1, 2, 128):
        with dataset.loader(workers=executor, window=window) as loader:
            for epoch, items in enumerate(expected):
                assert loader.epoch == epoch, f"epoch {loader.epoch} instead of {epoch}"
                found = [(item, json.dumps(loader.state_dict())) for item in loader]
                assert same(found, items), f"{executor!r}, window {window}, epoch {epoch}: {dataset!r} differs"


def check_early_stop(executor: Executor, dataset: Dataset[Any]) -> None:
    """Check that an epoch left in its middle never reaches into the next, and that its state resumes."""
    expected = [list(dataset.epoch(epoch)) for epoch in (0, 1, 2)]
    with dataset.loader(workers=executor) as loader:
        found = list(itertools.islice(loader, 3))
        saved = loader.state_dict()
        assert same(found, expected[0][:3]), "the first items differ"
        assert same(list(loader), expected[1]), "an epoch behind a broken one differs"
        loader.load_state_dict(saved)
        assert same(list(loader), expected[0][3:]), "what is left of a broken epoch differs"
        iterator = iter(loader)
        assert same(next(iterator), expected[1][0]), "the epoch behind a resumed one differs"


def check_errors(executor: Executor) -> None:
    """Check that an error comes at its place, as itself, and that the loader can go on."""
    dataset = range(ITEMS).map(failing)
    with dataset.loader(workers=executor) as loader:
        found = []
        raised: LookupError | None = None
        try:
            for item in loader:
                found.append(item)  # noqa: PERF402  what came before the error counts
        except LookupError as error:
            raised = error
        assert raised is not None, "a user's error was swallowed"
        notes = "\n".join(raised.__notes__)
        assert raised.args == ("on purpose", ITEMS // 2), f"the error's arguments became {raised.args}"
        assert f"item {ITEMS // 2} of map(failing)" in notes, f"the notes do not name the item: {notes}"
        assert f"dataset.epoch(0)[{ITEMS // 2}]" in notes, f"the notes do not say how to see it again: {notes}"
        assert found == list(range(ITEMS // 2)), f"before the error came {len(found)} items instead of {ITEMS // 2}"
        assert loader.state_dict()["position"] == ITEMS // 2, "the state does not stand before the item that failed"
        saved = loader.state_dict() | {"position": ITEMS // 2 + 1}
        loader.load_state_dict(saved)
        assert list(loader) == list(range(ITEMS))[ITEMS // 2 + 1 :], "the loader did not go on behind the error"


def check_closing(executor: Executor) -> None:
    """Check that a loader can be closed at any time, twice, and not used afterwards; batches stay valid."""
    loader = range(ITEMS).map(heavy).loader(workers=executor)
    kept = list(itertools.islice(loader, 5))
    loader.close()
    loader.close()
    assert all((item == number).all() for number, item in enumerate(kept)), "a batch changed when the loader closed"
    try:
        next(iter(loader))
    except ClosedError:
        return
    raise AssertionError("a closed loader can still be read")


def check_death(executor: Executor) -> None:
    """Check, where workers are processes, that killing them is not noticed."""
    dataset = range(4 * ITEMS).shuffle().map(heavy)
    with dataset.loader(workers=executor) as loader:
        iterator = iter(loader)
        first = next(iterator)
        if not any(worker.pid for worker in loader.workers):
            return
        with Killer(loader, kills=5) as killer:
            rest = list(iterator)
        assert same([first, *rest], list(dataset)), f"after {killer.done} kills the items differ"
