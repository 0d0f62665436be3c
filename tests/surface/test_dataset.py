"""The methods: what they return, and plausible mistakes refused when they are made, with value, operation, remedy."""

from __future__ import annotations

import inspect
import pickle

import cloudpickle
import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, PenstockError
from penstock.graph.node import Node

SEQUENCE = ps.range(10)
STREAM = ps.stream([1, 2, 3])
BATCHES = ps.range(10).batch(4)


def draw(x, rng):
    """Return a draw."""
    return rng.random()


MISTAKES = [
    # map
    (lambda d: d.map(3), TypeError, ["map()", "3 (int)", "function", ".map(decode)"]),
    (lambda d: d.map(None), TypeError, ["map()", "None (NoneType)"]),
    (lambda d: d.map("str"), TypeError, ["map()", "'str'"]),
    (lambda d: d.map([abs, len]), TypeError, ["map()", "list"]),
    (lambda d: d.map(draw, rng=1), TypeError, ["map()", "rng", "True or False", "1 (int)"]),
    (lambda d: d.map(draw, rng="yes"), TypeError, ["map()", "rng", "'yes'"]),
    (lambda d: d.map(draw, rng=np.random.default_rng(0)), TypeError, ["map()", "rng", "Generator"]),
    (lambda d: d.map(abs, workers=4), TypeError, ["workers"]),
    (lambda d: d.map(abs, num_workers=4), TypeError, ["num_workers"]),
    (lambda d: d.map(), TypeError, ["function"]),
    # filter
    (lambda d: d.filter(None), TypeError, ["filter()", "None", "lambda"]),
    (lambda d: d.filter(True), TypeError, ["filter()", "True"]),
    (lambda d: d.filter([True, False]), TypeError, ["filter()", "list"]),
    # batch
    (lambda d: d.batch(0), ValueError, ["batch()", "size", "at least 1", "0"]),
    (lambda d: d.batch(-3), ValueError, ["batch()", "-3"]),
    (lambda d: d.batch("64"), TypeError, ["batch()", "size", "'64' (str)", "whole number"]),
    (lambda d: d.batch(2.0), TypeError, ["batch()", "2.0 (float)", "whole number"]),
    (lambda d: d.batch(None), TypeError, ["batch()", "None"]),
    (lambda d: d.batch(True), TypeError, ["batch()", "True"]),
    (lambda d: d.batch({2}), TypeError, ["batch()", "{2}"]),
    (lambda d: d.batch(), TypeError, ["size"]),
    (
        lambda d: d.batch(4, last="dorp"),
        ValueError,
        ["batch()", "last", "'keep', 'drop', 'error', 'pad'", "'dorp'", "mean 'drop'"],
    ),
    (lambda d: d.batch(4, last=True), ValueError, ["batch()", "last", "True"]),
    (lambda d: d.batch(4, last=None), ValueError, ["batch()", "last", "None"]),
    (lambda d: d.batch(4, drop_last=True), TypeError, ["drop_last"]),
    (lambda d: d.batch(4, True), TypeError, ["positional"]),
    (lambda d: d.batch(4, collate="list"), TypeError, ["batch()", "collate", "'list'", "collate=list"]),
    (lambda d: d.batch(4, collate=3), TypeError, ["batch()", "collate", "3 (int)"]),
    # seed, epoch, repeat, prefetch, take, skip
    (lambda d: d.seed(-1), ValueError, ["seed()", "-1"]),
    (lambda d: d.seed(2**64), ValueError, ["seed()", "2**64", str(2**64)]),
    (lambda d: d.seed(1.5), TypeError, ["seed()", "1.5"]),
    (lambda d: d.seed("abc"), TypeError, ["seed()", "'abc'"]),
    (lambda d: d.seed(None), TypeError, ["seed()", "None"]),
    (lambda d: d.seed(), TypeError, ["seed"]),
    (
        lambda d: d.map(draw, rng=True).seed(1),
        TypeError,
        ["seed(1)", "map(draw, rng=True)", "before the first random step"],
    ),
    (lambda d: d.epoch(-1), ValueError, ["epoch()", "-1"]),
    (lambda d: d.epoch(1.0), TypeError, ["epoch()", "1.0"]),
    (lambda d: d.epoch(None), TypeError, ["epoch()", "None"]),
    (lambda d: d.repeat(-1), ValueError, ["repeat()", "-1", "without end"]),
    (lambda d: d.repeat(2.5), TypeError, ["repeat()", "2.5"]),
    (lambda d: d.repeat("forever"), TypeError, ["repeat()", "'forever'", "without end"]),
    (lambda d: d.repeat(float("inf")), TypeError, ["repeat()", "inf", "without end"]),
    (lambda d: d.prefetch(0), ValueError, ["prefetch()", "at least 1", "0"]),
    (lambda d: d.prefetch(-1), ValueError, ["prefetch()", "-1"]),
    (lambda d: d.prefetch("auto"), TypeError, ["prefetch()", "'auto'"]),
    (lambda d: d.prefetch(), TypeError, ["count"]),
    (lambda d: d.take(-1), ValueError, ["take()", "-1"]),
    (lambda d: d.take(2.0), TypeError, ["take()", "2.0"]),
    (lambda d: d.take(None), TypeError, ["take()", "None"]),
    (lambda d: d.skip(-1), ValueError, ["skip()", "-1"]),
    (lambda d: d.skip("3"), TypeError, ["skip()", "'3'"]),
    # shuffle
    (lambda d: d.shuffle(1000), TypeError, ["positional"]),
    (lambda d: d.shuffle(buffer_size=1000), TypeError, ["buffer_size"]),
    (lambda d: d.repeat().filter(bool).shuffle(), TypeError, ["shuffle()", "filter(bool)", "stream", "before"]),
    # loader
    (lambda d: d.loader(4), TypeError, ["positional"]),
    (lambda d: d.loader(workers=4), TypeError, ["loader()", "workers", "4 (int)", "Threads(4)", "Processes(4)"]),
    (lambda d: d.loader(workers="threads"), TypeError, ["loader()", "'threads'", "Threads(4)"]),
    (lambda d: d.loader(workers=ps.Threads), TypeError, ["loader()", "workers", "Threads"]),
    (lambda d: d.loader(workers=0), TypeError, ["loader()", "workers", "0 (int)"]),
    (lambda d: d.loader(num_workers=4), TypeError, ["num_workers"]),
    (lambda d: d.loader(batch_size=4), TypeError, ["batch_size"]),
    (lambda d: d.loader(shuffle=True), TypeError, ["shuffle"]),
    (lambda d: d.loader(window=0), ValueError, ["loader()", "window", "at least 1"]),
    (lambda d: d.loader(window=1.5), TypeError, ["loader()", "window", "1.5"]),
    (lambda d: d.loader(window=None), TypeError, ["loader()", "window", "None"]),
    (lambda d: d.loader(window_bytes=0), ValueError, ["loader()", "window_bytes"]),
    (lambda d: d.loader(window_bytes="1 lot"), ValueError, ["loader()", "window_bytes", "'1 lot'"]),
    (lambda d: d.loader(shard=3), TypeError, ["loader()", "shard", "(rank, world size)", "3 (int)"]),
    (lambda d: d.loader(shard=(1,)), TypeError, ["loader()", "shard", "(1,)"]),
    (lambda d: d.loader(shard=(0, 1, 2)), TypeError, ["loader()", "shard"]),
    (lambda d: d.loader(shard="01"), TypeError, ["loader()", "shard", "'01'"]),
    (lambda d: d.batch(8).loader(shard=(4, 4)), ValueError, ["loader()", "rank 4", "world of 4", "0 to 3"]),
    (lambda d: d.batch(8).loader(shard=(-1, 4)), ValueError, ["loader()", "rank", "-1"]),
    (lambda d: d.batch(8).loader(shard=(0, 0)), ValueError, ["loader()", "world size", "0"]),
    (lambda d: d.batch(8).loader(shard=(0.0, 2)), TypeError, ["loader()", "rank", "0.0"]),
    (lambda d: d.batch(8).loader(shard=("0", 2)), TypeError, ["loader()", "rank", "'0'"]),
    (lambda d: d.loader(shard=(0, 2)), ValueError, ["shard=(0, 2)", "batch(", "rows"]),
    (lambda d: d.batch(2).loader(shard=(0, 4)), ValueError, ["batch(2)", "4 ranks"]),
    # reading
    (lambda d: d.resume(None), ValueError, ["not a state", "None"]),
    (lambda d: d.resume({}), ValueError, ["not a state", "{}"]),
    (lambda d: d.resume({"epoch": -1, "position": None}), ValueError, ["epoch", "-1"]),
    (lambda d: d["x"], TypeError, ["'x'"]),
    (lambda d: d[1.5], TypeError, ["1.5"]),
    (lambda d: d[None], TypeError, ["None"]),
    (lambda d: d[1, 2], TypeError, ["(1, 2)"]),
    # names that other libraries have
    (lambda d: d.collate(list), AttributeError, ["collate"]),
    (lambda d: d.seeed(3), AttributeError, ["seeed"]),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda n: f"{n}-{MISTAKES[n][2][0]}")
