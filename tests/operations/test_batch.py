"""batch: cutting, collating, sharding, and the words for what cannot be collated."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, CollateError, EndedQuietly
from penstock.testing import Scrambled, check_dataset, same


class Point(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


@dataclasses.dataclass
class Sample:
    """An item with fields."""

    image: Any
    label: int
    name: str = ""


class Picture:
    """What a PIL image shows of itself to NumPy."""

    def __init__(self, value):
        self.array = np.full((4, 5, 3), value, np.uint8)

    @property
    def __array_interface__(self):
        """The array's."""
        return self.array.__array_interface__


def structured(x):
    """Return a record array."""
    return np.array([(x, x / 2)], [("a", "i4"), ("b", "f8")])


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch(3),
        ps.range(1).batch(3),
        ps.range(10).batch(3),
        ps.range(10).batch(3, last="drop"),
        ps.range(9).batch(3, last="error"),
        ps.range(10).batch(1),
        ps.range(10).batch(100),
        ps.range(10).batch(100, last="drop"),
        ps.range(20).shuffle().batch(3).batch(2),
        ps.arrays(x=np.arange(24).reshape(12, 2), y=np.arange(12.0)).shuffle().batch(5),
        ps.arrays(np.arange(24).reshape(12, 2)).batch(5)[1:],
        ps.range(20).filter(lambda x: x % 3).batch(4),
        ps.range(20).filter(lambda x: x % 3).batch(4, last="drop").map(np.sum),
        ps.range(20).filter(lambda x: x < 16).batch(4, last="error"),
        ps.range(9).map(lambda x: {"x": x, "s": str(x)}).batch(4),
        ps.range(9).map(lambda x: Sample(np.full(3, x), x, str(x))).batch(4),
        ps.range(9).batch(4, collate=list),
        ps.range(9).batch(4, collate=sum),
        ps.range(5).repeat().batch(3),
        ps.range(4).batch(3).repeat(2),
        ps.zip(ps.arrays(np.arange(9)), ps.arrays(np.arange(18).reshape(9, 2))).batch(4),
        ps.concat(ps.arrays(np.arange(5)), ps.arrays(np.arange(4))).batch(3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with batch in it."""
    check_dataset(dataset, limit=20)


@given(st.integers(0, 60), st.integers(1, 20), st.sampled_from(["keep", "drop"]), st.booleans())
def test_batches_are_cuts(n, size, last, stream):
    """Batches are the slices of the items, and their number is what len says."""
    items = ps.stream(list(range(n))) if stream else ps.range(n)
    dataset = items.batch(size, last=last)
    cuts = [list(range(n))[k : k + size] for k in range(0, n, size)]
    if last == "drop":
        cuts = [cut for cut in cuts if len(cut) == size]
    assert [batch.tolist() for batch in dataset] == cuts
    if not stream:
        assert len(dataset) == len(cuts)


def test_a_short_last_batch_is_refused_when_it_is_said():
    """last="error" is refused at once where the length is known, with the remedy."""
    with pytest.raises(
        ArgumentError, match=r'10 items do not divide into batches of 3: 1 would be left over.*last="drop"'
    ):
        ps.range(10).batch(3, last="error")


def test_a_short_last_batch_of_a_stream_is_refused_when_it_comes():
    """On a stream last="error" speaks at the end, behind the whole batches."""
    found = []
    with pytest.raises(ArgumentError, match="1 would be left over"):
        for batch in ps.stream(list(range(7))).batch(3, last="error"):
            found.append(batch.tolist())
    assert found == [[0, 1, 2], [3, 4, 5]]


# ------------------------------------------------------------------------------------------------ kinds of items

KINDS = {
    "array": (lambda x: np.full((2, 3), x, np.float32), lambda b: isinstance(b, np.ndarray) and b.shape == (4, 2, 3)),
    "dtype": (lambda x: np.full(2, x, np.uint8), lambda b: b.dtype == np.uint8),
    "big-endian": (lambda x: np.full(2, x, ">i4"), lambda b: b.tolist() == [[x, x] for x in range(4)]),
    "0-d": (np.array, lambda b: b.shape == (4,)),
    "zero length": (lambda x: np.zeros((0, 3)), lambda b: b.shape == (4, 0, 3)),
    "Fortran": (lambda x: np.asfortranarray(np.arange(6).reshape(2, 3) + x), lambda b: b[2, 1].tolist() == [5, 6, 7]),
    "non-contiguous": (lambda x: np.arange(20)[:: x + 1][:4], lambda b: b[1].tolist() == [0, 2, 4, 6]),
    "reversed": (lambda x: np.arange(4)[::-1] + x, lambda b: b[1].tolist() == [4, 3, 2, 1]),
    "broadcast": (lambda x: np.broadcast_to(x, (3, 2)), lambda b: b.sum() == 36),
    "structured": (structured, lambda b: b.shape == (4, 1) and b["b"][3, 0] == 1.5),
    "objects": (lambda x: np.array([{x}, None]), lambda b: type(b) is list and b[1].dtype == object),
    "text array": (lambda x: np.array(["a" * x, "b"]), lambda b: b.tolist() == [["a" * x, "b"] for x in range(4)]),
    "datetime": (lambda x: np.datetime64("2020-01-01") + x, lambda b: b.dtype.kind == "M"),
    "bool": (lambda x: x > 1, lambda b: b.dtype == bool and b.tolist() == [False, False, True, True]),
    "int": (int, lambda b: b.dtype == np.int64),
    "float": (lambda x: x / 2, lambda b: b.dtype == np.float64),
    "int and float": (lambda x: x if x % 2 else x / 1, lambda b: b.dtype == np.float64),
    "complex": (lambda x: x * 1j, lambda b: b.dtype == np.complex128),
    "scalar": (np.float16, lambda b: b.dtype == np.float16),
    "str": (str, lambda b: b == ["0", "1", "2", "3"]),
    "bytes": (lambda x: b"%d" % x, lambda b: b == [b"0", b"1", b"2", b"3"]),
    "bytearray": (bytearray, lambda b: type(b) is list and b[2] == bytearray(2)),
    "None": (lambda x: None, lambda b: b == [None] * 4),
    "object": (lambda x: {x}, lambda b: b == [{0}, {1}, {2}, {3}]),
    "dict": (lambda x: {"a": x, "b": str(x)}, lambda b: b["a"].shape == (4,) and b["b"][3] == "3"),
    "nested": (lambda x: {"a": {"b": (x, np.full(2, x))}}, lambda b: b["a"]["b"][1].shape == (4, 2)),
    "empty dict": (lambda x: {}, lambda b: b == {}),
    "tuple": (lambda x: (x, str(x)), lambda b: type(b) is tuple and b[0].tolist() == [0, 1, 2, 3] and b[1][2] == "2"),
    "namedtuple": (lambda x: Point(x, 2 * x), lambda b: type(b) is Point and b.y.tolist() == [0, 2, 4, 6]),
    "dataclass": (lambda x: Sample(np.full(2, x), x), lambda b: type(b) is Sample and b.image.shape == (4, 2)),
    "image": (Picture, lambda b: isinstance(b, np.ndarray) and b.shape == (4, 4, 5, 3) and b[2].sum() == 120),
    "big int": (lambda x: 2**70 + x, lambda b: b == [2**70 + x for x in range(4)]),
    "63 bits": (lambda x: 2**63 - 1 - x, lambda b: b.tolist() == [2**63 - 1 - x for x in range(4)]),
    "64 bits and a sign": (lambda x: 2**63 + 1 if x else -1, lambda b: list(map(int, b)) == [-1] + 3 * [2**63 + 1]),
    "bool and int": (lambda x: True if x == 1 else x, lambda b: b.tolist() == [0, 1, 2, 3]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_items(kind):
    """Items of every kind are collated into what one expects, by position and from a stream alike."""
    make, holds = KINDS[kind]
    by_position = ps.range(4).map(make).batch(4)[0]
    assert holds(by_position), by_position
    streamed = next(iter(ps.stream(range(4)).map(make).batch(4)))
    assert same(streamed, by_position)


def plain(value):
    """Return an item with numbers and arrays of numbers as plain lists: what a batch may change their type to."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, tuple):
        return type(value), [plain(v) for v in value]
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, Sample):
        return [plain(v) for v in vars(value).values()]
    return value


