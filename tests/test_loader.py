"""Loaders: epochs, states, ends, shards, and everything a loop may do in between."""

from __future__ import annotations

import gc
import itertools
import json
import os
import threading
import time
import weakref

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, ClosedError, LengthError, StateError
from penstock.testing import Scrambled, same
from penstock.testing.faults import children

EVERYWHERE = [ps.Inline(), Scrambled(seed=5), ps.Threads(2), ps.Processes(2)]
EXECUTORS = pytest.mark.parametrize("executor", EVERYWHERE, ids=["inline", "scrambled", "threads", "processes"])


def wait_until(condition, seconds=10.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def pipelines():
    """Return pipelines of several kinds, each with shuffling and random draws."""
    base = ps.range(40).seed(9).shuffle().map(lambda x, rng: (x, float(rng.random())), rng=True)
    return {
        "batches": base.batch(4),
        "short": base.batch(7),
        "stream": base.filter(lambda x: x[0] % 3).batch(4),
        "stages": base.batch(4)
        .unbatch()
        .map(lambda x: x[0] * 2)
        .filter(lambda x: x % 4 == 0)
        .batch(3)
        .map(lambda b: b + 1),
        "repeated": base.repeat(2).batch(8),
        "prefetched": base.filter(lambda x: x[0] % 2).batch(3).prefetch(2),
    }


PIPELINES = pytest.mark.parametrize("dataset", list(pipelines().values()), ids=list(pipelines()))


# ---- epochs


@EXECUTORS
def test_epochs(executor):
    """Each iteration is one epoch, each in its own order, and the loader counts them."""
    dataset = ps.range(20).shuffle().map(lambda x: x)
    with dataset.loader(workers=executor) as loader:
        assert loader.epoch == 0
        for epoch in range(3):
            assert list(loader) == list(dataset.epoch(epoch))
            assert loader.epoch == epoch + 1
    assert len({tuple(dataset.epoch(epoch)) for epoch in range(3)}) == 3


def test_len():
    """The length of a loader is that of a whole epoch; without one, it says why."""
    assert len(ps.range(10).batch(3).loader()) == 4
    assert len(ps.range(10).batch(4, last="drop").loader(shard=(1, 2))) == 2
    with pytest.raises(LengthError, match="known only when it is read"):
        len(ps.range(10).filter(bool).loader())
    with pytest.raises(LengthError, match="endless"):
        len(ps.range(10).repeat().loader())


@EXECUTORS
def test_break_then_next_epoch(executor):
    """After a break, the next iteration is the next epoch, from its front."""
    dataset = ps.range(50).shuffle().map(lambda x: x)
    with dataset.loader(workers=executor) as loader:
        for epoch in range(4):
            for number, item in enumerate(loader):
                assert item == dataset.epoch(epoch)[number]
                if number == 5 + epoch:
                    break
            assert loader.epoch == epoch


@EXECUTORS
def test_iterator_without_any_item(executor):
    """An iterator that nobody asked for an item counts for nothing: the next one reads the same epoch."""
    with ps.range(5).map(lambda x: x).loader(workers=executor) as loader:
        iter(loader)
        assert list(loader) == [0, 1, 2, 3, 4]
        assert loader.epoch == 1


@EXECUTORS
@pytest.mark.parametrize("name", list(pipelines()))
def test_begin(executor, name):
    """What was begun is read like any epoch; until it is asked for an item, state and epoch stay as they were."""
    dataset = pipelines()[name]
    with dataset.loader(workers=executor) as loader:
        before = loader.state_dict()
        loader.begin()
        assert loader.state_dict() == before
        assert same(list(loader.begin()), list(dataset.epoch(0)))
        assert loader.epoch == 1
        next(iter(loader))
        saved = loader.state_dict()
        loader.load_state_dict(saved)
        rest = loader.begin()
        assert loader.state_dict() == saved
        assert same(list(rest), list(dataset.epoch(1))[1:])


def test_begin_computes_ahead():
    """Workers compute, and a prefetch reads, before anybody asks; a stream alone is not opened."""
    made = threading.Event()
    with ps.range(4).map(lambda x: made.set() or x).loader(workers=ps.Threads(1)) as loader:
        batches = loader.begin()
        assert made.wait(30)
        del batches
    made.clear()
    source = ps.stream(lambda: iter([made.set()]))
    with source.prefetch(1).loader() as loader:
        batches = loader.begin()
        assert made.wait(30)
        del batches
    made.clear()
    with source.map(repr).loader(workers=ps.Threads(1)) as loader:
        batches = loader.begin()
        assert not made.is_set()
        assert list(batches) == ["None"]


@EXECUTORS
def test_two_iterators(executor):
    """A second iterator of a loader ends the first; both together never deliver from two places."""
    with ps.range(20).map(lambda x: x).loader(workers=executor) as loader:
        first = iter(loader)
        assert [next(first), next(first)] == [0, 1]
        second = iter(loader)
        assert loader.epoch == 1
        assert next(second) == 0
        with pytest.raises(ClosedError):
            next(first)
        assert list(second) == list(range(1, 20))


@EXECUTORS
def test_ended_iterator_stays_ended(executor):
    """An iterator that has ended stays so, and the loader's position does not move by asking it."""
    with ps.range(3).map(lambda x: x).loader(workers=executor) as loader:
        iterator = iter(loader)
        assert list(iterator) == [0, 1, 2]
        assert next(iterator, "end") == "end"
        assert next(iterator, "end") == "end"
        assert loader.epoch == 1
        assert loader.state_dict()["position"] is None


@EXECUTORS
def test_two_loaders_at_once(executor):
    """Two loaders of one dataset, read in turns, do not disturb one another."""
    dataset = ps.range(60).shuffle().map(lambda x: np.full(5000, x)).batch(4)
    with dataset.loader(workers=executor) as one, dataset.loader(workers=executor) as other:
        for a, b in zip(one, other, strict=True):
            assert same(a, b)


@pytest.mark.parametrize("executor", EVERYWHERE[2:], ids=["threads", "processes"])
def test_in_a_thread(executor):
    """A loader may be made, read and closed in a thread, and handed from one thread to another."""
    dataset = ps.range(100).map(lambda x: x)
    found: list[int] = []
    loader = dataset.loader(workers=executor)
    iterator = iter(loader)

    def read(count: int) -> None:
        found.extend(itertools.islice(iterator, count))

    for _ in range(4):
        thread = threading.Thread(target=read, args=(25,))
        thread.start()
        thread.join()
    closing = threading.Thread(target=loader.close)
    closing.start()
    closing.join()
    assert found == list(range(100))


@pytest.mark.parametrize("executor", EVERYWHERE[2:], ids=["threads", "processes"])
def test_closed_by_another_thread(executor):
    """A loop whose loader is closed by another thread ends with an error, soon."""
    gate = threading.Event()
    errors = []
    loader = ps.range(10**6).map(lambda x: x).loader(workers=executor)

    def read() -> None:
        try:
            for _ in loader:
                gate.set()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert gate.wait(20)
    loader.close()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert isinstance(errors[0], ClosedError)


def test_closed_while_workers_are_started():
    """What another thread closes in this moment has workers that it could not see; they end all the same."""

    class Slow(ps.Threads):
        def start(self, work):
            session = super().start(work)
            closing = threading.Thread(target=loader.close)
            closing.start()
            closing.join()
            return session

    loader = ps.range(10).map(lambda x: x).loader(workers=Slow(2))
    with pytest.raises(ClosedError, match="while its workers were started"):
        next(iter(loader))


@EXECUTORS
def test_an_iteration_that_is_let_go_of_ends_at_once(executor):
    """An iteration that nobody holds is gone without the garbage collector, so what it had under way ends with it."""
    gc.collect()
    gc.disable()
    try:
        with ps.range(10**6).map(lambda x: x).loader(workers=executor) as loader:
            iterator = iter(loader)
            assert list(itertools.islice(iterator, 3000)) == list(range(3000))
            alive = weakref.ref(iterator.epoch)
            del iterator
            assert alive() is None
            assert loader.state_dict()["position"] == 3000
    finally:
        gc.enable()


@EXECUTORS
def test_closed_with_items_at_hand(executor):
    """Of a bundle of items that is at hand when a loader is closed, none comes any more, and the state says so."""
    with ps.range(10**6).map(lambda x: x).loader(workers=executor) as loader:
        iterator = iter(loader)
        for _ in itertools.islice(iterator, 50_001):
            pass
        loader.close()
        for _ in range(2):
            with pytest.raises(ClosedError):
                next(iterator)
        assert loader.state_dict()["position"] == 50_001


@pytest.mark.parametrize("executor", EVERYWHERE[1:], ids=["scrambled", "threads", "processes"])
def test_another_iteration_takes_over_with_items_at_hand(executor):
    """A second iteration of a loader ends the first, whose bundle at hand is given to nobody."""
    with ps.range(10**5).map(lambda x: x).loader(workers=executor) as loader:
        first = iter(loader)
        for _ in itertools.islice(first, 10_001):
            pass
        second = iter(loader)
        assert next(second) == 0
        with pytest.raises(ClosedError):
            next(first)
        assert list(itertools.islice(second, 20_000)) == list(range(1, 20_001))


# ---- states


@PIPELINES
def test_states_are_equal_everywhere(dataset):
    """Before, within and after an epoch, every executor gives the same state: plain JSON below a kilobyte."""
    lists = []
    for executor in EVERYWHERE:
        with dataset.loader(workers=executor) as loader:
            states = [json.dumps(loader.state_dict())]
            for _ in range(2):
                iterator = iter(loader)
                states.append(json.dumps(loader.state_dict()))
                for _item in iterator:
                    states.append(json.dumps(loader.state_dict()))
                states.append(json.dumps(loader.state_dict()))
        assert max(map(len, states)) < 1024
        lists.append(states)
    assert all(states == lists[0] for states in lists)


@PIPELINES
def test_resumed_elsewhere(dataset):
    """A state taken after any batch, loaded in any other executor, gives exactly the rest of the epoch, and the next."""
    with dataset.loader() as loader:
        loader.load_state_dict(loader.state_dict() | {"epoch": 1})
        saved, items = [loader.state_dict()], []
        for item in loader:
            items.append(item)
            saved.append(json.loads(json.dumps(loader.state_dict())))
        following = list(itertools.islice(loader, 3))
    elsewhere = itertools.cycle(
        [ps.Threads(1), ps.Processes(1), Scrambled(), ps.Threads(3), ps.Inline(), ps.Processes(3)]
    )
    for number, (state, executor) in enumerate(zip(saved, elsewhere, strict=False)):
        with dataset.loader(workers=executor) as loader:
            loader.load_state_dict(state)
            assert loader.state_dict() == state
            if state["epoch"] == 1:
                assert same(list(loader), items[number:]), (number, executor)
            assert loader.epoch == 2
            assert same(list(itertools.islice(loader, 3)), following)


@EXECUTORS
def test_resumed_again_and_again(executor):
    """An epoch that is saved and restored after every single batch is the same as one read in one go."""
    dataset = pipelines()["stages"]
    found, state = [], dataset.loader().state_dict()
    while state["epoch"] == 0:
        with dataset.loader(workers=executor) as loader:
            loader.load_state_dict(state)
            found.extend(itertools.islice(loader, 1))
            state = loader.state_dict()
            if len(found) > 100:
                break
            if state["position"] is None:
                break
    assert same(found, list(dataset))


def test_state_of_another_pipeline():
    """A state of another description is refused with the difference named, and nothing changes."""
    with ps.range(10).shuffle().batch(2).loader() as loader:
        next(iter(loader))
        state = loader.state_dict()
    with ps.range(10).shuffle().batch(3).loader() as loader:
        before = loader.state_dict()
        with pytest.raises(StateError, match=r"batch\(2\).*batch\(3\)"):
            loader.load_state_dict(state)
        assert loader.state_dict() == before


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": -1},
        {"epoch": "1"},
        {"epoch": True},
        {"position": -1},
        {"position": 99},
        {"position": "x"},
        {"penstock": 99},
    ],
    ids=str,
)
def test_damaged_states(change):
    """A state with impossible values is refused."""
    with ps.range(10).loader() as loader:
        with pytest.raises(StateError):
            loader.load_state_dict(loader.state_dict() | change)
        with pytest.raises(StateError):
            loader.load_state_dict(None)
        with pytest.raises(StateError):
            loader.load_state_dict({})


