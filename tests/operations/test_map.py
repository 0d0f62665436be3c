"""map: draws that depend on nothing but what they should, and errors that say where they come from."""

from __future__ import annotations

import functools
import inspect
import operator

import numpy as np
import pytest

import penstock as ps
from penstock.errors import EndedQuietly
from penstock.testing import Scrambled, check_dataset


def draw(x, rng):
    """Return an item and a number that its own generator draws."""
    return x, float(rng.random())


def plus_one(x):
    """Return the next number."""
    return x + 1


def twice(x):
    """Return the double."""
    return 2 * x


def refuse_three(x):
    """Raise for one item."""
    if x == 3:
        raise ValueError("three is not welcome")
    return x


def draws(dataset, epoch=0):
    """Return what `draw` drew, by item."""
    return dict(dataset.epoch(epoch))


def failure(read):
    """Return the exception that a call raises, and its notes as one text."""
    with pytest.raises(BaseException) as caught:
        read()
    return caught.value, "\n".join(getattr(caught.value, "__notes__", []))


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).map(plus_one),
        ps.range(7).map(plus_one),
        ps.range(9).map(plus_one).map(twice).map(draw, rng=True),
        ps.range(9).shuffle().map(draw, rng=True).batch(4),
        ps.range(5).repeat().map(draw, rng=True),
        ps.stream([3, 1, 2]).map(plus_one).map(draw, rng=True),
        ps.range(12).filter(lambda x: x % 3).map(draw, rng=True).batch(3).map(len),
        ps.arrays(np.arange(12).reshape(6, 2)).map(np.sum),
        ps.range(8).batch(3).map(lambda b: b * 2).map(np.sum),
        ps.items(["a", "b", "c"]).map(str.upper).map(functools.partial(operator.add, "x")),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with map in it."""
    check_dataset(dataset, limit=20)


def test_draws_depend_on_seed_epoch_and_item():
    """Another seed, another epoch and another item each give another draw; the same ones give the same."""
    one = ps.range(50).seed(1).map(draw, rng=True)
    assert draws(one) == draws(ps.range(50).seed(1).map(draw, rng=True))
    for other in (draws(ps.range(50).seed(2).map(draw, rng=True)), draws(one, epoch=1)):
        assert not set(draws(one).values()) & set(other.values())
    assert len(set(draws(one).values())) == 50


def test_without_a_seed_draws_are_fixed():
    """Without a seed, too, a description draws the same whenever it is written down."""
    assert draws(ps.range(9).map(draw, rng=True)) == draws(ps.range(9).map(draw, rng=True))


def test_draws_ignore_what_follows():
    """Whatever stands behind an operation, its draws stay the same."""
    base = ps.range(20).seed(4).shuffle().map(draw, rng=True)
    expected = list(base)
    assert list(base.map(draw, rng=True).map(lambda p: p[0])) == expected
    assert list(base.batch(6, collate=list).unbatch()) == expected
    assert list(base.filter(lambda p: True)) == expected
    assert list(base[5:9]) == expected[5:9]
    assert list(base.prefetch(3)) == expected


def test_draws_ignore_how_they_are_read():
    """Reading by index, by gathering, from the front and by elements gives the same draws."""
    base = ps.range(30).seed(4).map(draw, rng=True)
    expected = list(base)
    assert [base[i] for i in range(30)] == expected
    assert list(base[::-1])[::-1] == expected
    assert [x for batch in base.batch(7, collate=list) for x in batch] == expected
    with base.loader(workers=Scrambled()) as loader:
        assert list(loader) == expected


def test_two_maps_draw_differently():
    """Two operations that look alike are two operations: each has its own draws."""
    items = ps.range(40).seed(3)
    views = list(ps.zip(items.map(draw, rng=True), items.map(draw, rng=True)))
    assert all(a[0] == b[0] and a[1] != b[1] for a, b in views)


def test_a_shared_map_draws_once():
    """One operation that two branches share gives both the same draws."""
    shared = ps.range(40).seed(3).map(draw, rng=True)
    assert all(a == b for a, b in ps.zip(shared, shared))


def test_consecutive_draws_are_independent():
    """Two random maps in a row do not draw the same numbers."""

    def again(pair, rng):
        return pair[1], float(rng.random())

    assert all(a != b for a, b in ps.range(40).map(draw, rng=True).map(again, rng=True))


def test_draws_are_uniform():
    """First draws of neighbouring items are spread evenly and do not follow one another."""
    values = np.array([v for _, v in ps.range(4000).seed(11).map(draw, rng=True)])
    counts, _ = np.histogram(values, 20, (0, 1))
    assert ((counts - 200) ** 2 / 200).sum() < 43.8  # 99.9 % of chi-square with 19 degrees
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.05


def test_items_of_one_element_draw_differently():
    """The items that one element was spread into have draws of their own, also when resumed between them."""
    dataset = ps.items([[1, 1, 1], [1, 1]]).unbatch().map(draw, rng=True)
    assert len({value for _, value in dataset}) == 5
    check_dataset(dataset)


def test_errors_are_named():
    """The notes of an error name the item, the epoch, the operation and the line at which it was written."""
    line = inspect.currentframe().f_lineno + 1
    dataset = ps.range(9).map(refuse_three)
    error, notes = failure(lambda: list(dataset.epoch(5)))
    assert type(error) is ValueError
    assert str(error) == "three is not welcome"
    assert "item 3 of map(refuse_three)" in notes
    assert "epoch 5" in notes
    assert f"{__file__}:{line}" in notes


def test_errors_name_the_file_that_was_read(tmp_path):
    """Behind files() and a shuffle, an error's notes name the file."""
    for name in "abcd":
        (tmp_path / name).write_text(name)

    def load(path):
        if path.endswith("c"):
            raise OSError("unreadable")
        return path

    for dataset in (ps.files(tmp_path / "*").shuffle().map(load), ps.files(tmp_path / "*").map(load).batch(2)):
        error, notes = failure(lambda dataset=dataset: list(dataset))
        assert type(error) is OSError
        assert str(tmp_path / "c") in notes, notes
        assert notes.count("penstock: item") == 1


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_a_loader_names_the_same(workers):
    """Wherever the work runs, an error's notes name item, operation and the way to see it again."""
    with ps.range(9).map(plus_one).map(refuse_three).map(twice).loader(workers=workers) as loader:
        error, notes = failure(lambda: list(loader))
    assert type(error) is ValueError
    assert "item 2 of map(refuse_three)" in notes
    assert "dataset.epoch(0)[2]" in notes
    with pytest.raises(ValueError, match="three"):
        ps.range(9).map(plus_one).map(refuse_three).epoch(0)[2]


