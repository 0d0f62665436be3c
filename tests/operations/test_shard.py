"""shard: together the ranks read every item once, and each rank's part is what the plain slice says."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset


def plain(n, rank, world, last, by):
    """Return a rank's positions by the definition; None where items do not divide."""
    left = n % world
    if last == "error" and left:
        return None
    count = n - left if last == "drop" else n
    every = list(range(count))
    if by == "block" and last == "keep":
        return every[rank * n // world : (rank + 1) * n // world]
    if last == "pad" and left:
        every += [n - 1] * (world - left)
    return every[rank::world] if by == "stride" else every[rank * len(every) // world :][: len(every) // world]


WAYS = [("stride", last) for last in ("keep", "drop", "error", "pad")] + [
    ("block", last) for last in ("keep", "drop", "error", "pad")
]


@given(st.integers(0, 30), st.integers(1, 6), st.sampled_from(WAYS), st.booleans())
def test_parts_are_those_of_the_definition(n, world, way, stream):
    """On sequences and streams, every rank reads the positions that the definition says, or all refuse alike."""
    by, last = way
    if stream and by == "block":
        return
    source = ps.stream(range(n)) if stream else ps.range(n)
    for rank in range(world):
        expected = plain(n, rank, world, last, by)
        if expected is None or (0 < n < world and last != "pad"):
            with pytest.raises(ValueError, match="shard"):
                list(source.shard(rank, world, last=last, by=by))
        else:
            assert list(source.shard(rank, world, last=last, by=by)) == expected


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).shard(1, 3, last="keep"),
        ps.range(10).shard(2, 3, last="keep"),
        ps.range(10).shuffle().shard(1, 3, last="pad"),
        ps.range(10).shuffle().shard(3, 4, last="pad", by="block"),
        ps.range(10).shard(0, 3, last="drop", by="block").shuffle(),
        ps.range(5).repeat().shard(1, 3, last="drop"),
        ps.stream(list(range(11))).shard(1, 3, last="keep"),
        ps.stream(list(range(11))).shard(2, 3, last="pad").batch(2),
        ps.stream([]).shard(0, 2, last="error"),
        ps.range(20).filter(lambda x: x % 3).shard(1, 2, last="drop").map(lambda x, rng: (x, rng.random()), rng=True),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds for a rank's part."""
    check_dataset(dataset, limit=20)


@pytest.mark.parametrize("dataset", [ps.range(12).shuffle(), ps.stream(list(range(12)))], ids=repr)
def test_a_state_loads_on_any_rank(dataset):
    """All ranks have the same state after the same number of items, and it continues any of them."""
    parts = [dataset.shard(rank, 3, last="drop") for rank in range(3)]
    states = []
    for part in parts:
        with part.loader() as loader:
            list(itertools.islice(loader, 2))
            states.append(json.dumps(loader.state_dict()))
    assert len(set(states)) == 1
    for part in parts:
        with part.loader(workers=ps.Threads(2)) as loader:
            loader.load_state_dict(json.loads(states[0]))
            assert list(loader) == list(part)[2:]


def test_a_state_of_another_world_is_refused():
    """Parts of different sizes have different positions, so a state of another world size is refused."""
    with ps.range(12).shard(0, 3, last="drop").loader() as loader:
        next(iter(loader))
        saved = loader.state_dict()
    with ps.range(12).shard(0, 4, last="drop").loader() as loader, pytest.raises(ValueError, match="shard"):
        loader.load_state_dict(saved)


def test_ranks_draw_differently():
    """Behind a shard, equal positions of two ranks draw differently; in front of it, draws are the item's."""

    def draw(x, rng):
        return float(rng.random())

    source = ps.range(40).seed(5)
    behind = [list(source.shard(rank, 2, last="drop").map(draw, rng=True)) for rank in range(2)]
    assert not set(behind[0]) & set(behind[1])
    before = [list(source.map(draw, rng=True).shard(rank, 2, last="drop")) for rank in range(2)]
    assert [x for pair in zip(*before, strict=True) for x in pair] == list(source.map(draw, rng=True))
    orders = [list(source.shard(rank, 2, last="drop", by="block").shuffle()) for rank in range(2)]
    assert [x - 20 for x in orders[1]] != orders[0]


def test_origin_is_the_sources(tmp_path):
    """An error names the file that this rank read."""
    for name in "abcd":
        (tmp_path / name).write_text(name)
    dataset = ps.files(f"{tmp_path}/*").shard(1, 2, last="drop").map(int)
    with pytest.raises(ValueError) as caught:
        dataset[1]
    assert "/d'" in "\n".join(caught.value.__notes__)


def test_fewer_files_than_readers(tmp_path):
    """Fewer files than ranks are refused, with what can be done."""
    for name in "abc":
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=r"3 items cannot be divided over 4 ranks.*loader\(shard="):
        ps.files(f"{tmp_path}/*").shard(0, 4, last="keep")


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d: d.shard(3, 3, last="drop"), ValueError, ["shard()", "rank 3", "world of 3"]),
        (lambda d: d.shard(-1, 3, last="drop"), ValueError, ["shard()", "rank", "-1"]),
        (lambda d: d.shard(0, 0, last="drop"), ValueError, ["shard()", "world size", "0"]),
        (lambda d: d.shard("0", 2, last="drop"), TypeError, ["shard()", "'0'"]),
        (lambda d: d.shard(0, 2, last="trim"), ValueError, ["shard()", "last", "'trim'", "'drop'"]),
        (lambda d: d.shard(0, 2, last="drop", by="blocks"), ValueError, ["shard()", "by", "mean 'block'"]),
        (lambda d: d.shard(0, 2), TypeError, ["shard()", "last"]),
        (lambda d: d.repeat().shard(0, 2, last="drop", by="block"), TypeError, ["shard()", "no end", "stride"]),
        (lambda d: d.filter(bool).shard(0, 2, last="drop", by="block"), TypeError, ["shard()", "stream", "stride"]),
        (lambda d: d[:7].shard(0, 2, last="error"), ValueError, ["shard(", "7 items", "2 ranks", "1 would", "drop"]),
    ],
)
def test_mistakes(call, kind, words):
    """What cannot be a rank, or cannot be divided, is refused when it is written."""
    with pytest.raises(kind) as caught:
        call(ps.range(10))
    for word in words:
        assert word in str(caught.value), str(caught.value)