@pytest.mark.parametrize("position", [5, "x", [1], [99, None, 3], {"a": 1}, [None, -3]], ids=str)
def test_damaged_position_of_a_stream(position):
    """A stream's state with an impossible position is refused as such, when it is loaded."""
    with ps.range(10).filter(bool).batch(2).loader() as loader, pytest.raises(StateError):
        loader.load_state_dict(loader.state_dict() | {"position": position})


@EXECUTORS
def test_loaded_in_the_middle(executor):
    """A state loaded while an epoch is read ends that reading; the next iteration continues from the state."""
    with ps.range(30).map(lambda x: x).loader(workers=executor) as loader:
        iterator = iter(loader)
        assert [next(iterator) for _ in range(4)] == [0, 1, 2, 3]
        state = loader.state_dict()
        assert [next(iterator) for _ in range(4)] == [4, 5, 6, 7]
        loader.load_state_dict(state)
        with pytest.raises(ClosedError):
            next(iterator)
        assert list(loader) == list(range(4, 30))


def test_state_is_a_copy():
    """A state that was taken does not change when the loader goes on, nor the loader when the state is changed."""
    with pipelines()["stream"].loader() as loader:
        iterator = iter(loader)
        next(iterator)
        state = loader.state_dict()
        text = json.dumps(state)
        next(iterator)
        assert json.dumps(state) == text
        state["position"][0] = 77
        state["pipeline"].clear()
        assert loader.state_dict()["position"][0] != 77
        assert loader.state_dict()["pipeline"]