@pytest.mark.parametrize("dataset", [SEQUENCE, STREAM], ids=["sequence", "stream"])
def test_mistakes_are_refused_when_they_are_made(dataset, number):
    """A wrong argument is refused at once, with its value, the operation and what to do instead."""
    call, kind, words = MISTAKES[number]
    with pytest.raises(kind) as caught:
        call(dataset)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    if words[0].endswith("()"):
        assert isinstance(caught.value, PenstockError)
        assert isinstance(caught.value, ArgumentTypeError if kind is TypeError else ArgumentError)


def test_a_refused_mistake_changes_nothing():
    """A dataset that refused an argument is as it was."""
    before = repr(SEQUENCE)
    with pytest.raises(ValueError, match="batch"):
        SEQUENCE.batch(0)
    assert repr(SEQUENCE) == before


METHODS = [
    "batch",
    "draw",
    "epoch",
    "filter",
    "loader",
    "map",
    "prefetch",
    "repeat",
    "resume",
    "seed",
    "shuffle",
    "skip",
    "take",
    "unbatch",
]


@pytest.mark.parametrize("method", METHODS)
def test_methods_teach(method):
    """Each method has a docstring, on both kinds of dataset."""
    for kind in (ps.Sequence, ps.Stream):
        assert len(inspect.getdoc(getattr(kind, method))) > 20


