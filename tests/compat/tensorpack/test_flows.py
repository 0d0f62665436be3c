"""Tensorpack's flows against what plain Python, and NumPy's generators, say that they give."""

from __future__ import annotations

import itertools
import pickle
import queue
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compat.tensorpack import dataflow
from penstock.compat.tensorpack.dataflow import (
    BatchData,
    BatchDataByShape,
    CacheData,
    ConcatData,
    DataFlow,
    DataFromGenerator,
    DataFromIterable,
    DataFromList,
    DataFromQueue,
    FakeData,
    FixedSizeData,
    JoinData,
    LocallyShuffleData,
    MapData,
    MapDataComponent,
    PrintData,
    ProxyDataFlow,
    RandomChooseData,
    RandomMixData,
    RepeatedData,
    RepeatedDataPoint,
    RNGDataFlow,
    SelectComponent,
    TestDataSpeed,
)
from penstock.compat.tensorpack.utils import fix_rng_seed

NAMES = """
    AugmentImageComponent AugmentImageComponents AugmentImageCoordinates BatchData BatchDataByShape
    CacheData ConcatData DataFlow DataFlowTerminated DataFromGenerator DataFromIterable DataFromList
    DataFromQueue FakeData FixedSizeData HDF5Data HDF5Serializer ImageFromFile JoinData LMDBData
    LMDBDataDecoder LMDBSerializer LocallyShuffleData MapData MapDataComponent MultiProcessMapAndBatchData
    MultiProcessMapAndBatchDataZMQ MultiProcessMapData MultiProcessMapDataZMQ MultiProcessPrefetchData
    MultiProcessRunner MultiProcessRunnerZMQ MultiThreadMapData MultiThreadPrefetchData MultiThreadRunner
    NumpySerializer PrefetchData PrefetchDataZMQ PrintData ProxyDataFlow RNGDataFlow RandomChooseData
    RandomMixData RemoteDataZMQ RepeatedData RepeatedDataPoint SVMLightData SelectComponent
    TFRecordSerializer TestDataSpeed send_dataflow_zmq imgaug dataset AugmentorList
"""


def plain(size, first=0):
    """Return a flow of lists of one number."""
    return DataFromList([[number] for number in range(first, first + size)], shuffle=False)


def numbers(flow):
    """Return the first components of a pass, of a flow that is reset."""
    flow.reset_state()
    return [dp[0] for dp in flow]


def test_every_public_name_of_the_original_is_exported():
    """``from tensorpack.dataflow import *`` gives what the original gives, and AugmentorList, as its tutorial has it."""
    pytest.importorskip("cv2")
    missing = set(NAMES.split()) - set(dataflow.__all__)
    assert not missing
    assert all(hasattr(dataflow, name) for name in dataflow.__all__)


@given(size=st.integers(1, 20), batch_size=st.integers(1, 20), remainder=st.booleans())
def test_batches_are_slices(size, batch_size, remainder):
    """Batches are cut from the front; a short one comes only with remainder, and lengths say so."""
    if batch_size > size and not remainder:
        with pytest.raises(AssertionError):
            BatchData(plain(size), batch_size)
        return
    flow = BatchData(plain(size), batch_size, remainder=remainder)
    expected = [list(range(k, min(k + batch_size, size))) for k in range(0, size, batch_size)]
    expected = [one for one in expected if remainder or len(one) == batch_size]
    assert [batch.tolist() for batch in numbers(flow)] == expected
    assert len(flow) == len(expected)


def test_batches_of_dicts_lists_and_texts():
    """Dicts are batched by key, use_list leaves lists, texts and booleans have their types."""
    rows = [{"x": np.ones(2, "uint8") * k, "name": f"n{k}", "flag": k > 0, "raw": b"ab"} for k in range(2)]
    (batch,) = BatchData(DataFromList(rows, shuffle=False), 2)
    assert batch["x"].tolist() == [[0, 0], [1, 1]]
    assert batch["x"].dtype == np.uint8
    assert batch["name"].tolist() == ["n0", "n1"]
    assert batch["flag"].dtype == bool
    assert batch["raw"].tolist() == ["ab", "ab"]
    (listed,) = BatchData(plain(2), 2, use_list=True)
    assert listed == [[0, 1]]
    with pytest.raises(TypeError, match="Unsupported type"):
        list(BatchData(DataFromList([[object()]], shuffle=False), 1))
    with pytest.raises(ValueError, match="Data point has to be"):
        list(BatchData(DataFromList([1], shuffle=False), 1))