# ---- errors


@EXECUTORS
def test_exception_in_the_loop(executor):
    """An exception of the loop's own leaves a loader that can be saved, and read on in the next epoch."""
    dataset = ps.range(20).map(lambda x: x)
    with dataset.loader(workers=executor) as loader:
        with pytest.raises(ZeroDivisionError):
            for item in loader:
                if item == 6:
                    1 / 0
        assert loader.state_dict()["position"] == 7
        assert list(loader) == list(range(20))
        assert loader.epoch == 2


@EXECUTORS
def test_error_then_continue(executor):
    """An iterator that raised a user's error tries the same item again: an error that was passing is over."""
    gate = "/nowhere"

    def flaky(x: int) -> int:
        import os

        if x == 5 and not os.path.exists(gate):
            raise ValueError("flaky")
        return x

    with ps.range(10).map(flaky).loader(workers=executor) as loader:
        iterator = iter(loader)
        assert list(itertools.islice(iterator, 5)) == [0, 1, 2, 3, 4]
        for _ in range(3):
            with pytest.raises(ValueError, match="flaky"):
                next(iterator)
        assert loader.state_dict()["position"] == 5
        loader.load_state_dict(loader.state_dict() | {"position": 6})
        assert list(loader) == [6, 7, 8, 9]


@EXECUTORS
def test_passing_error(executor, tmp_path):
    """When the cause of an error is gone, the same iterator goes on and nothing is missing."""
    mark = str(tmp_path / "mark")

    def flaky(x: int) -> int:
        import os

        if x == 5 and not os.path.exists(mark):
            raise OSError("not yet")
        return x

    with ps.range(300).map(flaky).loader(workers=executor) as loader:
        iterator = iter(loader)
        found = list(itertools.islice(iterator, 5))
        with pytest.raises(OSError, match="not yet"):
            next(iterator)
        (tmp_path / "mark").touch()
        assert found + list(iterator) == list(range(300))
        assert loader.epoch == 1


