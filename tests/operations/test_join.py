"""zip and concat: like Python's, by position and from the front."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError
from penstock.testing import Scrambled, check_dataset


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


def counting():
    """Count without end."""
    yield from itertools.count()


ROWS = ps.arrays(np.arange(12).reshape(6, 2))
COLUMN = ps.arrays(np.arange(6.0))


@pytest.mark.parametrize(
    "dataset",
    [
        ps.zip(ps.range(5)),
        ps.zip(ps.range(5), ps.range(7).shuffle()),
        ps.zip(x=ps.range(5), y=ps.items(["abcde"] * 5)),
        ps.zip(ps.range(5), ps.range(3).repeat()),
        ps.zip(ps.range(2).repeat(), ps.range(3).repeat()),
        ps.zip(ROWS, COLUMN).shuffle().batch(4),
        ps.zip(image=ROWS, label=COLUMN).batch(4),
        ps.zip(ROWS, ps.range(6)).batch(4),
        ps.zip(ps.range(6).filter(bool), ps.range(9)),
        ps.zip(ps.stream([1, 2, 3]), ps.stream([1, 2]), ps.range(9).repeat()),
        ps.zip(ps.stream(counting), ps.range(4).filter(bool).map(draw, rng=True)).map(draw, rng=True),
        ps.zip(ps.range(0), ps.range(4)),
        ps.zip(a=ps.range(4), b=ps.range(4), strict=True),
        ps.zip(ps.stream([1, 2]), ps.stream([3, 4]), strict=True),
        ps.concat(ps.range(5)),
        ps.concat(ps.range(5), ps.range(0), ps.range(3).shuffle()),
        ps.concat(ps.range(0), ps.range(0)),
        ps.concat(ps.range(2), ps.range(3).repeat()),
        ps.concat(ps.range(5), ps.range(4)).shuffle().map(draw, rng=True).batch(4),
        ps.concat(ROWS, ROWS).shuffle().batch(5),
        ps.concat(ps.zip(ROWS, COLUMN), ps.zip(ROWS, COLUMN)).shuffle().batch(5),
        ps.concat(ps.stream([1, 2]), ps.range(4).filter(bool), ps.range(3)),
        ps.concat(ps.stream([]), ps.stream([1]), ps.stream([])),
        ps.concat(ps.range(4).filter(bool), ps.range(4).filter(bool)).map(draw, rng=True),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with joins in it."""
    check_dataset(dataset, limit=16)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=4))
def test_they_are_pythons(shapes):
    """Zip and concat give what zip and itertools.chain give, for sequences and streams in any mixture."""
    lists = [list(range(10 * k, 10 * k + n)) for k, (n, _) in enumerate(shapes)]
    datasets = [ps.stream(x) if stream else ps.items(x) for x, (_, stream) in zip(lists, shapes, strict=True)]
    assert list(ps.zip(*datasets)) == list(zip(*lists, strict=False))
    assert list(ps.concat(*datasets)) == list(itertools.chain(*lists))
    kind = ps.Stream if any(stream for _, stream in shapes) else ps.Sequence
    assert type(ps.zip(*datasets)) is type(ps.concat(*datasets)) is kind


def test_lengths():
    """A zip is as long as its shortest input, a concat as all of them, and an endless one has no length."""
    assert len(ps.zip(ps.range(3), ps.range(2).repeat())) == 3
    assert len(ps.concat(ps.range(3), ps.range(4))) == 7
    for endless in (ps.zip(ps.range(2).repeat(), ps.range(3).repeat()), ps.concat(ps.range(2), ps.range(3).repeat())):
        with pytest.raises(TypeError, match="no end"):
            len(endless)