@pytest.mark.parametrize("kind", [*sorted(set(KINDS) - {"empty dict", "image"}), "list", "list in a dict"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_unbatch_undoes_batch(kind, count):
    """What batch joins, unbatch takes apart again into equal items."""
    more = {"list": (lambda x: [x, 10 + x], None), "list in a dict": (lambda x: {"p": [x, 10 + x]}, None)}
    make, _ = (KINDS | more)[kind]
    items = [make(x) for x in range(count)]
    again = list(ps.items(items).batch(count).unbatch())
    assert [plain(x) for x in again] == [plain(x) for x in items]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], ["(2, 3)", "(2, 4)", "item 1", "collate=list"]),
        ([{"image": np.zeros(3)}, {"image": np.zeros(4)}], ["'image'", "(3,)", "(4,)"]),
        ([{"a": {"b": (1, np.zeros(3))}}, {"a": {"b": (1, np.zeros(4))}}], ["['a']['b'][1]"]),
        ([Sample(np.zeros(3), 1), Sample(np.zeros(4), 1)], ["'image'", "(3,)", "(4,)"]),
        ([{"a": 1}, {"b": 1}], ["differ", "'a'", "'b'"]),
        ([{"a": 1}, {"a": 1, "b": 1}], ["differ"]),
        ([{"a": 1}, 3], ["differ", "3 (int)"]),
        ([(1, 2), (1, 2, 3)], ["2 entries", "3", "tuple"]),
        ([(1, 2), [1, 2]], ["differ", "tuple", "list"]),
        ([1, "a"], ["differ", "'a' (str)"]),
        ([1, None], ["differ", "None"]),
        ([None, 1], ["differ", "None"]),
        (["a", 1], ["differ", "'a'"]),
        ([np.zeros(3), None], ["differ", "None"]),
        ([np.zeros(3), [0, 0, 0]], ["differ", "list"]),
        ([np.float64(1), "a"], ["differ"]),
        ([np.str_("a"), 3], ["differ"]),
        ([structured(1), np.zeros(1, [("z", "i4")])], ["dtype"]),
        ([{"a": structured(1)}, {"a": np.zeros(1, [("z", "i4")])}], ["'a'"]),
        ([np.zeros(2, "M8[s]"), np.zeros(2, "f8")], ["dtype"]),
    ],
)
def test_what_cannot_be_stacked_is_described(items, words):
    """Items that do not fit together give a CollateError that names the field, both values and the remedy."""
    for dataset in (ps.items(items).batch(9), ps.stream(items).batch(9)):
        with pytest.raises(CollateError) as caught:
            list(dataset)
        for word in words:
            assert word in str(caught.value)
        assert "item 0 of batch(9)" in "\n".join(caught.value.__notes__)
        assert "map()" in str(caught.value)
        assert __file__ in "\n".join(caught.value.__notes__)