@pytest.mark.parametrize(
    "executor", [ps.Inline(), ps.Threads(2), ps.Processes(2)], ids=["inline", "threads", "processes"]
)
def test_keyboard_interrupt(executor):
    """Ctrl-C while the loop waits for an item loses nothing: the loader can be saved, and read on."""
    import signal

    if isinstance(executor, ps.Inline):

        def work(x: int) -> int:
            if x == 50 and not interrupted:
                interrupted.append(1)
                signal.raise_signal(signal.SIGINT)
            return x

        timer = None
    else:

        def work(x: int) -> int:
            import time

            time.sleep(0.02)
            return x

        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupted: list[int] = []
    found = []
    with ps.range(60).map(work).loader(workers=executor, window=1) as loader:
        iterator = iter(loader)
        if timer is not None:
            found.append(next(iterator))
            timer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                found.append(next(iterator))
        assert loader.state_dict()["position"] == len(found)
        found.extend(iterator)
    assert found == list(range(60))


# ---- shards


@EXECUTORS
@pytest.mark.parametrize("kind", ["sequence", "stream", "mapped"])
def test_shards(executor, kind):
    """The ranks' parts of every batch, put together, are the global batch, for every world size."""
    base = ps.range(45).seed(4).shuffle().map(lambda x, rng: x + float(rng.random()), rng=True)
    dataset = {
        "sequence": base.batch(10),
        "stream": base.filter(lambda x: int(x) % 7).batch(9, last="drop"),
        "mapped": base.batch(10).map(lambda b: b * 2),
    }[kind]
    expected = list(dataset)
    for world in (2, 3):
        parts = []
        for rank in range(world):
            with dataset.loader(workers=executor, shard=(rank, world)) as loader:
                parts.append(list(loader))
        assert {len(part) for part in parts} == {len(expected)}
        assert same([np.concatenate(rows) for rows in zip(*parts, strict=True)], expected)