@pytest.mark.parametrize("streams", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("lengths", [(3, 5), (5, 3), (0, 1)])
def test_strict(lengths, streams):
    """With strict=True, inputs of different lengths are refused: at once, or where a stream ends."""
    made = [ps.stream(range(n)) if s else ps.range(n) for n, s in zip(lengths, streams, strict=True)]
    with pytest.raises(ArgumentError, match="strict=True"):
        list(ps.zip(*made, strict=True))


def test_strict_names_what_differs():
    """The refusal says the lengths, or which stream ended and where."""
    with pytest.raises(ArgumentError, match="differ in length: 3, endless"):
        ps.zip(ps.range(3), ps.range(2).repeat(), strict=True)
    with pytest.raises(ArgumentError, match="input 1 ended after 2 items, input 0 did not"):
        list(ps.zip(ps.stream([1, 2, 3]), ps.stream([1, 2]), strict=True))


def test_rows_stay_together():
    """Aligned inputs under one shuffle stay aligned, under every executor."""
    dataset = ps.zip(ps.range(50), ps.arrays(np.arange(50))).shuffle().batch(8)
    for batch in dataset:
        assert batch[0].tolist() == batch[1].tolist()
    with dataset.loader(workers=Scrambled()) as loader:
        assert [b[0].tolist() for b in loader] == [b[0].tolist() for b in dataset]


def test_the_failing_input_is_named():
    """An error below a join names the operation of the input, and its own index there."""

    def bad(x):
        raise OSError("torn")

    for joined in (
        ps.concat(ps.range(3), ps.range(4).map(bad)),
        ps.concat(ps.range(3), ps.range(4).map(bad)).batch(2),
        ps.concat(ps.range(3).filter(lambda x: True), ps.range(4).map(bad)),
    ):
        with pytest.raises(OSError, match="torn") as caught:
            list(joined)
        assert "item 0 of map(bad)" in "\n".join(caught.value.__notes__)
    with pytest.raises(OSError, match="torn") as caught:
        ps.zip(ps.range(3), ps.range(4).map(bad))[2]
    assert "item 2 of map(bad)" in "\n".join(caught.value.__notes__)


def test_different_rows_can_be_joined():
    """Parts whose arrays differ in dtype, shape or names are still concatenated, each row as it was."""
    a, b = ps.arrays(np.arange(4, dtype=np.uint8)), ps.arrays(np.arange(4, dtype=np.float32))
    assert [x.dtype for x in ps.concat(a, b)] == [np.uint8] * 4 + [np.float32] * 4
    assert ps.concat(a, b).batch(8)[0].dtype == np.float32
    c, d = ps.arrays(x=np.zeros(2)), ps.arrays(y=np.zeros(2))
    assert [list(row) for row in ps.concat(c, d)] == [["x"], ["x"], ["y"], ["y"]]
    e, f = ps.arrays(x=np.zeros(2), y=np.ones(2)), ps.arrays(y=np.ones(2), x=np.zeros(2))
    assert ps.concat(e, f).batch(4)[0]["x"].tolist() == [0] * 4


@pytest.mark.parametrize(
    ("dataset", "label"),
    [
        (ps.zip(ps.range(1), ps.range(1)), "zip()"),
        (ps.zip(ps.range(1), ps.range(1), strict=True), "zip(strict=True)"),
        (ps.zip(a=ps.range(1), b=ps.range(1)), "zip(a, b)"),
        (ps.zip(a=ps.range(1), b=ps.range(1), strict=True), "zip(a, b, strict=True)"),
        (ps.concat(ps.range(1), ps.range(1)), "concat()"),
    ],
)
def test_label(dataset, label):
    """A join is printed with its names and what was said beside them."""
    assert dataset.node.label() == label


def test_positions_of_inputs_that_are_made_differently():
    """A state of the second input is taken for good, though the first input's positions are made of other parts."""
    streams = ps.concat(ps.range(0).map(lambda x: np.full(3, x)).pack(2, how="concat_split"), ps.range(3))
    check_dataset(streams.map(lambda x: x))
    check_dataset(ps.concat(ps.range(3).filter(bool), ps.range(3)).map(lambda x: x).filter(lambda x: x != 1).batch(2))
