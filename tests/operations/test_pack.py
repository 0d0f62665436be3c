"""pack: every token once, in rows of one length, from wherever one resumes."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CollateError
from penstock.testing import Scrambled, check_dataset, same

WAYS = ["best_fit", "first_fit", "concat_split"]
DOCS = [list(range(100 * k, 100 * k + (k * k) % 9)) for k in range(40)]


def two_fields(doc):
    """Return a dict of two fields."""
    tokens = np.array(doc, np.int32)
    return {"ids": tokens, "weight": np.ones(len(doc), np.float32)}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    "base",
    [
        ps.items([]),
        ps.items([[]]),
        ps.items([[1, 2]]),
        ps.items(DOCS),
        ps.items(DOCS).shuffle().map(two_fields),
        ps.stream(DOCS).filter(lambda d: len(d) != 4),
        ps.items(DOCS[:5]).repeat(),
    ],
    ids=repr,
)
def test_contract(base, how):
    """Every promise of a description holds with pack in it."""
    check_dataset(base.pack(9, how=how, open=3), limit=20)


@pytest.mark.parametrize("oversize", ["truncate", "split", "drop"])
def test_contract_with_long_items(oversize):
    """The same where items are longer than a row."""
    check_dataset(ps.items(DOCS).shuffle().pack(4, open=2, oversize=oversize).batch(2), limit=30)


def test_processes():
    """Items made by processes are packed like those made in line."""
    dataset = ps.items(DOCS).shuffle().map(two_fields).pack(9)
    check_dataset(dataset, limit=20, executors=(ps.Processes(2),), epochs=(0,))


def segments(rows, name="tokens"):
    """Return the pieces that rows consist of, and check what stands beside them."""
    found = []
    for row in rows:
        ids, positions = row["segment_ids"], row["positions"]
        count = int(ids.max())
        assert ids.dtype == positions.dtype == np.int32
        assert (np.sort(ids[ids > 0]) == ids[ids > 0]).all()
        assert not ids[np.count_nonzero(ids) :].any()
        for number in range(1, count + 1):
            mine = ids == number
            assert positions[mine].tolist() == list(range(np.count_nonzero(mine)))
            found.append(row[name][mine].tolist())
        assert not row[name][ids == 0].any()
    return found


@given(
    st.lists(st.lists(st.integers(1, 99), max_size=8), max_size=30),
    st.integers(8, 20),
    st.sampled_from(["best_fit", "first_fit"]),
    st.integers(1, 5),
)
def test_whole_items_each_once(docs, budget, how, most):
    """Every item is in one row, whole; rows are full length; nothing is lost or doubled."""
    rows = list(ps.items(docs).pack(budget, how=how, open=most))
    assert all(len(value) == budget for row in rows for value in row.values())
    assert sorted(segments(rows)) == sorted(doc for doc in docs if doc)


@given(st.lists(st.lists(st.integers(1, 99), max_size=30), max_size=15), st.integers(1, 12))
def test_end_to_end(docs, budget):
    """Cut end to end, the tokens are those of the items one after the other, and only the last row has padding."""
    rows = list(ps.items(docs).pack(budget, how="concat_split"))
    assert list(itertools.chain(*segments(rows))) == list(itertools.chain(*docs))
    assert all(row["segment_ids"].all() for row in rows[:-1])


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 12))
def test_long_items(lengths, budget):
    """Items that are too long are cut, split into pieces, left out, or refused: as was said."""
    docs = [[k + 1] * n for k, n in enumerate(lengths)]
    base = ps.items(docs)
    cut = sorted(segments(base.pack(budget, oversize="truncate")))
    assert cut == sorted(doc[:budget] for doc in docs)
    assert sorted(segments(base.pack(budget, oversize="drop"))) == sorted(d for d in docs if len(d) <= budget)
    pieces = [doc[k : k + budget] for doc in docs for k in range(0, len(doc), budget)]
    assert sorted(segments(base.pack(budget, oversize="split"))) == sorted(pieces)
    if max(lengths, default=0) > budget:
        with pytest.raises(ArgumentError, match=r'tokens\. Say oversize="truncate"'):
            list(base.pack(budget))


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 14), max_size=50),
    st.sampled_from(WAYS),
    st.integers(1, 4),
    st.data(),
)
def test_states_resume_anywhere(lengths, how, most, data):
    """From any state, and from a state of that, exactly the remaining rows come; states are small."""
    docs = [np.full(n, k + 1) for k, n in enumerate(lengths)]
    oversize = "error" if how == "concat_split" else "split"
    dataset = ps.items(docs).pack(9, how=how, open=most, oversize=oversize)
    with dataset.loader() as loader:
        states, rows = [loader.state_dict()], []
        for row in loader:
            rows.append(row)
            states.append(json.loads(json.dumps(loader.state_dict())))
    where = data.draw(st.integers(0, len(rows)))
    with dataset.loader(workers=Scrambled()) as loader:
        loader.load_state_dict(states[where])
        again = []
        for number, row in enumerate(loader, where + 1):
            again.append(row)
            assert loader.state_dict() == states[number], "a resumed reading has other states"
    assert same(again, rows[where:])


def test_the_plan_is_what_happens():
    """What Packing says beforehand is what pack does."""
    lengths = np.random.default_rng(0).integers(1, 40, 300)
    for how in WAYS:
        rows = list(ps.items([np.ones(n, np.uint8) for n in lengths]).pack(64, how=how, open=8))
        planned = ps.Packing(64, how=how, open=8).plan(lengths)
        assert planned.rows == len(rows)
        padding = np.mean([(row["segment_ids"] == 0).mean() for row in rows])
        assert planned.padding == pytest.approx(padding)


def test_a_resume_reads_little_again():
    """A resume begins at the oldest open row, not at the front."""
    read = []

    def look(doc):
        read.append(doc)
        return doc

    dataset = ps.items(DOCS * 25).map(look).pack(16, open=4)
    with dataset.loader() as loader:
        rows = list(itertools.islice(loader, 150))
        state = loader.state_dict()
    before = len(read)
    read.clear()
    with dataset.loader() as loader:
        loader.load_state_dict(state)
        next(iter(loader))
    assert len(rows) == 150
    assert before > 400
    assert len(read) < 60


def test_states_stay_small():
    """With as many rows open as may be, of a large budget, a state stays below a kilobyte."""
    docs = [np.ones(40_000 + 97 * k, np.uint8) for k in range(200)]
    with ps.items(docs).pack(131_072, open=64).loader() as loader:
        for _ in itertools.islice(loader, 20):
            assert len(json.dumps(loader.state_dict())) < 1024


def test_types_and_padding():
    """Types stay as they are, and each field has its own padding."""
    (row,) = ps.items([two_fields([5, 6])]).pack(4, value={"ids": -100, "weight": 0.5})
    assert row["ids"].tolist() == [5, 6, -100, -100]
    assert row["weight"].tolist() == [1, 1, 0.5, 0.5]
    assert (row["ids"].dtype, row["weight"].dtype) == (np.int32, np.float32)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([np.zeros((2, 2))], ["one axis", "(2, 2)", "map()"]),
        ([3], ["one axis", "()"]),
        ([{"a": [1, 2], "b": [1]}], ["one length"]),
        ([{}], ["one axis"]),
        (["abc"], ["one axis"]),
        ([["a"]], ["no numbers"]),
        ([{"positions": [1]}], ["'positions'", "adds"]),
        ([np.zeros(2, np.int32), np.zeros(2, np.int64)], ["int32", "int64", "map()"]),
        ([{"a": [1]}, {"b": [1]}], ["different fields"]),
    ],
)
def test_what_cannot_be_packed_is_described(items, words):
    """Items that are no sequences of tokens give an error with the field and the remedy, and the item's place."""
    with pytest.raises(CollateError) as caught:
        list(ps.items(items).pack(8))
    for word in words:
        assert word in str(caught.value)
    assert f"item {len(items) - 1} of pack(8)" in "\n".join(caught.value.__notes__)