def test_states_between_world_sizes():
    """Ranks' states are all the same, and that of another world size, so that a run may go on with more or fewer."""
    dataset = ps.range(48).shuffle().filter(lambda x: x % 5).batch(6, last="drop")
    expected = list(dataset)
    states = []
    for shard in [(0, 1), (0, 2), (1, 2), (2, 3)]:
        with dataset.loader(shard=shard) as loader:
            list(itertools.islice(loader, 3))
            states.append(json.dumps(loader.state_dict()))
    assert len(set(states)) == 1
    parts = []
    for rank in range(3):
        with dataset.loader(shard=(rank, 3), workers=ps.Threads(1)) as loader:
            loader.load_state_dict(json.loads(states[0]))
            parts.append(list(loader))
    assert same([np.concatenate(rows) for rows in zip(*parts, strict=True)], expected[3:])


def test_bad_shards():
    """Shards that cannot be are refused with the value and the remedy."""
    dataset = ps.range(10).batch(5)
    for shard, kind in (
        ((2, 2), ArgumentError),
        ((-1, 2), ArgumentError),
        ((0, 0), ArgumentError),
        (3, ArgumentTypeError),
        ((0.5, 2), ArgumentTypeError),
    ):
        with pytest.raises(kind):
            dataset.loader(shard=shard)
    with pytest.raises(ArgumentError, match="batch"):
        ps.range(10).loader(shard=(0, 2))
    with pytest.raises(ArgumentError, match="divided over 6 ranks"):
        dataset.loader(shard=(0, 6))


# ---- reports and looks


@EXECUTORS
def test_report(executor):
    """A report counts items, tells how long the loop waited, and says so in words."""
    dataset = ps.range(12).map(lambda x: np.full(20_000, x)).batch(2)
    with dataset.loader(workers=executor) as loader:
        assert loader.report().items == 0
        assert "nothing has been read" in str(loader.report())
        list(loader)
        report = loader.report()
    assert report.items == 6
    assert 0 <= report.first <= report.waited <= report.seconds < 60
    assert 0 <= report.waiting <= 1
    assert report.replaced == 0
    assert repr(executor).split("(")[0] in report.executor
    assert "range(12)" in report.pipeline
    if isinstance(executor, ps.Processes):
        assert report.nbytes >= 12 * 160_000
    text = str(report)
    assert "6 items" in text
    assert "range(12)" in text