WAYS = {
    "index": lambda dataset: dataset[2],
    "iterate": list,
    "gather": lambda dataset: list(dataset.batch(4)),
    "stream": lambda dataset: list(ps.concat(dataset, dataset.filter(bool))),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_of_several_maps_the_right_one_is_blamed(guilty, way):
    """Whichever of three consecutive maps fails, at whichever way of reading, it is the one that is named."""

    def bad(x):
        if x == 2:
            raise KeyError(x)
        return x

    def first(x):
        return x

    def second(x):
        return x

    steps = [first, second]
    steps.insert(guilty, bad)
    dataset = ps.range(6)
    for step in steps:
        dataset = dataset.map(step)
    _, notes = failure(lambda: WAYS[way](dataset))
    assert "item 2 of map(" in notes
    assert "bad)" in notes.splitlines()[0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([str.strip, int], "map(int)"),
        ([int, str], "map(int)"),
        ([lambda x: x, int, str], "map(int)"),
        ([int, lambda x: x], "map(int)"),
        ([lambda x: x, str.strip, int, str], "map(int)"),
        ([str.strip, str.upper, functools.partial(int, base=10)], "map(partial(int))"),
        ([np.asarray, str, int, str], "map(int)"),
    ],
)
def test_of_several_maps_the_right_builtin_is_blamed(steps, name, way):
    """Functions that are not written in Python leave no trace; the one that failed is named all the same."""
    dataset = ps.items(["1", "2", "x", "4"])
    for step in steps:
        dataset = dataset.map(step)
    error, notes = failure(lambda: WAYS[way](dataset))
    assert type(error) is ValueError
    assert f"item 2 of {name}" in notes


