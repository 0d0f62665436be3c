"""What dpipe does wrong, and ours does right: a test for each, listed in docs/migrating/dpipe.md."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from penstock.compat.dpipe.batch_iter import (
    ExpirationPool,
    Infinite,
    Iterator,
    Loky,
    Threads,
    pad_batch_equal,
    sample,
    zip_apply,
)


def single(x):
    """Return a tuple of one."""
    return (x,)


def values(epoch):
    """Return all items of an epoch."""
    return [x for (xs,) in epoch for x in xs.tolist()]


class FailsAt:
    """A function that fails at one item."""

    def __init__(self, at):
        self.at = at

    def __call__(self, x):
        if x == self.at:
            raise LookupError(f"no {x}")
        return (x,)


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: Threads(f, n_workers=2), lambda f: Loky(f, n_workers=2)])
def test_errors_arrive_as_themselves(wrap):
    """What came before an error is delivered; the error has its type, its words, and a note of where it happened."""
    with Infinite(itertools.count(), wrap(FailsAt(5)), batch_size=2, batches_per_epoch=10) as batches:
        found = []
        with pytest.raises(LookupError, match="no 5") as caught:
            for (xs,) in batches():
                found.extend(xs.tolist())
        assert found == [0, 1, 2, 3]
        assert any("item 5 of map" in note for note in caught.value.__notes__)


def test_errors_of_the_source_arrive_as_themselves():
    """A source that fails does so again, and is not taken to have come to its end."""

    def source():
        yield from range(3)
        raise LookupError("the disk is gone")

    batches = Infinite(source(), single, batch_size=2, batches_per_epoch=1)
    assert values(batches()) == [0, 1]
    for _ in range(2):
        with pytest.raises(LookupError, match="the disk is gone"):
            list(batches())


def test_nothing_is_lost_between_close_and_reopening():
    """An iterator that is used again after ``close`` goes on behind what was delivered."""
    stages = [lambda x: x, Threads(lambda x: x, n_workers=2), Loky(single, n_workers=2)]
    batches = Infinite(itertools.count(), *stages, batch_size=2, batches_per_epoch=2, buffer_size=3)
    found = values(batches())
    batches.close()
    found += values(batches())
    with pytest.raises(RuntimeError), batches:
        found += values(batches())
        raise RuntimeError
    with batches:
        found += values(batches())
    assert found == list(range(16))


def test_nothing_is_lost_while_the_source_is_at_work():
    """An item that the source is making when everything is closed is the next one after reopening."""
    asked, go = threading.Event(), threading.Event()

    def source():
        for k in itertools.count():
            if k == 3:
                asked.set()
                go.wait(30)
            yield k

    batches = Infinite(source(), single, batch_size=1, batches_per_epoch=1)
    assert values(batches()) == [0]
    assert asked.wait(30)
    threading.Timer(0.01, go.set).start()
    batches.close()
    assert values(batches()) + values(batches()) + values(batches()) + values(batches()) == [1, 2, 3, 4]
    batches.close()


def test_finite_sources_end():
    """A source that ends gives its last, short batch, then empty epochs; a list begins anew after ``close``."""
    batches = Infinite(range(5), single, batch_size=2, batches_per_epoch=2)
    for _ in range(2):
        assert [values(batches()) for _ in range(4)] == [[0, 1, 2, 3], [4], [], []]
        batches.close()


def test_threads_keep_the_order():
    """The first item comes first, also where it is made last."""
    others = threading.Semaphore(0)

    def uneven(x):
        if x:
            others.release()
        else:
            assert others.acquire(timeout=30)
            assert others.acquire(timeout=30)
        return (x,)

    with Infinite(range(30), Threads(uneven, n_workers=3), batch_size=5, batches_per_epoch=6) as batches:
        assert values(batches()) == list(range(30))


def test_processes_keep_the_order(tmp_path):
    """The first item comes first, also where it is made last."""
    os.mkfifo(tmp_path / "pipe")

    def uneven(x):
        if x in {0, 3}:  # each end of a pipe is opened when the other is
            with (tmp_path / "pipe").open("wb" if x else "rb"):
                pass
        return (x,)

    with Infinite(range(30), Loky(uneven, n_workers=2), batch_size=5, batches_per_epoch=6) as batches:
        assert values(batches()) == list(range(30))


def test_a_plain_function_is_never_called_twice_at_once():
    """A function without a wrapper runs in one thread, in the order of the items: kept, for those that draw."""
    rng, plain = np.random.RandomState(1), np.random.RandomState(1)
    with Infinite(range(50), lambda x: (x, rng.randint(100)), batch_size=50, batches_per_epoch=1) as batches:
        [(_, drawn)] = batches()
    assert drawn.tolist() == [plain.randint(100) for _ in range(50)]


class KillsOnce:
    """A function that kills its process the first time that it sees a 4."""

    def __init__(self, flag):
        self.flag = flag

    def __call__(self, x):
        if x == 4 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (x,)


def test_a_worker_that_is_killed_is_replaced(tmp_path):
    """All items come, in order, where a process is killed in between."""
    stage = Loky(KillsOnce(tmp_path / "flag"), n_workers=2)
    with Infinite(range(10), stage, batch_size=5, batches_per_epoch=2) as batches:
        assert values(batches()) == list(range(10))
    assert (tmp_path / "flag").exists()


def test_a_program_that_forgets_to_close_ends():
    """Nothing keeps the interpreter from its end."""
    program = """if __name__ == "__main__":
        import itertools
        from penstock.compat.dpipe.batch_iter import Infinite, Loky, Threads
        stages = [lambda x: x, Threads(abs, n_workers=2), Loky(lambda x: (x,), n_workers=2)]
        batches = Infinite(itertools.count(), *stages, batch_size=2, batches_per_epoch=2)
        print([xs.tolist() for (xs,) in batches()])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[[0, 1], [2, 3]]\n", "")