def test_padding_that_a_type_cannot_hold():
    """A padding that the tokens' type cannot hold is refused."""
    with pytest.raises(CollateError, match="uint8 cannot be padded with -100"):
        list(ps.items([np.ones(2, np.uint8)]).pack(4, value=-100))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.pack(0), ["pack()", "budget", "at least 1"]),
        (lambda d: d.pack("8"), ["pack()", "budget", "'8' (str)"]),
        (lambda d: d.pack(8, how="worst_fit"), ["pack()", "how", "'best_fit'"]),
        (lambda d: d.pack(8, open=0), ["pack()", "open", "at least 1"]),
        (lambda d: d.pack(8, open=65), ["pack()", "at most 64", "65"]),
        (lambda d: d.pack(8, oversize="skip"), ["pack()", "oversize", "'drop'"]),
        (lambda d: d.pack(8, how="concat_split", oversize="split"), ["oversize", "concat_split"]),
        (lambda d: d.pack(8).loader(shard=(0, 2)), ["shard=", "batch"]),
        (lambda d: d.batch(4).pack(8).loader(shard=(0, 2)), ["shard=", "pack(8)", "Put it before batch()"]),
    ],
)
def test_mistakes(make, words):
    """What cannot work is refused with the value, the operation and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(ps.items(DOCS))
    for word in words:
        assert word in str(caught.value)


def test_ranks_divide_batches_of_rows():
    """Rows are batched, and the batches are divided over ranks."""
    dataset = ps.items(DOCS).pack(9).batch(4, last="drop")
    parts = []
    for rank in range(2):
        with dataset.loader(shard=(rank, 2)) as loader:
            parts.append([b["tokens"] for b in loader])
    assert [np.concatenate(p).tolist() for p in zip(*parts, strict=True)] == [b["tokens"].tolist() for b in dataset]


def test_label():
    """A step is printed as it was written."""
    base = ps.items(DOCS)
    assert base.pack(8).node.label() == "pack(8)"
    label = base.pack(8, how="first_fit", open=4, oversize="split", value=-1).node.label()
    assert label == "pack(8, how='first_fit', open=4, oversize='split', value=-1)"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("where", [0, 1, 4, 5])
def test_an_error_loses_nothing(how, where):
    """Where an item cannot be packed, the next try meets the same item, and nothing of what was before is lost."""
    docs = [[1, 1, 1, 1], [2, 2, 2], [3], [4, 4], [5, 5], [6]]
    bad = list(docs)
    bad[where] = [[0]]
    found = []
    with ps.items(bad).pack(4, how=how).loader() as loader:
        epoch = iter(loader)
        for _ in range(2):
            with pytest.raises(CollateError) as caught:
                for row in epoch:
                    found.append(row)
            assert f"item {where} of pack" in "\n".join(caught.value.__notes__)
        bad[where] = docs[where]
        found.extend(epoch)
    assert same(found, list(ps.items(docs).pack(4, how=how)))
