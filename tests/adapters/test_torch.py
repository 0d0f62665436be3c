"""PyTorch: tensors share the batch's memory where they may, and a state is that of the batch that was taken."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from typing import NamedTuple

import numpy as np
import pytest

import penstock as ps

torch = pytest.importorskip("torch")
adapter = pytest.importorskip("penstock.adapters.torch")
to_torch, on_device = adapter.to_torch, adapter.on_device


class Pair(NamedTuple):
    """A named tuple."""

    x: object
    y: object


@dataclasses.dataclass
class Sample:
    """A dataclass."""

    x: object


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "?"])
def test_a_tensor_shares_the_memory(dtype):
    """Writing to the tensor writes to the array: nothing was copied."""
    array = np.zeros((2, 3), dtype)
    tensor = to_torch(array)
    tensor[1, 2] = 1
    assert array[1, 2] == 1
    assert tuple(tensor.shape) == (2, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6)[::-1],
        np.arange(6).astype(">i4"),
        np.broadcast_to(np.arange(3), (2, 3)),
        np.frombuffer(b"\x01\x02", np.uint8),
        np.zeros(3, [("a", "u1"), ("b", "f4")])["b"],
    ],
)
def test_what_cannot_be_shared_is_copied(array):
    """Read-only, reversed, unaligned and foreign arrays become tensors of their values, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = to_torch(array)
    assert tensor.tolist() == array.tolist()


def test_trees_keep_their_structure():
    """Dicts, tuples, named tuples, lists and dataclasses stay what they are; texts and numbers pass."""
    batch = {"a": (np.zeros(2), "x"), "b": Pair(np.ones(1), None), "c": [np.ones(1), 3], "d": Sample(np.zeros(1))}
    made = to_torch(batch)
    assert isinstance(made["a"][0], torch.Tensor)
    assert made["a"][1] == "x"
    assert isinstance(made["b"], Pair)
    assert isinstance(made["b"].x, torch.Tensor)
    assert isinstance(made["c"][0], torch.Tensor)
    assert made["c"][1] == 3
    assert isinstance(made["d"].x, torch.Tensor)
    strings = np.array(["a", "b"])
    assert to_torch(strings) is strings


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_a_state_is_that_of_the_batch_taken(ahead):
    """Whatever is copied ahead, a state saved after a batch gives the next one when it is loaded."""
    dataset = ps.range(20).shuffle().batch(3)
    expected = [b.tolist() for b in dataset]
    for cut in range(8):
        with on_device(dataset.loader(workers=ps.Threads(2)), ahead=ahead) as batches:
            first = [b.tolist() for b in itertools.islice(batches, cut)]
            saved = batches.state_dict()
        with on_device(dataset.loader(), ahead=ahead) as batches:
            batches.load_state_dict(saved)
            rest = [b.tolist() for b in batches]
            assert first + rest == expected
            assert batches.epoch == 1


def test_epochs_follow_one_another():
    """Each iteration is the next epoch, also after one that was left in its middle; the number is that of the batch."""
    dataset = ps.range(6).shuffle().batch(2)
    with on_device(dataset.loader(), ahead=5) as batches:
        assert len(batches) == 3
        for batch in batches:
            assert batch.tolist() == dataset[0].tolist()
            assert batches.epoch == 0
            break
        assert batches.state_dict()["position"] == 1
        assert [b.tolist() for b in batches] == [b.tolist() for b in dataset.epoch(1)]
        assert batches.epoch == 2
        assert batches.state_dict() == batches.loader.state_dict()


def test_batches_of_processes():
    """Batches that lie in shared memory of workers arrive as tensors."""
    dataset = ps.arrays(x=np.arange(4000.0).reshape(1000, 4), y=np.arange(1000)).batch(100)
    with on_device(dataset.loader(workers=ps.Processes(2))) as batches:
        found = list(batches)
    assert torch.equal(torch.cat([b["y"] for b in found]), torch.arange(1000))
    assert found[3]["x"][0].tolist() == [1200, 1201, 1202, 1203]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("pin", [True, False])
def test_batches_on_a_gpu(pin):
    """Batches that are copied in a stream of their own are whole when they are taken."""
    data = np.random.default_rng(0).random((400, 1000), np.float32)
    dataset = ps.arrays(x=data).shuffle().batch(50)
    with on_device(dataset.loader(), "cuda", ahead=2, pin=pin) as batches:
        found = [b["x"].sum(1).cpu() for b in batches]
    expected = [torch.from_numpy(b["x"]).sum(1) for b in dataset]
    assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: on_device(ps.range(3)), "loader"),
        (lambda: on_device(ps.range(3).loader(), ahead=-1), "ahead"),
        (lambda: on_device(ps.range(3).loader(), ahead=True), "ahead"),
    ],
)
def test_mistakes(call, words):
    """What is no loader, or no number of batches, is refused."""
    with pytest.raises(TypeError, match=words):
        call()
