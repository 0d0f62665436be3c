"""What BatchUp does wrong, and ours does right: a test for each, listed in docs/migrating/batchup.md."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from penstock.compat.batchup import data_source, sampling, work_pool
from penstock.errors import ClosedError

POOLS = [work_pool.WorkerThreadPool, work_pool.WorkerProcessPool]
processes = work_pool.WorkerProcessPool


def numbers(source, *, pool, size=2, **options):
    """Return the first column of a source, read through a pool."""
    return [batch[0].tolist() for batch in pool.parallel_data_source(source).batch_iterator(size, **options)]


def test_data_of_another_source_is_never_served():
    """A source that takes the place of one that is garbage, at its very address, is read as itself."""
    with processes(2) as pool:
        for value in range(4):
            source = data_source.ArrayDataSource([np.full(4, value)])
            assert numbers(source, pool=pool) == [[value, value]] * 2
            del source
            gc.collect()


def test_an_array_that_was_changed_is_read_anew():
    """Each iterator sees the data as it is when it is made."""
    x = np.zeros(4, int)
    with processes(1) as pool:
        source = pool.parallel_data_source(data_source.ArrayDataSource([x]))
        before = [b.tolist() for (b,) in source.batch_iterator(4)]
        x += 5
        after = [b.tolist() for (b,) in source.batch_iterator(4)]
    assert (before, after) == ([[0] * 4], [[5] * 4])


class KillsOnce:
    """A function of batches that kills its process the first time that it sees a 4."""

    def __init__(self, flag):
        self.flag = flag

    def __call__(self, x):
        if 4 in x and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (x,)


def test_a_worker_that_is_killed_is_replaced(tmp_path):
    """All batches come, in order, where a worker is killed in between."""
    source = data_source.ArrayDataSource([np.arange(8)]).map(KillsOnce(tmp_path / "flag"))
    with processes(2) as pool:
        assert numbers(source, pool=pool) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert (tmp_path / "flag").exists()


@pytest.mark.parametrize("kind", POOLS)
def test_pools_can_be_closed(kind):
    """A closed pool has no workers, whatever they were doing, and starts none."""
    pool = kind(2)
    endless = pool.parallel_data_source(data_source.ArrayDataSource([np.arange(3)], repeats=-1))
    batches = endless.batch_iterator(2)
    next(batches)
    pool.close()
    pool.close()
    assert list(batches) == []
    with pytest.raises(ClosedError):
        endless.batch_iterator(2)


@pytest.mark.parametrize("kind", POOLS)
def test_an_iterator_that_is_dropped_ends_its_workers(kind):
    """Nothing of it is left, although the pool lives on: the guard of all tests looks."""
    pool = kind(1)
    batches = pool.parallel_data_source(data_source.ArrayDataSource([np.arange(3)], repeats=-1)).batch_iterator(2)
    next(batches)
    del batches
    gc.collect()
    assert list(pool.work_stream(iter([(abs, (-1,))])).retrieve_iter()) == [1]


def test_lambdas_travel_to_processes():
    """Functions and classes need not be at the top of a module."""
    source = data_source.ArrayDataSource([np.arange(4)]).map(lambda x: (x * 10,))
    with processes(1) as pool:
        assert numbers(source, pool=pool) == [[0, 10], [20, 30]]


@pytest.mark.parametrize("kind", POOLS)
def test_tasks_have_any_of_the_documented_forms(kind):
    """A task is a function alone, with arguments, or with named ones, too."""
    tasks = [(list,), (pow, (2, 3)), (int, ("11",), {"base": 2})]
    with kind(1) as pool:
        stream = pool.work_stream(iter(tasks))
        assert [stream.retrieve() for _ in range(4)] == [[], 8, 3, None]


def fail_at_two(number):
    """Fail at 2."""
    if number == 2:
        raise LookupError("no two")
    return number


@pytest.mark.parametrize("kind", POOLS)
def test_an_error_loses_nothing_behind_it(kind):
    """An error comes at its place, as itself, with notes; what stands behind it can still be had."""
    with kind(2) as pool:
        stream = pool.work_stream(((fail_at_two, (k,)) for k in range(5)), task_buffer_size=3)
        assert [stream.retrieve(), stream.retrieve()] == [0, 1]
        with pytest.raises(LookupError, match="no two") as caught:
            stream.retrieve()
        assert any("was written at" in note for note in caught.value.__notes__)
        assert [stream.retrieve(), stream.retrieve(), stream.retrieve()] == [3, 4, None]


class Counted:
    """A large argument that notes how often it is sent."""

    def __init__(self, log):
        self.log = log
        self.value = 3

    def __getstate__(self):
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write("sent\n")
        return self.__dict__


def times(counted, number):
    """Multiply."""
    return counted.value * number


def test_a_shared_constant_is_sent_once(tmp_path):
    """A constant of many tasks is pickled once for all of them, not once for each; one that comes late works, too."""
    log = tmp_path / "log"
    with processes(2) as pool:
        constant, late = pool.shared_constant(Counted(log)), pool.shared_constant(Counted(tmp_path / "other"))
        tasks = ((times, (constant if k < 40 else late, k)) for k in range(42))
        assert list(pool.work_stream(tasks, 4).retrieve_iter()) == [3 * k for k in range(42)]
    assert log.read_text(encoding="utf-8").count("sent") <= 2


@pytest.mark.parametrize("kind", POOLS)
def test_the_end_is_not_a_result_of_none(kind):
    """A task that returns None is a result of ``retrieve_iter`` like any other."""
    with kind(1) as pool:
        assert list(pool.work_stream((print, ()) for _ in range(3)).retrieve_iter()) == [None] * 3


def test_work_begins_before_it_is_asked_for():
    """The buffer fills, and no further, as soon as the iterator is made: kept, as the document promises."""
    made = []
    full = threading.Event()

    def note(x):
        made.append(x.tolist())
        if len(made) == 3:
            full.set()
        return (x,)

    source = data_source.ArrayDataSource([np.arange(20)]).map(note)
    with work_pool.WorkerThreadPool(1) as pool:
        batches = pool.parallel_data_source(source, batch_buffer_size=3).batch_iterator(2)
        assert full.wait(30)
        assert sorted(made) == [[0, 1], [2, 3], [4, 5]]
        assert [x.tolist() for (x,) in batches] == np.arange(20).reshape(10, 2).tolist()


def test_a_pool_draws_what_it_has_under_way():
    """A generator that several iterators share has drawn, at each batch, what it has drawn in BatchUp."""
    sampler = sampling.WeightedSampler([1.0, 2.0, 3.0])
    source = data_source.ArrayDataSource([np.arange(3)], sampler=sampler)
    used, plain = np.random.RandomState(5), np.random.RandomState(5)
    with work_pool.WorkerThreadPool(2) as pool:
        batches = pool.parallel_data_source(source, batch_buffer_size=4).batch_iterator(6, shuffle=used)
        drawn = [x.tolist() for (x,) in itertools.islice(batches, 3)]
    expected = [plain.choice(3, size=(6,), p=sampler.weights).tolist() for _ in range(4 + 3)]
    assert drawn == expected[:3]
    assert used.randint(1000) == plain.randint(1000)


def test_composites_that_are_not_trimmed_are_the_same_in_pools():
    """``trim=False`` holds where batches are made by indices, too."""
    long, short = (data_source.ArrayDataSource([np.arange(n)]) for n in (5, 3))
    both = data_source.CompositeDataSource([long, short], trim=False)
    with work_pool.WorkerThreadPool(1) as pool:
        found = [[x.tolist() for x in batch] for batch in pool.parallel_data_source(both).batch_iterator(4)]
    assert found == [[x.tolist() for x in batch] for batch in both.batch_iterator(4)] == [[[0, 1, 2, 3], [0, 1, 2]]]


def test_choices_in_composites_are_trimmed_in_pools():
    """A choice's indices are cut with the others', and still say which source they are of."""
    choice = data_source.ChoiceDataSource(
        [data_source.ArrayDataSource([np.arange(n)]) for n in (4, 5)], stratified=True
    )
    both = data_source.CompositeDataSource([choice, data_source.ArrayDataSource([np.arange(10)])])
    with work_pool.WorkerThreadPool(1) as pool:
        found = [[x.tolist() for x in batch] for batch in pool.parallel_data_source(both).batch_iterator(3)]
    assert found == [[x.tolist() for x in batch] for batch in both.batch_iterator(3)]


def test_functions_in_composites_may_return_lists():
    """A batch that is a list is joined with the others."""
    doubled = data_source.ArrayDataSource([np.arange(2)]).map(lambda x: [x, x])
    both = data_source.CompositeDataSource([doubled, data_source.ArrayDataSource([np.arange(2)])])
    assert [[x.tolist() for x in batch] for batch in both.batch_iterator(2)] == [[[0, 1]] * 3]


@pytest.mark.parametrize("total", [sum, np.sum, lambda x: np.float32(x.sum()), lambda x: x.sum()])
def test_means_of_any_number(total):
    """A sum may be any kind of number."""
    assert data_source.ArrayDataSource([np.arange(5)]).batch_map_mean(total, 2) == (2.0,)


def test_an_array_of_sums_stays_as_it_was():
    """What the function returned is not added to in place."""
    kept = np.zeros(2)
    data_source.ArrayDataSource([np.arange(4.0)]).batch_map_mean(lambda x: kept if 0 in x else np.ones(2), 2)
    assert kept.tolist() == [0.0, 0.0]


def test_an_iterator_has_no_second_epoch():
    """Reading an iterator that has ended is an error, not an empty epoch."""
    source = data_source.coerce_data_source(iter([(np.arange(2),), (np.arange(1),)]))
    assert len(next(source.batch_iterator(5))[0]) == 2
    assert len(list(source.batch_iterator(5))) == 1
    with pytest.raises(ValueError, match="come to its end"):
        source.batch_iterator(5)


def test_weights_of_classes_that_are_absent():
    """A class that nobody has divides nothing by zero; lists and the documented n_classes are welcome."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = sampling.WeightedSampler.class_balancing_sampler(y=[0, 2, 2], n_classes=3)
    assert sampler.weights.tolist() == [0.5, 0.25, 0.25]
    weights = sampling.WeightedSampler.class_balancing_sample_weights(y=np.array([0, 2, 2]), n_classes=3)
    assert weights.tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("shuffle", [None, np.random.RandomState(0)])
def test_endless_repeats_of_nothing_end(shuffle):
    """Nothing, without end, is nothing."""
    source = data_source.ArrayDataSource([np.arange(0)], repeats=-1)
    assert list(source.batch_iterator(2, shuffle=shuffle)) == []


def test_a_seed_is_no_generator():
    """A number as ``shuffle`` is refused in words, at the call."""
    with pytest.raises(TypeError, match="RandomState"):
        data_source.ArrayDataSource([np.arange(2)]).batch_indices_iterator(1, shuffle=7)
