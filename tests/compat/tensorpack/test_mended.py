"""What was a fault of Tensorpack's and is mended; faults of runners and maps are in test_parallel.py."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cv2")

from penstock.compat.tensorpack.dataflow import (
    BatchData,
    CacheData,
    DataFromList,
    LocallyShuffleData,
    MultiProcessRunnerZMQ,
    RandomChooseData,
    RemoteDataZMQ,
    RNGDataFlow,
    imgaug,
)
from penstock.compat.tensorpack.utils.serialize import dumps, loads
from penstock.errors import CorruptRecord


def plain(rows):
    """Return a flow of rows."""
    return DataFromList(rows, shuffle=False)


def test_ragged_batches_are_an_error():
    """Arrays of different shapes are a ValueError that names the shapes, not a batch of None and a shell."""
    with pytest.raises(ValueError, match="different shapes") as caught:
        list(BatchData(plain([[np.zeros(2)], [np.zeros(3)]]), 2))
    assert "[(2,), (3,)]" in caught.value.__notes__[0]


def test_numbers_are_not_narrowed():
    """Whole numbers stay exact and floats keep their digits; arrays of several types become one that holds all."""
    large, fine = 2**40 + 1, 1 / 3
    (batch,) = BatchData(plain([[large, fine], [1, 2.0]]), 2)
    assert batch[0].tolist() == [large, 1]
    assert batch[1].tolist() == [fine, 2.0]
    (mixed,) = BatchData(plain([[np.array([1], "int32")], [np.array([2**40], "int64")]]), 2)
    assert mixed[0].tolist() == [[1], [2**40]]


def test_a_cache_that_was_left_early_is_not_kept():
    """A first pass that is left early does not become the whole data."""
    flow = CacheData(plain([1, 2, 3]))
    flow.reset_state()
    assert list(itertools.islice(flow, 2)) == [1, 2]
    assert list(flow) == [1, 2, 3]
    assert list(flow) == [1, 2, 3]


def test_small_buffers_can_be_shuffled():
    """A buffer of fewer than three datapoints is no ZeroDivisionError."""
    flow = LocallyShuffleData(plain([1, 2, 3]), 2)
    flow.reset_state()
    assert set(itertools.islice(flow, 30)) == {1, 2, 3}


def test_a_shuffled_buffer_that_was_left_loses_nothing():
    """Left and iterated again, a shuffled buffer gives each datapoint of a pass once; one got lost each time."""
    flow = LocallyShuffleData(plain(list(range(40))), 4)
    flow.reset_state()
    taken = [number for _ in range(18) for number in itertools.islice(flow, 2)]
    assert len(set(taken)) == 36


def test_probabilities_of_tenths_sum_to_one():
    """Ten times 0.1 is 1."""
    flow = RandomChooseData([(plain([k]), 0.1) for k in range(10)])
    flow.reset_state()
    assert next(iter(flow)) in range(10)
    with pytest.raises(AssertionError):
        RandomChooseData([(plain([1]), 0.5), (plain([2]), 0.6)])


def test_a_flow_that_was_not_reset_works():
    """Random flows, runners and remote counters work without reset_state; it was an AttributeError of None."""

    class Own(RNGDataFlow):
        def __iter__(self):
            yield self.rng.randint(5, 6)

    assert list(Own()) == [5]  # list() asks for the length, too, and may go without
    assert sorted(DataFromList([1, 2])) == [1, 2]
    assert list(MultiProcessRunnerZMQ(plain([[1]]))) == [[1]]
    assert RemoteDataZMQ("ipc://@nobody").cnt1 == 0


def test_bytes_are_read_as_data():
    """What dumps makes, loads reads, without pickle; a pickle is refused and named."""
    value = {"a": [np.arange(6, dtype=">i2").reshape(2, 3), np.float32(2), 3 + 4j, b"x", None, True], "n": 2**60}
    back = loads(dumps(value))
    assert np.array_equal(back["a"][0], value["a"][0])
    assert back["a"][0].dtype == value["a"][0].dtype
    assert back["a"][1:] == value["a"][1:]
    assert back["n"] == value["n"]
    back["a"][0][0] = 9  # and can be written to
    with pytest.raises(CorruptRecord, match="pickle"):
        loads(pickle.dumps(value, -1))
    with pytest.raises(TypeError, match="cannot be written"):
        dumps([object()])
    with pytest.raises(TypeError, match="Python objects"):
        dumps([np.array([object()])])


def test_a_program_ends():
    """A program that leaves runners and maps open ends by itself; the original waited for its children forever."""
    program = """
import itertools
from penstock.compat.tensorpack.dataflow import *
flow = MultiProcessRunnerZMQ(DataFromList([[1], [2]], shuffle=False), 1)
flow.reset_state()
mapped = MultiProcessMapData(DataFromList([[1], [2]], shuffle=False), 1, lambda dp: dp)
mapped.reset_state()
print(next(iter(flow)), list(itertools.islice(mapped, 3)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "[1] [[1], [2], [1]]\n"


def test_cutouts_of_random_size():
    """A range of sizes gives one size for each image; the original drew arrays, and failed."""
    image = np.ones((20, 30, 3), "uint8")
    cut = imgaug.RandomCutout((2, 5), (3, 6)).augment(image)
    assert 2 * 3 <= (cut == 0).sum() // 3 <= 4 * 5
    assert image.all()  # what was given is not written to


def test_an_image_of_one_value_can_be_stretched():
    """No division by zero where there is no range."""
    made = imgaug.MinMaxNormalize(min=1, max=2).augment(np.full((4, 4, 3), 7, "uint8"))
    assert np.array_equal(made, np.ones((4, 4, 3), "float32"))


def test_affine_turns_on_current_opencv():
    """Affine works with float32 draws, which OpenCV no longer takes for angles."""
    image = np.zeros((21, 21, 1), "uint8")
    image[10, 10] = 255
    turned = imgaug.Affine(scale=(1.0, 1.0001), rotate_max_deg=90, shear=5).augment(image)
    assert turned.shape == image.shape
    assert turned[10, 10] > 200