def test_errors_of_a_later_batch_come_at_their_place():
    """Whole batches before a ragged one are delivered first, also where everything is read ahead in line."""
    rows = [ps.arrays(np.zeros((1600, 2))), ps.arrays(np.zeros((4, 3))), ps.arrays(np.zeros((1600, 2)))]
    dataset = ps.concat(*rows).batch(16)
    found = []
    with pytest.raises(CollateError) as caught:
        for batch in dataset:
            found.append(batch.shape)
    assert found == [(16, 2)] * 100
    assert "item 100 of batch(16)" in "\n".join(caught.value.__notes__)


# -------------------------------------------------------------------------------------------------- own collation


def test_own_collate():
    """A function of the user gets the items and its result is the batch."""
    dataset = ps.range(5).batch(2, collate=lambda rows: ("mine", list(rows)))
    assert list(dataset) == [("mine", [0, 1]), ("mine", [2, 3]), ("mine", [4])]


def test_own_collate_gets_a_sequence_of_items():
    """Also over arrays, a user's collation sees items with a length, not columns."""
    dataset = ps.arrays(x=np.arange(4), y=np.arange(4)).batch(
        2, collate=lambda rows: (len(rows), rows[0], list(rows)[1])
    )
    assert dataset[1] == (2, {"x": 2, "y": 2}, {"x": 3, "y": 3})


def test_collate_list_keeps_items():
    """collate=list gives lists of the items, in every way of reading."""
    for base in (ps.range(5), ps.stream(range(5)), ps.arrays(np.arange(5)), ps.range(5).map(int)):
        assert [list(map(int, b)) for b in base.batch(2, collate=list)] == [[0, 1], [2, 3], [4]]
        assert all(type(b) is list for b in base.batch(2, collate=list))


