"""Tensorpack's runners and parallel maps."""

from __future__ import annotations

import itertools
import os
import signal

import numpy as np
import pytest

from penstock.compat.tensorpack.dataflow import (
    BatchData,
    DataFromGenerator,
    DataFromList,
    MapData,
    MultiProcessMapAndBatchData,
    MultiProcessMapData,
    MultiProcessMapDataZMQ,
    MultiProcessRunner,
    MultiProcessRunnerZMQ,
    MultiThreadMapData,
    MultiThreadRunner,
    PrefetchDataZMQ,
    RNGDataFlow,
)
from penstock.compat.tensorpack.dataflow.parallel_map import MultiProcessMapDataComponentSharedArray
from penstock.compat.tensorpack.utils import fix_rng_seed


def plain(size):
    """Return a flow of lists of one number."""
    return DataFromList([[number] for number in range(size)], shuffle=False)


def first(flow, count=None):
    """Return the first components of a pass, or of its beginning."""
    return [dp[0] for dp in itertools.islice(flow, count)]


MAPS = [
    pytest.param(lambda ds, f, **more: MultiThreadMapData(ds, 3, f, **more), id="threads"),
    pytest.param(lambda ds, f, **more: MultiProcessMapDataZMQ(ds, 2, f, **more), id="processes"),
]


@pytest.mark.parametrize("parallel", MAPS)
def test_a_strict_map_gives_each_pass_once(parallel):
    """A strict pass has what MapData has, in its order, whatever the buffer; and again after one that was left early."""
    flow = parallel(plain(20), lambda dp: [dp[0] + 1], buffer_size=50, strict=True)
    flow.reset_state()
    expected = list(range(1, 21))
    assert first(flow) == expected
    assert first(flow, 5) == expected[:5]
    assert first(flow) == expected  # the original gave the other 15
    assert first(flow) == expected


@pytest.mark.parametrize("parallel", MAPS)
def test_a_map_without_end_goes_on(parallel):
    """Not strict, a map repeats its flow without end, leaves out None, and goes on where the last loop stopped."""
    flow = parallel(plain(4), lambda dp: dp if dp[0] != 2 else None, buffer_size=3)
    flow.reset_state()
    assert first(flow, 5) == [0, 1, 3, 0, 1]
    assert first(flow, 4) == [3, 0, 1, 3]
    flow.reset_state()
    assert first(flow, 2) == [0, 1]


@pytest.mark.parametrize("parallel", MAPS)
def test_an_error_in_a_map_arrives(parallel):
    """An exception of the function arrives as itself, where the original hung; the next pass begins anew."""
    calls = parallel(plain(6), fail_at_three, strict=True)
    calls.reset_state()
    for _ in range(2):
        with pytest.raises(KeyError, match="three") as caught:
            first(calls)
        assert caught.value.args == ("three", 3)


def fail_at_three(dp):
    """Fail at the fourth datapoint, with two arguments."""
    if dp[0] == 3:
        raise KeyError("three", 3)
    return dp


@pytest.mark.parametrize("parallel", MAPS)
def test_a_strict_map_cannot_leave_out(parallel):
    """None in strict mode is an AssertionError, as in the original."""
    flow = parallel(plain(3), lambda dp: None, strict=True)
    flow.reset_state()
    with pytest.raises(AssertionError, match="cannot return None"):
        first(flow)


def test_functions_of_components():
    """A function of several arguments gets the components, as the tutorial writes it."""
    flow = MultiThreadMapData(
        DataFromList([[1, "a"]], shuffle=False), 2, lambda number, label: [label, number], strict=True
    )
    assert list(flow) == [["a", 1]]


def test_what_is_missing_is_said():
    """A number of workers and a function must be there; both are TypeErrors, as in the original, that say so."""
    with pytest.raises(TypeError, match="num_thread=2"):
        MultiThreadMapData(plain(1), map_func=abs)
    with pytest.raises(TypeError, match="num_proc=2"):
        MultiProcessMapData(plain(1), map_func=abs)
    with pytest.raises(TypeError, match="map_func"):
        MultiThreadMapData(plain(1), 2)
    with pytest.raises(AssertionError):
        MultiThreadMapData(plain(1), 2, abs, buffer_size=0)


def test_an_empty_flow_does_not_spin():
    """To repeat an empty flow without end is an error; the original spun forever."""
    flow = MultiThreadMapData(DataFromList([], shuffle=False), 1, lambda dp: dp)
    with pytest.raises(RuntimeError, match="empty"):
        first(flow, 1)


def test_a_killed_worker_is_replaced():
    """A map's process that is killed is replaced and nothing is lost; the original hung."""
    flow = MultiProcessMapData(plain(40), 2, lambda dp: [dp[0], os.getpid()], buffer_size=4, strict=True)
    flow.reset_state()
    taken = []
    for dp in flow:
        taken.append(dp[0])
        if len(taken) == 3:
            os.kill(dp[1], signal.SIGKILL)
    assert taken == list(range(40))


