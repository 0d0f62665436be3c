"""map: draws that depend on nothing but what they should, and errors that say where they come from."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import inspect
import operator
import pickle
import types
from functools import partial
from typing import NamedTuple

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
        ([str.strip, str.upper, functools.partial(int, base=10)], "map(partial(int, base=10))"),
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
        (functools.partial(int, base=2), "map(partial(int, base=2))"),
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


# ------------------------------------------------------------------------------------- fields, probability, starmap


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Pixel:
    """A dataclass."""

    row: int
    column: int


def crop(x, rng):
    """Return an item and where it was cut."""
    return x, int(rng.integers(1000))


def dicts(n):
    """Return dicts of three fields."""
    return ps.range(n).map(lambda k: {"a": k, "b": 10 * k, "c": "left"})


@pytest.mark.parametrize(
    "dataset",
    [
        dicts(9).map(plus_one, at="a"),
        dicts(9).map(crop, at=("b", "a"), rng=True, p=0.5).batch(4, collate=list),
        dicts(0).map(plus_one, at="a"),
        ps.range(1).map(plus_one, p=0.5),
        ps.range(30).seed(3).shuffle().map(plus_one, p=0.3).map(crop, rng=True, p=0.7).map(str),
        ps.range(7).repeat().map(crop, rng=True, p=0.5),
        ps.stream([{"a": 1}, {"a": 2}]).map(crop, at="a", rng=True, p=0.5),
        ps.range(20).filter(lambda x: x % 3).map(crop, rng=True, p=0.5),
        ps.zip(ps.range(6), ps.range(6)).starmap(operator.add),
        ps.stream([(1, 2), (3, 4)]).starmap(lambda a, b, rng: (a + b, float(rng.random())), rng=True),
    ],
    ids=repr,
)
def test_contract_of_what_is_said_beside_the_function(dataset):
    """Every promise of a description holds with fields, probabilities and starmap in it."""
    check_dataset(dataset, limit=20)


def test_fields_in_processes():
    """Fields and probabilities are the same in other processes."""
    dataset = dicts(40).map(crop, at=("a", "b"), rng=True, p=0.5).batch(8, collate=list)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        assert list(loader) == list(dataset)


@pytest.mark.parametrize(
    ("item", "at", "expected"),
    [
        ({"x": 1, "y": 2}, "y", {"x": 1, "y": 3}),
        ({0: 1, "y": 2}, 0, {0: 2, "y": 2}),
        (collections.OrderedDict(b=1, a=2), ("a", "b"), collections.OrderedDict(b=2, a=3)),
        (types.MappingProxyType({"x": 1}), "x", {"x": 2}),
        ((1, 2, 3), 0, (2, 2, 3)),
        ((1, 2, 3), (-1, 0), (2, 2, 4)),
        ([1, 2, 3], 1, [1, 3, 3]),
        (Point(1, 2), "y", Point(1, 3)),
        (Point(1, 2), 0, Point(2, 2)),
        (Pixel(1, 2), ("row", "column"), Pixel(2, 3)),
    ],
)
def test_a_field_is_replaced_in_a_new_item(item, at, expected):
    """The function is applied to the fields, the rest and the type stay, and what was handed in is not changed."""
    before = copy.copy(item) if not isinstance(item, types.MappingProxyType) else dict(item)
    made = ps.items([item]).map(plus_one, at=at)[0]
    assert made == expected
    assert type(made) is type(expected)
    assert item == before
    assert made is not item


@pytest.mark.parametrize(
    ("item", "at", "words"),
    [
        ({"image": 1, "label": 2}, "imgae", ["'imgae'", "dict", "'image', 'label'"]),
        ({}, "x", ["'x'", "none"]),
        ((1, 2), 2, ["2", "tuple", "0, 1"]),
        ((1, 2), "x", ["'x'", "0, 1"]),
        ([1], -2, ["-2", "list"]),
        (Point(1, 2), "z", ["'z'", "Point", "'x', 'y'"]),
        (Pixel(1, 2), 0, ["0", "Pixel", "'row', 'column'"]),
        (3, "x", ["3 (int)", "no fields"]),
        (np.zeros(3), 0, ["ndarray", "no fields"]),
    ],
)
def test_a_missing_field_is_named(item, at, words):
    """A field that an item lacks is an error that names it, those that are there, and the item."""
    error, notes = failure(lambda: ps.items([item]).map(plus_one, at=at)[0])
    assert isinstance(error, (ValueError, TypeError))
    for word in words:
        assert word in str(error), str(error)
    assert "item 0 of map(plus_one, at=" in notes


def test_fields_share_their_draws():
    """Image and mask are cut alike: each field's generator draws the same, and each is a generator of its own."""
    dataset = dicts(30).map(crop, at=("a", "b"), rng=True)
    made = list(dataset)
    assert all(item["a"][1] == item["b"][1] for item in made)
    assert len({item["a"][1] for item in made}) > 20
    one = list(dicts(30).map(crop, at="b", rng=True))
    assert [item["b"] for item in one] == [item["b"] for item in made]


def test_a_probability_applies_to_its_share():
    """With p, about that share of the items goes through the function, another part in every epoch; 0 is none, 1 all."""
    dataset = ps.range(4000).map(lambda x: -1, p=0.25)
    share = [x == -1 for x in dataset]
    assert abs(np.mean(share) - 0.25) < 0.04
    assert share != [x == -1 for x in dataset.epoch(1)]
    assert list(ps.range(50).map(lambda x: -1, p=0)) == list(range(50))
    assert list(ps.range(50).map(lambda x: -1, p=1)) == [-1] * 50