@pytest.mark.parametrize(
    ("call", "sequence"),
    [
        (lambda d: d.map(abs), True),
        (lambda d: d.batch(2), True),
        (lambda d: d.seed(1), True),
        (lambda d: d.repeat(2), True),
        (lambda d: d.prefetch(2), True),
        (lambda d: d.epoch(2), True),
        (lambda d: d.take(2), True),
        (lambda d: d.skip(2), True),
        (lambda d: d.shuffle(), True),
        (lambda d: d.filter(bool), False),
        (lambda d: d.unbatch(), False),
        (lambda d: d.filter(bool).map(abs).batch(2).prefetch(1).repeat(2).epoch(1).seed(1).take(3).skip(1), False),
    ],
)
def test_kinds(call, sequence):
    """What keeps positions gives a Sequence, what does not a Stream; from a stream comes a stream."""
    assert type(call(SEQUENCE)) is (ps.Sequence if sequence else ps.Stream)
    if call is not None and "shuffle" not in inspect.getsource(call):
        assert type(call(STREAM)) is ps.Stream


def test_a_repeated_empty_sequence_keeps_working():
    """Repeating nothing gives nothing, whatever it is then."""
    assert list(ps.range(0).repeat()) == list(ps.range(0).repeat().batch(3)) == []


def test_every_method_returns_another_dataset():
    """The dataset that a method is called on stays what it was."""
    before = pickle.dumps(SEQUENCE)
    SEQUENCE.map(abs), SEQUENCE.batch(2), SEQUENCE.shuffle(), SEQUENCE[1:], SEQUENCE.seed(3)
    assert pickle.dumps(SEQUENCE) == before