def test_report_verdict():
    """A loop that trains long is told that input is no bottleneck; one that waits is told that it is."""

    def spin(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    with ps.range(15).map(lambda x: x).loader() as loader:
        for _ in loader:
            spin(0.01)
        assert not loader.report().input_bound
        assert loader.report().verdict.startswith("not input-bound")
    with ps.range(15).map(lambda x: spin(0.01)).loader() as loader:
        list(loader)
        assert loader.report().input_bound
        assert loader.report().verdict.startswith("input-bound")


@EXECUTORS
@pytest.mark.parametrize("ahead", [False, True], ids=["plain", "prefetch"])
def test_what_was_left_out_is_listed_once(executor, ahead, tmp_path):
    """Items left out before one that fails are listed once, though reading on leaves them out again."""
    fails = tmp_path / "fails"
    fails.touch()

    def work(x: int) -> int:
        if x in (4, 17, 18, 19):
            raise ValueError(x)
        return x

    def flaky(x: int) -> int:
        if x == 20 and fails.exists():
            raise LookupError(x)
        return x

    dataset = ps.range(40).map(work, on_error="skip").map(flaky).batch(3)
    with (dataset.prefetch(2) if ahead else dataset).loader(workers=executor) as loader:
        iterator = iter(loader)
        found = []
        for _ in range(3):
            with pytest.raises(LookupError):
                for batch in iterator:
                    found += batch.tolist()
            assert [skipped.item for skipped in loader.report().listed] == [4, 17, 18, 19]
        fails.unlink()
        for batch in iterator:
            found += batch.tolist()
        assert found == [x for x in range(40) if x not in (4, 17, 18, 19)]
        assert loader.report().skipped == 4
        list(loader)
        assert [skipped.epoch for skipped in loader.report().listed] == [1] * 4


def test_report_is_of_the_epoch():
    """Bytes, work and omissions are counted epoch by epoch, like the items."""

    def work(x: int) -> np.ndarray:
        if x == 3:
            raise ValueError(x)
        return np.full(20_000, x)

    with ps.range(12).map(work).on_error("skip").loader(workers=ps.Processes(1), window=2) as loader:
        found = []
        for _ in range(3):
            list(loader)
            found.append(loader.report())
    for report in found:
        assert (report.items, report.skipped, len(report.listed)) == (11, 1, 1)
        assert report.nbytes < 16 * 161_000
    assert [report.listed[0].epoch for report in found] == [0, 1, 2]


def test_report_after_close():
    """A report can be asked for after the loader is closed, with its numbers."""
    with ps.range(20).map(lambda x: np.full(20_000, x)).loader(workers=ps.Processes(1)) as loader:
        list(loader)
        before = loader.report()
    assert loader.report() == before


def test_repr():
    """A loader prints its dataset, its executor and where it stands."""
    loader = ps.range(5).batch(2).loader(workers=ps.Threads(2))
    assert "range(5)" in repr(loader)
    assert "Threads" in repr(loader)
    assert "epoch 0" in repr(loader)
    loader.close()
    assert "closed" in repr(loader)


def test_workers_are_shown():
    """A loader shows its workers while it has some."""
    with ps.range(5).map(lambda x: x).loader(workers=ps.Processes(2)) as loader:
        assert loader.workers == ()
        next(iter(loader))
        assert [worker.kind for worker in loader.workers] == ["process", "process"]
    assert loader.workers == ()


# ---- options


@EXECUTORS
def test_windows(executor):
    """Whatever the window, the items are the same."""
    dataset = ps.range(50).shuffle().map(lambda x: np.full(3000, x)).batch(3)
    expected = list(dataset)
    for window, nbytes in ((1, 1), (1, 1 << 30), (1000, 1), (3, 100_000), (9, "1MB")):
        with dataset.loader(workers=executor, window=window, window_bytes=nbytes) as loader:
            assert same(list(loader), expected)


@pytest.mark.parametrize("options", [{"window": 0}, {"window_bytes": 0}, {"window_bytes": "1 lot"}, {"window": -1}])
def test_bad_windows(options):
    """A window without room is refused."""
    with pytest.raises(ArgumentError):
        ps.range(3).loader(**options)
    with pytest.raises(ArgumentTypeError):
        ps.range(3).loader(**dict.fromkeys(options, 1.5))


def test_bad_workers():
    """What is no executor is refused with an example of one."""
    for wrong in (4, "threads", ps.Threads, None.__class__):
        with pytest.raises(ArgumentTypeError, match="Threads"):
            ps.range(3).loader(workers=wrong)


# ---- the end


@EXECUTORS
def test_use_after_close(executor):
    """A closed loader refuses to be read, says so, and still gives its state; closing twice is allowed."""
    loader = ps.range(20).map(lambda x: x).loader(workers=executor)
    iterator = iter(loader)
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    loader.close()
    loader.close()
    with pytest.raises(ClosedError):
        iter(loader)
    with pytest.raises((ClosedError, StopIteration)):
        next(iterator)
    assert loader.state_dict()["position"] == 3


@EXECUTORS
def test_closed_loop_does_not_end_quietly(executor):
    """A loop whose loader is closed in its middle gets an error: an epoch never ends early without one."""
    found = []
    with ps.range(20).map(lambda x: x).loader(workers=executor) as loader, pytest.raises(ClosedError):
        for item in loader:
            found.append(item)
            if len(found) == 3:
                loader.close()
    assert found == [0, 1, 2]


@EXECUTORS
def test_batches_outlive_the_loader(executor):
    """All batches of an epoch, held while more are read and after the loader is closed and gone, stay as they were."""
    dataset = ps.range(200).shuffle().map(lambda x: np.full((50, 50), x)).batch(4)
    loader = dataset.loader(workers=executor, window_bytes=1 << 20)
    with loader:
        held = list(loader)
        for _ in loader:
            pass
    del loader
    gc.collect()
    assert same(held, list(dataset))


@pytest.mark.parametrize("executor", EVERYWHERE[2:], ids=["threads", "processes"])
def test_unclosed_loader(executor):
    """A loader that is forgotten in the middle of an epoch ends its workers when it is garbage."""
    loader = ps.range(10**6).map(lambda x: x).loader(workers=executor)
    iterator = iter(loader)
    next(iterator)
    pids = [worker.pid for worker in loader.workers if worker.pid]
    gone = weakref.ref(loader)
    del loader, iterator
    gc.collect()
    assert gone() is None
    wait_until(lambda: not any(thread.name.startswith("penstock-worker") for thread in threading.enumerate()))
    wait_until(lambda: not {pid for pid, _ in children(os.getpid())} & set(pids))


def test_unclosed_loader_of_a_for_loop():
    """A loader made in the head of a for loop that is left by break ends its workers, too."""
    before = set(children(os.getpid()))  # of other libraries
    for _ in ps.range(10**6).map(lambda x: x).loader(workers=ps.Processes(2)):
        break
    gc.collect()
    wait_until(lambda: len(set(children(os.getpid())) - before) <= 1)


def test_exit_closes():
    """Leaving the with block by an exception ends the workers, and the exception goes on."""
    with pytest.raises(ZeroDivisionError), ps.range(100).map(lambda x: x).loader(workers=ps.Processes(2)) as loader:
        next(iter(loader))
        1 / 0
    assert loader.workers == ()
    with pytest.raises(ClosedError):
        next(iter(loader))


def test_loaders_come_from_datasets():
    """Who makes a Loader of a dataset, as other libraries have it, is told how a loader is made."""
    with pytest.raises(TypeError, match=r"Use dataset\.loader\("):
        ps.Loader(ps.range(3))