def test_batches_by_shape_wait_from_pass_to_pass():
    """Datapoints of one shape are batched; what is left over waits for the next pass."""
    rows = [[np.zeros(2), 0], [np.zeros(3), 1], [np.zeros(2), 2], [np.zeros(3), 3], [np.zeros(3), 4]]
    flow = BatchDataByShape(DataFromList(rows, shuffle=False), 2, 0)
    flow.reset_state()
    assert [batch[1].tolist() for batch in flow] == [[0, 2], [1, 3]]
    assert [batch[1].tolist() for batch in flow] == [[4, 1], [0, 2], [3, 4]]


def test_fixed_size_keeps_its_place_or_begins_anew():
    """A pass of fixed length goes on where the last stopped, or begins with the front."""
    kept, fresh = FixedSizeData(plain(5), 3), FixedSizeData(plain(5), 3, keep_state=False)
    kept.reset_state()
    assert [[dp[0] for dp in kept] for _ in range(3)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
    fresh.reset_state()
    assert [[dp[0] for dp in fresh] for _ in range(2)] == [[0, 1, 2], [0, 1, 2]]
    assert numbers(FixedSizeData(plain(5), 6, keep_state=False)) == [0, 1, 2, 3, 4, 0]


def test_maps_leave_out_none_and_what_they_were_given():
    """A function that returns None leaves a datapoint out; the source's datapoints stay as they are."""
    source = [[1, "a"], (2, "b"), [3, "c"]]
    flow = DataFromList(source, shuffle=False)
    assert list(MapData(flow, lambda dp: dp if dp[0] != 2 else None)) == [[1, "a"], [3, "c"]]
    assert list(MapDataComponent(flow, lambda x: 10 * x if x < 3 else None)) == [[10, "a"], [20, "b"]]
    assert list(MapDataComponent(DataFromList([{"k": 1}], shuffle=False), str, "k")) == [{"k": "1"}]
    assert source == [[1, "a"], (2, "b"), [3, "c"]]
    assert list(SelectComponent(flow, [1, 0])) == [["a", 1], ["b", 2], ["c", 3]]


def test_repeating_joining_and_concatenating():
    """Repeated, joined and concatenated flows, with their lengths."""
    assert numbers(RepeatedData(plain(2), 3)) == [0, 1] * 3
    assert len(RepeatedData(plain(2), 3)) == 6
    with pytest.raises(NotImplementedError):
        len(RepeatedData(plain(2), -1))
    assert numbers(RepeatedDataPoint(plain(2), 2)) == [0, 0, 1, 1]
    assert numbers(ConcatData([plain(2), plain(1, 9)])) == [0, 1, 9]
    assert list(JoinData([plain(3), plain(2, 5)])) == [[0, 5], [1, 6]]
    dicts = [DataFromList([{"a": 1}], shuffle=False), DataFromList([{"b": 2}], shuffle=False)]
    assert list(JoinData(dicts)) == [{"a": 1, "b": 2}]
    assert len(JoinData([plain(3), plain(2)])) == 2


def test_shuffled_orders_are_those_of_the_same_generator():
    """With a fixed seed, orders are what a RandomState of that seed draws, pass after pass."""
    fix_rng_seed(7)
    random, places = np.random.RandomState(7), np.arange(10)
    flow = DataFromList(list(range(10)))
    flow.reset_state()
    for _ in range(2):
        places = np.arange(10)
        random.shuffle(places)
        assert list(flow) == places.tolist()


def test_local_shuffle_is_the_original_s_algorithm():
    """The buffer gives what a deque gives that is shuffled by the same generator after every interval."""
    fix_rng_seed(5)
    flow = LocallyShuffleData(plain(20), 8, num_reuse=2, shuffle_interval=3)
    flow.reset_state()
    random, buffer, expected = np.random.RandomState(5), [], []
    for count, number in enumerate(itertools.islice(itertools.cycle(range(20)), 100), 1):
        if count % 3 == 0:
            random.shuffle(buffer)
        for _ in range(2):
            if len(buffer) == 8:
                expected.append(buffer.pop(0))
            buffer.append(number)
    assert [dp[0] for dp in itertools.islice(flow, 50)] == expected[:50]
    assert [dp[0] for dp in itertools.islice(flow, 50)] != expected[50:100] or len(flow) == 40


def test_choosing_and_mixing():
    """Choosing draws as RandomState.choice does, and stops with the first that ends; mixing gives all."""
    fix_rng_seed(1)
    flow = RandomChooseData([(plain(50), 0.2), (plain(50, 100), 0.8)])
    flow.reset_state()
    random, readers = np.random.RandomState(1), [iter(range(50)), iter(range(100, 150))]
    expected = []
    try:
        while True:
            expected.append(next(readers[random.choice(2, p=[0.2, 0.8])]))
    except StopIteration:
        pass
    assert [dp[0] for dp in flow] == expected
    mixed = RandomMixData([plain(3), plain(4, 10)])
    assert sorted(numbers(mixed)) == [0, 1, 2, 10, 11, 12, 13]
    assert len(mixed) == 7


def test_caching_shuffles_what_it_keeps():
    """The first pass is the flow's; later ones come from memory, shuffled further each time."""
    read = []
    flow = CacheData(MapData(plain(5), lambda dp: read.append(dp[0]) or dp), shuffle=True)
    fix_rng_seed(2)
    assert numbers(flow) == list(range(5))
    random, kept = np.random.RandomState(2), list(range(5))
    for _ in range(2):
        random.shuffle(kept)
        assert [dp[0] for dp in flow] == kept
    assert len(read) == 5


def test_sources():
    """Queues, generators, iterables and made-up data."""
    items = queue.Queue()
    for number in range(3):
        items.put([number])
    assert [dp[0] for dp in itertools.islice(DataFromQueue(items), 3)] == [0, 1, 2]
    again = DataFromGenerator(lambda: ([k] for k in range(2)))
    assert [numbers(again), numbers(again)] == [[0, 1], [0, 1]]
    with pytest.raises(NotImplementedError):
        len(again)
    assert len(DataFromIterable([1, 2])) == 2
    with pytest.raises(NotImplementedError):
        len(DataFromIterable(iter([])))
    fake = FakeData([[2, 3], [1]], 4, dtype=["float32", "uint8"], domain=[(0, 1), (5, 9)])
    fake.reset_state()
    rows = list(fake)
    assert [len(rows), rows[0][0].shape, rows[0][1].dtype] == [4, (2, 3), np.uint8]
    assert not np.array_equal(rows[0][0], rows[1][0])
    assert all(5 <= row[1][0] < 9 for row in rows)
    same = list(FakeData([[2]], 2, random=False))
    assert same[0][0] is same[1][0]


def test_old_names_of_a_flow_of_one_s_own():
    """A class with get_data and size is a flow."""

    class Old(RNGDataFlow):
        def get_data(self):
            yield [self.rng.randint(1, 2)]

        def size(self):
            return 1

    flow = ProxyDataFlow(Old())
    flow.reset_state()
    assert list(flow) == [[1]]
    assert [len(flow), flow.size(), list(flow.get_data())] == [1, 1, [[1]]]
    with pytest.raises(TypeError, match="abstract"):
        DataFlow()


def test_a_second_iteration_at_once_is_refused():
    """Flows with a state of their own refuse a second iteration while one is alive, as the originals do."""
    flow = CacheData(plain(3))
    flow.reset_state()
    first = iter(flow)
    next(first)
    with pytest.raises(threading.ThreadError, match="not reentrant"):
        next(iter(flow))
    first.close()
    assert [dp[0] for dp in flow] == [0, 1, 2]


def test_flows_travel():
    """A flow that is under way can be sent to another process, where it begins anew."""
    flow = FixedSizeData(LocallyShuffleData(CacheData(plain(5)), 3), 2)
    flow.reset_state()
    list(flow)
    there = pickle.loads(pickle.dumps(flow))
    there.reset_state()
    assert len(list(there)) == 2


def test_speed(capsys):
    """The test of speed takes as many datapoints as it says, and gives a figure; iterating it gives all the data."""
    taken = []
    flow = TestDataSpeed(MapData(plain(10), lambda dp: taken.append(dp) or dp), size=4, warmup=2)
    assert flow.start() > 0
    assert len(taken) == 6
    assert len(list(flow)) == 10


def test_printing_says_type_shape_and_range(capsys):
    """The first datapoints are printed: dtype, shape, range, length of lists; on NumPy 2, too."""
    row = [np.arange(6, dtype="float32").reshape(2, 3), np.float32(2), [1, 2, 3, 4, 5], "text"]
    flow = PrintData(DataFromList([row, row], shuffle=False))
    flow.reset_state()
    assert len(list(flow)) == 2
    said = capsys.readouterr().out
    assert said.startswith("datapoint 0/1 with 4 components consists of\n")
    assert "0: ndarray:float32 of shape (2, 3) in range [0.0, 5.0]" in said
    assert "1: float32 with value 2.0" in said
    assert "2: list of len 5" in said
    assert "..." in said


def test_flows_without_opencv():
    """Without OpenCV, flows work, and what needs it says so."""
    program = """
import sys
sys.modules["cv2"] = None
from penstock.compat.tensorpack.dataflow import *
print(list(DataFromList([[1]])))
try:
    from penstock.compat.tensorpack.dataflow import imgaug
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.startswith("[[1]]\n")
    assert "penstock[images]" in done.stdout