@pytest.mark.parametrize("dataset", [SEQUENCE, STREAM, BATCHES], ids=repr)
def test_datasets_cannot_be_changed(dataset):
    """Setting anything is refused, with the reason."""
    with pytest.raises(AttributeError, match=r"immutable.*'node' cannot be set"):
        dataset.node = None
    with pytest.raises(AttributeError, match="immutable"):
        dataset.batch_size = 3
    assert isinstance(dataset.node, Node)


def test_nothing_of_a_dataset_can_be_deleted():
    """Deleting is refused, too."""
    dataset = ps.range(3)
    with pytest.raises(AttributeError, match="immutable"):
        del dataset.node
    assert list(dataset) == [0, 1, 2]


def test_copies_are_equal():
    """A dataset that was pickled, also with functions that only a notebook has, equals itself and reads the same."""
    dataset = ps.range(10).seed(1).shuffle().map(abs).batch(4)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy == dataset
    assert [b.tolist() for b in copy] == [b.tolist() for b in dataset]
    other = ps.range(4).map(lambda x: x + 1)
    assert list(pickle.loads(cloudpickle.dumps(other))) == [1, 2, 3, 4]


def test_datasets_are_not_equal_to_other_things():
    """A dataset compares with anything, and can be a key."""
    assert SEQUENCE != 3
    assert list(SEQUENCE) != SEQUENCE
    assert {SEQUENCE: 1}[ps.range(10)] == 1


def test_iterating_has_no_state():
    """Two iterations of one dataset do not know of each other."""
    a, b = iter(SEQUENCE), iter(SEQUENCE)
    assert [next(a), next(a), next(b), next(a), next(b)] == [0, 1, 0, 2, 1]


def test_resume_reads_from_a_position():
    """resume() continues in line from an epoch and a position, or from a loader's state."""
    dataset = ps.range(10).shuffle()
    assert list(dataset.resume({"epoch": 2, "position": 4})) == list(dataset.epoch(2))[4:]
    with dataset.loader() as loader:
        next(iter(loader))
        assert list(dataset.resume(loader.state_dict())) == list(dataset)[1:]


def test_resume_refuses_another_pipelines_state():
    """A whole state of another pipeline is refused, as a loader refuses it."""
    with ps.range(11).loader() as loader:
        next(iter(loader))
        saved = loader.state_dict()
    with pytest.raises(ValueError, match="another pipeline"):
        ps.range(10).resume(saved)


@pytest.mark.parametrize("position", [-1, 11, "3", [1, 2], 2.5])
def test_resume_refuses_impossible_positions(position):
    """A position that the sequence does not have is refused, not read from."""
    with pytest.raises(ValueError, match="position"):
        list(ps.range(10).resume({"epoch": 0, "position": position}))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shufle", "Did you mean shuffle()?"),
        ("Batch", "Did you mean batch()?"),
        ("apply", ".map(function)"),
        ("num_workers", "loader(workers="),
        ("frobnicate", "There are: "),
    ],
)
@pytest.mark.parametrize("dataset", [ps.range(3), ps.stream([1, 2])], ids=repr)
def test_a_wrong_name_is_answered_with_the_right_one(dataset, name, words):
    """Whoever types a method's name wrongly, or another library's, is told what there is."""
    with pytest.raises(AttributeError) as caught:
        getattr(dataset, name)
    assert words in str(caught.value)
    assert not hasattr(dataset, name)


def test_a_dataset_is_not_made_by_its_class():
    """Calling Sequence or Stream on data says which function makes a dataset of it."""
    for kind in (ps.Sequence, ps.Stream):
        with pytest.raises(TypeError, match="items"):
            kind([1, 2])