def test_map_and_batch_without_a_buffer_size():
    """Batches of mapped datapoints, passes mixed, None left out; the default buffer size works."""
    flow = MultiProcessMapAndBatchData(plain(5), 2, lambda dp: [10 * dp[0]] if dp[0] else None, 3)
    flow.reset_state()
    assert [batch[0].tolist() for batch in itertools.islice(flow, 3)] == [[10, 20, 30], [40, 10, 20], [30, 40, 10]]


def test_a_component_as_an_array_of_one_shape():
    """A function of one component in processes, results of one shape and dtype."""
    flow = MultiProcessMapDataComponentSharedArray(
        plain(3), 2, lambda x: np.full((2, 2), x, "float32"), (2, 2), "float32"
    )
    flow.reset_state()
    assert [dp[0].sum() for dp in itertools.islice(flow, 4)] == [0, 4, 8, 0]


RUNNERS = [
    pytest.param(MultiProcessRunnerZMQ, id="zmq"),
    pytest.param(lambda ds, n: MultiProcessRunner(ds, 10, n), id="queue"),
    pytest.param(lambda ds, n: MultiThreadRunner(lambda: ds, 10, n), id="threads"),
]


@pytest.mark.parametrize("runner", RUNNERS)
def test_one_runner_keeps_the_order(runner):
    """One process or thread gives the flow's datapoints in order, pass after pass; leaving early leaves nothing behind."""
    flow = runner(plain(5), 1)
    assert len(flow) == 5
    flow.reset_state()
    assert [first(flow), first(flow)] == [list(range(5))] * 2
    assert first(flow, 3) == [0, 1, 2]
    assert first(flow) == list(range(5))  # the original went on with 3, 4
    with pytest.raises(AssertionError, match="twice"):
        flow.reset_state()


def test_several_runners_have_the_same_distribution():
    """Two processes give as many datapoints as a pass has, all of them the flow's."""
    flow = PrefetchDataZMQ(plain(5), 2)
    flow.reset_state()
    taken = first(flow) + first(flow)
    assert len(taken) == 10
    assert set(taken) <= set(range(5))


def test_a_flow_without_a_length_runs_without_end():
    """A runner of a flow of unknown length repeats it without end, and goes on where a loop was left."""
    flow = MultiProcessRunnerZMQ(DataFromGenerator(lambda: ([k] for k in range(3))))
    flow.reset_state()
    assert first(flow, 7) == [0, 1, 2, 0, 1, 2, 0]
    assert first(flow, 4) == [1, 2, 0, 1]


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_error_in_a_runner_arrives(runner):
    """An exception in the flow arrives as itself, where the original mostly hung; the next pass begins anew."""
    flow = runner(MapData(plain(6), fail_at_three), 1)
    flow.reset_state()
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            first(flow)
        assert caught.value.args == ("three", 3)


def test_a_killed_runner_is_an_error():
    """A flow whose only process dies cannot go on, and says so; the next pass begins anew. The original hung."""
    flow = MultiProcessRunnerZMQ(MapData(plain(400), lambda dp: [dp[0], os.getpid()]), 1, hwm=2)
    flow.reset_state()
    with pytest.raises(RuntimeError, match="died after"):
        for number, dp in enumerate(flow):
            if number == 3:
                os.kill(dp[1], signal.SIGKILL)
    assert first(flow, 3) == [0, 1, 2]


class Drawing(RNGDataFlow):
    """Draws numbers."""

    def __iter__(self):
        for _ in range(3):
            yield [int(self.rng.randint(1 << 30))]

    def __len__(self):
        return 3


def test_a_fixed_seed_reaches_the_runners():
    """With a fixed seed one process draws what the flow draws here; several draw differently from one another."""
    fix_rng_seed(11)
    here = Drawing()
    here.reset_state()
    expected = first(here)
    for count in (1, 2):
        flow = MultiProcessRunnerZMQ(Drawing(), count)
        flow.reset_state()
        taken = first(flow) + first(flow)
        assert len(set(taken)) == 6
        if count == 1:
            assert taken[:3] == expected


def test_threads_inside_a_process():
    """A runner around a map with threads, as the tutorial has it, and batches of what it gives."""
    inner = MultiThreadMapData(plain(6), num_thread=2, map_func=lambda dp: [2 * dp[0]], buffer_size=4)
    flow = BatchData(MultiProcessRunnerZMQ(inner, num_proc=1), 3)
    flow.reset_state()
    assert [batch[0].tolist() for batch in flow] == [[0, 2, 4], [6, 8, 10]]