@pytest.mark.parametrize("size", [0, -1, 2.5, "2", None])
def test_batch_sizes_are_checked_at_once(size):
    """What is no batch size is refused where it is written, not when the first batch is asked for."""
    with pytest.raises((ValueError, TypeError), match="batch_size"):
        Infinite([], batch_size=size, batches_per_epoch=1)


def test_what_is_no_source_is_refused_at_once():
    """What cannot be iterated is refused where it is written."""
    with pytest.raises(TypeError, match="iterable"):
        Infinite(5, batch_size=1, batches_per_epoch=1)


def test_batch_sizes_of_numpy():
    """NumPy's whole numbers are whole numbers."""
    with Infinite(range(4), single, batch_size=np.int64(2), batches_per_epoch=2) as batches:
        assert values(batches()) == [0, 1, 2, 3]


def test_generators_draw():
    """``sample`` takes NumPy's new generators, too."""
    found = [next(sample("abc", random_state=np.random.default_rng(5))) for _ in range(2)]
    assert found[0] == found[1]


def test_padding_that_does_not_fit_is_refused():
    """A value that the arrays' type cannot hold is no other value in silence."""
    with pytest.raises(ValueError, match=r"uint8 cannot be padded with -1"), warnings.catch_warnings():
        warnings.simplefilter("error")
        pad_batch_equal([np.zeros(2, np.uint8), np.zeros(3, np.uint8)], padding_values=-1)
    assert pad_batch_equal([np.zeros(1, np.float32), np.zeros(2, np.float32)], 0.1, 0).dtype == np.float32


def test_functions_for_entries_that_are_not_there():
    """``zip_apply`` does not drop entries in silence."""
    with pytest.raises(ValueError, match="2 functions for 3 entries"):
        zip_apply(str, str)((1, 2, 3))


@pytest.mark.parametrize("count", [1, 3])
def test_iterators_of_several_threads_give_everything_once(count):
    """Each thread gets a part of the items; together they give each of them once."""
    stage = Iterator(lambda xs: ((x,) for x in xs if x % 2), n_workers=count)
    with Infinite(range(40), stage, batch_size=7, batches_per_epoch=10) as batches:
        assert sorted(values(batches())) == list(range(1, 40, 2))


def test_expiration_pools():
    """Each item comes as often as it should, in a pipeline, too."""
    stages = [ExpirationPool(pool_size=3, repetitions=2), single]
    with Infinite(range(6), *stages, batch_size=4, batches_per_epoch=3) as batches:
        assert sorted(values(batches())) == sorted([*range(6), *range(6)])


def test_combiners_may_have_workers():
    """A combiner wrapped in ``Loky`` makes whole batches in processes."""
    combiner = Loky(lambda items, scale: [scale * x for x in items], scale=2, n_workers=2)
    with Infinite(range(6), batch_size=3, batches_per_epoch=2, combiner=combiner) as batches:
        assert list(batches()) == [[0, 2, 4], [6, 8, 10]]


def test_batches_do_not_alias_the_source():
    """A batch may be changed in place; what it was made of stays as it was."""
    image = np.zeros(3)
    with Infinite(itertools.repeat((image,)), batch_size=1, batches_per_epoch=1) as batches:
        for (xs,) in batches():
            xs[...] = 1
    assert image.tolist() == [0, 0, 0]


def test_arrays_that_a_function_keeps_come_from_processes():
    """A function may fill the same array for every item: each arrives as it was, as Loky would have pickled it."""
    kept = []

    def fill(x):
        if not kept:
            kept.append(np.empty(3, int))
        kept[0][:] = x
        return kept[0], [x]

    with Infinite(range(200), Loky(fill), batch_size=20, batches_per_epoch=10, buffer_size=8) as batches:
        found = [(x, y) for xs, ys in batches() for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    assert found == [([x] * 3, [x]) for x in range(200)]