@pytest.mark.parametrize("base", [ps.range(6), ps.stream(range(6))], ids=repr)
def test_a_collate_that_stops_does_not_end_the_epoch(base):
    """A collation that raises StopIteration gives an error that says so, never a shorter epoch."""

    def stop(rows):
        if 3 in rows:
            raise StopIteration
        return rows

    with pytest.raises(EndedQuietly, match="raised StopIteration"):
        list(base.batch(2, collate=stop))


@pytest.mark.parametrize("base", [ps.range(6), ps.stream(range(6))], ids=repr)
def test_errors_of_a_collate_are_named(base):
    """An error in the user's collation names the batch and the line."""

    def fussy(rows):
        if 3 in rows:
            raise ZeroDivisionError
        return rows

    with pytest.raises(ZeroDivisionError) as caught:
        list(base.batch(2, collate=fussy))
    notes = "\n".join(caught.value.__notes__)
    assert "item 1 of batch(2, collate=" in notes
    assert __file__ in notes


def test_batches_may_be_changed():
    """Changing a batch in place changes neither the source nor any other batch."""
    source = np.arange(12)
    dataset = ps.arrays(source).batch(4)
    for batch in dataset:
        np.add(batch, 100, out=batch)
    assert source.tolist() == list(range(12))
    assert [b.tolist() for b in dataset] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


# -------------------------------------------------------------------------------------------------------- shards


def parts_of(dataset, world, executor=None):
    """Return, for each rank, its part of every batch."""
    found = []
    for rank in range(world):
        with dataset.loader(shard=(rank, world), workers=executor) as loader:
            found.append([np.asarray(b).tolist() for b in loader])
    return found


@given(st.integers(0, 60), st.integers(1, 16), st.integers(1, 16), st.booleans())
def test_parts_reassemble_the_batches(n, size, world, stream):
    """For every world size, the ranks' parts put one after the other are the batch."""
    base = ps.range(n).seed(n).shuffle()
    dataset = (base.filter(lambda x: True) if stream else base).batch(size, last="drop")
    if size < world:  # refused at once, whatever there is to read
        with pytest.raises(ArgumentError, match=f"{world} ranks"):
            dataset.loader(shard=(0, world))
        return
    whole = [b.tolist() for b in dataset]
    parts = parts_of(dataset, world)
    assert [list(itertools.chain(*rows)) for rows in zip(*parts, strict=True)] == whole
    for rows in zip(*parts, strict=True):
        counts = [len(r) for r in rows]
        assert max(counts) - min(counts) <= 1


def test_a_short_last_batch_is_divided_too():
    """A last batch that has a row for everybody is divided like the others."""
    parts = parts_of(ps.range(11).batch(4), 2)
    assert parts == [[[0, 1], [4, 5], [8]], [[2, 3], [6, 7], [9, 10]]]


def test_a_last_batch_that_leaves_a_rank_without_rows_is_refused():
    """A last batch with fewer rows than ranks is refused at once, or when it comes from a stream."""
    with pytest.raises(ArgumentError, match=r'last batch has 1 rows.*4 ranks.*last="drop"'):
        ps.range(9).batch(4).loader(shard=(0, 4))
    with ps.stream(range(9)).batch(4).loader(shard=(0, 4)) as loader, pytest.raises(ArgumentError, match="1 rows"):
        list(loader)


@pytest.mark.parametrize("executor", [ps.Threads(2), Scrambled()], ids=repr)
def test_parts_go_through_later_steps(executor):
    """What stands behind the batch works on the rank's part."""
    dataset = ps.arrays(np.arange(24)).shuffle().batch(8).map(lambda b: b * 10)
    parts = parts_of(dataset, 2, executor)
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]


def test_the_last_batch_step_is_divided():
    """Of two batch steps it is the outer one whose rows are divided."""
    dataset = ps.range(16).batch(2).batch(4)
    assert parts_of(dataset, 2)[1] == [[[4, 5], [6, 7]], [[12, 13], [14, 15]]]


def test_draws_do_not_depend_on_the_shard():
    """A rank's items have the draws that they have without ranks."""

    def draw(x, rng):
        return x + rng.random()

    dataset = ps.range(12).seed(5).shuffle().map(draw, rng=True).batch(4)
    parts = parts_of(dataset, 2)
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]