@pytest.mark.parametrize("way", WAYS)
def test_one_function_used_twice_is_blamed_at_the_right_line(way):
    """Where one function stands in two maps, the notes give the line of the one that failed."""

    def shrink(x):
        if x < 2:
            raise ValueError("too small")
        return x - 2

    line = inspect.currentframe().f_lineno + 2
    dataset = ps.items([9, 8, 3]).map(shrink)
    dataset = dataset.map(shrink)
    _, notes = failure(lambda: WAYS[way](dataset))
    assert f"{__file__}:{line}" in notes


@pytest.mark.parametrize("way", WAYS)
def test_the_input_and_not_the_map_is_blamed(way):
    """An error of the source below a map is not laid at the map's door."""

    class Shaky:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            if index == 2:
                raise OSError("torn")
            return index

    error, notes = failure(lambda: WAYS[way](ps.items(Shaky()).map(plus_one)))
    assert type(error) is OSError
    assert "item 2 of items(" in notes


def stop(x):
    """Raise what would end an iteration."""
    if x == 2:
        raise StopIteration
    return x


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("around", [(), (plus_one,)])
def test_stopiteration_does_not_end_the_epoch(around, way):
    """A function that raises StopIteration gives an error that says so, however it is read."""
    dataset = ps.range(5).map(stop)
    for step in around:
        dataset = dataset.map(step)
    error, notes = failure(lambda: WAYS[way](dataset))
    assert type(error) is EndedQuietly
    assert "raised StopIteration" in str(error)
    assert "item 2 of map(stop)" in notes


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, RecursionError])
@pytest.mark.parametrize("way", WAYS)
def test_every_exception_arrives_as_itself(kind, way):
    """Also what is no ordinary error comes out unchanged."""

    def raising(x):
        if x == 2:
            raise kind
        return x

    with pytest.raises(kind):
        WAYS[way](ps.range(5).map(raising))


def test_an_exception_without_attributes_passes():
    """An exception class that forbids attributes is not hidden by the notes that cannot be put on it."""

    class Bare(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            raise AttributeError(name)

    def raising(x):
        raise Bare

    with pytest.raises(Bare):
        ps.range(3).map(raising)[0]


def test_a_map_computes_nothing_until_it_is_read():
    """Describing calls no function; reading one item calls it once."""
    calls = []
    dataset = ps.range(10).map(calls.append).shuffle().batch(2, collate=list)
    assert (len(dataset), calls) == (5, [])
    dataset[1]
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("function", "label"),
    [
        (len, "map(len)"),
        (functools.partial(int, base=2), "map(partial(int))"),
        (str.upper, "map(str.upper)"),
        (lambda x: x, "map(lambda)"),
        (plus_one, "map(plus_one)"),
    ],
)
def test_label(function, label):
    """A map is printed as what a person would call its function."""
    assert ps.range(3).map(function).node.label() == label


def test_a_long_chain_can_be_read():
    """Hundreds of maps in a row can be read by index, from the front and in a loader."""
    dataset = ps.range(3)
    for _ in range(300):
        dataset = dataset.map(plus_one)
    assert dataset.batch(3)[0].tolist() == [300, 301, 302]
    assert repr(dataset)
    assert hash(dataset) == hash(dataset)