def test_a_probability_is_independent_of_the_draws():
    """Whether the function is applied says nothing about what it draws."""
    dataset = ps.range(6000).map(draw, rng=True, p=0.5)
    drawn = [x[1] for x in dataset if isinstance(x, tuple)]
    assert abs(np.mean(drawn) - 0.5) < 0.03
    assert abs(np.std(drawn) - 12**-0.5) < 0.02


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda d: d.map(plus_one, at="image"), "map(plus_one, at='image')"),
        (lambda d: d.map(plus_one, at=["a", 0], p=0.5), "map(plus_one, at=('a', 0), p=0.5)"),
        (lambda d: d.map(draw, p=1, rng=True), "map(draw, p=1, rng=True)"),
        (lambda d: d.starmap(divmod), "starmap(divmod)"),
        (lambda d: d.starmap(draw, rng=True), "starmap(draw, rng=True)"),
    ],
)
def test_label_says_all(make, label):
    """The label is what the user wrote, so a state of another field or probability is refused."""
    assert make(ps.range(3)).node.label() == label


def test_starmap_is_the_function_of_the_entries():
    """Starmap calls function(*item), blames itself for errors, and follows its own policy."""
    pairs = ps.zip(ps.range(5), ps.range(5))
    assert list(pairs.starmap(lambda a, b: a * b)) == [0, 1, 4, 9, 16]
    error, notes = failure(lambda: pairs.starmap(divmod)[0])
    assert isinstance(error, ZeroDivisionError)
    assert "item 0 of starmap(divmod)" in notes
    assert list(pairs.starmap(divmod, on_error="skip")) == [(1, 0)] * 4


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d: d.map(plus_one, at=1.5), TypeError, ["map()", "at", "1.5 (float)", "'image'"]),
        (lambda d: d.map(plus_one, at=True), TypeError, ["map()", "at", "True"]),
        (lambda d: d.map(plus_one, at=()), ValueError, ["map()", "at", "no field"]),
        (lambda d: d.map(plus_one, at=("a", "a")), ValueError, ["map()", "twice"]),
        (lambda d: d.map(plus_one, p=1.5), ValueError, ["map()", "p", "1.5", "0 to 1"]),
        (lambda d: d.map(plus_one, p=-0.1), ValueError, ["map()", "p", "-0.1"]),
        (lambda d: d.map(plus_one, p="half"), TypeError, ["map()", "p", "'half'"]),
        (lambda d: d.map(plus_one, p=True), TypeError, ["map()", "p", "True"]),
        (lambda d: d.map(plus_one, p=float("nan")), ValueError, ["map()", "nan"]),
        (lambda d: d.map(draw), TypeError, ["map()", "draw", "rng", "map(draw, rng=True)"]),
        (lambda d: d.starmap(3), TypeError, ["starmap()", "3 (int)"]),
    ],
)
def test_mistakes_beside_the_function(call, kind, words):
    """What cannot be a field, a probability or a function without its generator is refused when it is written."""
    with pytest.raises(kind) as caught:
        call(ps.range(3))
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("function", [lambda rng: rng, lambda x, rng=None: x, lambda *rng: rng, lambda **rng: rng, abs])
def test_functions_that_do_not_need_a_generator(function):
    """A parameter that only happens to be called rng, or may be left out, asks for nothing."""
    ps.range(3).map(function)


def test_starmap_may_fill_what_is_called_rng():
    """An entry of the item may be meant for a parameter called rng; one that takes no place has to be handed over."""
    assert list(ps.items([(1, 2)]).starmap(lambda x, rng: x + rng)) == [3]
    with pytest.raises(TypeError, match="rng=True"):
        ps.items([(1, 2)]).starmap(lambda x, y, *, rng: x)


def test_starmap_hands_over_a_dict_by_name():
    """Of a dict, entries are arguments by name, whatever their order; its names are never taken for its entries."""
    rows = ps.zip(x=ps.range(3), y=ps.range(3).map(lambda x: 10 * x))
    assert list(rows.starmap(lambda y, x: y - x)) == [0, 9, 18]
    drawn = rows.starmap(lambda x, y, rng: x + y + rng.random(), rng=True)
    check_dataset(drawn)
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        list(rows.starmap(lambda x: x))


def test_a_function_of_two_things_is_for_starmap():
    """A map of what needs two arguments is refused where it is written; defaults and ``rng`` are no such arguments."""
    for function in (lambda x, y: x, operator.add, partial(lambda a, b, c: a, 1)):
        with pytest.raises(TypeError, match=r"takes 2 arguments, and an item is one. .*starmap\("):
            ps.range(3).map(function)
    ps.range(3).map(lambda x, y=1: x).map(lambda *items: items).map(partial(lambda a, b: a, 1))
    ps.range(3).map(lambda x, rng: x, rng=True)

    @functools.wraps(operator.add)
    def unpacking(pair):
        return operator.add(*pair)

    assert list(ps.items([(1, 2)]).map(unpacking)) == [3]


def test_behind_batches_the_ranks_still_divide_them():
    """Steps behind a batch, enumerate and shard among them, leave its rows to be divided over the ranks."""
    dataset = ps.range(24).batch(4).enumerate().shard(0, 3, last="drop")
    with dataset.loader(shard=(1, 2)) as loader:
        assert [(n, b.tolist()) for n, b in loader] == [(0, [2, 3]), (3, [14, 15])]


def test_a_map_with_fields_travels_after_it_was_read():
    """What is worked out when a map is read first does not keep it from being pickled."""
    dataset = dicts_of_module().map(plus_one, at="a").starmap(operator.add)
    with pytest.raises(TypeError):
        dataset[0]
    assert pickle.loads(pickle.dumps(dataset)) == dataset


def dicts_of_module():
    """Return dicts, without a function that cannot be pickled."""
    return ps.items([{"a": 1}])