@pytest.mark.parametrize(
    ("dataset", "label"),
    [
        (ps.range(4).batch(2), "batch(2)"),
        (ps.range(4).batch(2, last="drop"), "batch(2, last='drop')"),
        (ps.range(4).batch(2, collate=list), "batch(2, collate=list)"),
        (ps.range(4).batch(np.int64(2)), "batch(2)"),
    ],
)
def test_label(dataset, label):
    """A batch is printed as it was written."""
    assert dataset.node.label() == label


# ------------------------------------------------------------------------------------------------------- padded


def named(x):
    """Return an item with a name for its field."""
    return {"x": x, "name": str(x)}


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch(3, last="pad"),
        ps.range(1).batch(3, last="pad"),
        ps.range(9).batch(3, last="pad"),
        ps.range(10).batch(4, last="pad", fill=-1),
        ps.range(10).shuffle().map(named).batch(4, last="pad", mask="real"),
        ps.arrays(x=np.arange(10), y=np.array(list("abcdefghij"))).shuffle().batch(4, last="pad"),
        ps.arrays(x=np.arange(10), y=np.arange(10.0)).batch(4, last="pad", fill={"x": 0, "y": 0.0}),
        ps.stream(range(10)).batch(4, last="pad"),
        ps.stream([]).batch(4, last="pad"),
        ps.range(5).repeat().batch(3, last="pad"),
        ps.range(5).batch(3, last="pad", collate=list),
    ],
    ids=repr,
)
def test_contract_of_padding(dataset):
    """Every promise of a description holds where the last batch is padded."""
    check_dataset(dataset, limit=20)


@given(st.integers(0, 40), st.integers(1, 12), st.booleans())
def test_padded_batches_are_full_and_masked(n, size, stream):
    """Every batch has its size, the mask tells what is real, and what pads are copies of the last item."""
    dataset = (ps.stream(range(n)) if stream else ps.range(n)).batch(size, last="pad")
    found = list(dataset)
    assert all(batch.shape == mask.shape == (size,) for batch, mask in found)
    assert [x for batch, mask in found for x in batch[mask].tolist()] == list(range(n))
    assert all((batch[~mask] == n - 1).all() for batch, mask in found)


@pytest.mark.parametrize(
    "base", [ps.arrays(x=np.arange(5, dtype=np.int16)), ps.range(5).map(lambda x: {"x": np.int16(x)})]
)
def test_the_mask_of_dicts_is_a_field(base):
    """Dicts get a field more, in every batch; types stay as they are; fill takes the place of copies."""
    first, last = base.batch(3, last="pad")
    assert list(first) == list(last) == ["x", "mask"]
    assert first["mask"].all()
    assert last["mask"].tolist() == [True, True, False]
    assert last["x"].tolist() == [3, 4, 4]
    assert last["x"].dtype == np.int16
    other = base.batch(3, last="pad", mask="real", fill={"x": np.int16(-1)})[1]
    assert other["x"].tolist() == [3, 4, -1]
    assert other["x"].dtype == np.int16
    assert "real" in other


def test_a_field_that_is_called_like_the_mask_is_refused():
    """A field of the items is never overwritten by the mask."""
    with pytest.raises(CollateError, match="'mask' already"):
        list(ps.range(3).map(lambda x: {"mask": x}).batch(2, last="pad"))


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 4), st.booleans(), st.booleans())
def test_padded_parts_are_equal(n, size, world, stream, keyed):
    """All ranks get parts of the same size, and these put together are the padded batches, mask and all."""
    base = ps.stream(range(n)) if stream else ps.range(n)
    base = base.map(lambda x: {"x": x}) if keyed else base
    size *= world
    dataset = base.batch(size, last="pad")
    ranks = []
    for rank in range(world):
        with dataset.loader(shard=(rank, world)) as loader:
            ranks.append(list(loader))
    for batches in zip(dataset, *ranks, strict=True):
        whole, *parts = [tuple(b.values()) for b in batches] if keyed else batches
        for k in range(2):
            assert all(len(part[k]) == size // world for part in parts)
            assert np.concatenate([part[k] for part in parts]).tolist() == whole[k].tolist()


@pytest.mark.parametrize(
    "options", [{"mask": "m"}, {"fill": 0}, {"last": "pad", "mask": ""}, {"last": "pad", "mask": 3}]
)
def test_options_of_padding_are_checked(options):
    """A mask or a filling without padding would have no effect, so it is refused, like a name that is none."""
    with pytest.raises((ArgumentError, TypeError), match="mask"):
        ps.range(3).batch(2, **options)
