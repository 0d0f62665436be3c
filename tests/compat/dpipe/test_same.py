"""Small programs that do the same on ours and, where it is installed, on dpipe itself: draws, wrappers, batches."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest

OURS = "penstock.compat.dpipe"


@pytest.fixture(params=[OURS, "dpipe"])
def bi(request):
    """Our ``batch_iter``, and theirs."""
    return module(request.param, "batch_iter")


@pytest.fixture(params=[OURS, "dpipe"])
def it(request):
    """Our ``itertools``, and theirs."""
    return module(request.param, "itertools")


def module(library, name):
    """Import a part of a library, which may not be there."""
    if library != OURS:
        pytest.importorskip(library)
    return importlib.import_module(f"{library}.{name}")


def first(iterable, count):
    """Return the first entries."""
    return list(itertools.islice(iterable, count))


def test_draws(bi):
    """The same seed draws the same entries, alike or by weights, once by number and once by state."""
    assert first(bi.sample("abc", random_state=1), 6) == list("bcaaaa")
    assert first(bi.sample("abcd", [0, 1, 0, 3], np.random.RandomState(1)), 6) == list("ddbdbb")
    assert first(bi.load_by_random_id(str.upper, ids="abc", random_state=1), 3) == ["B", "C", "A"]
    pairs = bi.load_by_random_id(str.upper, ord, ids="abc", weights=[1, 0, 0], random_state=1)
    assert first(pairs, 2) == [("A", 97)] * 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([],), IndexError),
        (("ab", [1]), AssertionError),
        (("ab", [1, -1]), AssertionError),
        (("ab", [0, 0]), AssertionError),
    ],
)
def test_draws_are_refused(bi, arguments, error):
    """What cannot be drawn from is refused with the same type."""
    with pytest.raises(error):
        next(bi.sample(*arguments))


def join(*args, sep="-"):
    """Return all arguments as one text."""
    return sep.join(map(str, args))


WRAPPERS = {
    "unpack_args": (lambda b: b.unpack_args(join, "z", sep="+")((1, 2)), "1+2+z"),
    "unpack_args more": (lambda b: b.unpack_args(join, "z")((1, 2), "y", sep="+"), "1+2+y+z"),
    "multiply": (lambda b: b.multiply(join, "z")([1, 2]), ("1-z", "2-z")),
    "apply_at": (lambda b: b.apply_at(1, join, "z")([1, 2, 3]), (1, "2-z", 3)),
    "apply_at several": (lambda b: b.apply_at([0, -1], join, "z")((1, 2, 3)), ("1-z", 2, "3-z")),
    "zip_apply": (lambda b: b.zip_apply(str, float)((1, 2)), ("1", 2.0)),
    "random_apply always": (lambda b: b.random_apply(1, join, "z")(1), "1-z"),
    "random_apply never": (lambda b: b.random_apply(0, join, "z")(1), 1),
    "random_apply never, of two": (lambda b: b.random_apply(0, join, "z")(1, 2), (1, 2)),
    "sample_args": (lambda b: b.sample_args(join, lambda: 5, sep=lambda: "+")(1), "1+5"),
    "combine_batches": (lambda b: b.combine_batches([(1, "a"), (2, "b")]), ((1, 2), ("a", "b"))),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers(bi, name):
    """A wrapper calls its function as it is written down here."""
    call, expected = WRAPPERS[name]
    assert call(bi) == expected


@pytest.mark.parametrize("index", [2, -3, [0, 5]])
def test_apply_at_nothing(bi, index):
    """An index that is not there is an IndexError."""
    with pytest.raises(IndexError):
        bi.apply_at(index, join)((1, 2))


def test_random_apply_draws_from_the_global_generator(bi):
    """NumPy's global seed decides what is applied."""
    np.random.seed(3)  # noqa: NPY002  the global one
    found = [bi.random_apply(0.5, str)(k) for k in range(8)]
    np.random.seed(3)  # noqa: NPY002  the global one
    assert found == [str(k) if np.random.binomial(1, 0.5) else k for k in range(8)]  # noqa: NPY002  the global one


@pytest.mark.parametrize(
    ("value", "ratio", "rows"),
    [
        (0, 0.5, [[0, 1, 2, 0, 0], [3, 3, 3, 3, 3]]),
        (-1, 0, [[1, 2, -1, -1, -1], [3, 3, 3, 3, 3]]),
        (-1, [1], [[-1, -1, -1, 1, 2], [3, 3, 3, 3, 3]]),
        (np.max, 0.25, [[1, 2, 2, 2, 2], [3, 3, 3, 3, 3]]),
    ],
)
def test_padding(bi, value, ratio, rows):
    """Arrays are padded with a value, or with what a function says, in parts before and behind."""
    batch = [np.array([1, 2]), np.full(5, 3)]
    assert bi.pad_batch_equal(batch, value, ratio).tolist() == rows
    padded, labels = bi.combine_pad([(x, k) for k, x in enumerate(batch)], [value, 0], ratio)
    assert (padded.tolist(), labels.tolist()) == (rows, [0, 1])


def test_padding_of_several_axes(bi):
    """Each axis has its own share before."""
    found = bi.pad_batch_equal([np.ones((1, 1)), np.ones((3, 2))], ratio=[1, 0])
    assert found[0].tolist() == [[0, 0], [0, 0], [1, 0]]
    assert bi.pad_batch_equal([1, 2.5]).tolist() == [1, 2.5]
    with pytest.raises(ValueError):
        bi.pad_batch_equal([np.ones(2), np.ones((2, 2))])


def test_arrays(bi):
    """Tuples become arrays; of different lengths they are a ValueError."""
    xs, ys = bi.combine_to_arrays([([1, 2], 3), ([4, 5], 6)])
    assert (xs.tolist(), ys.tolist()) == ([[1, 2], [4, 5]], [3, 6])
    with pytest.raises(ValueError):
        bi.combine_to_arrays([(1, 2), (3,)])


def test_arrays_of_another_byte_order(bi):
    """A medical image's array may have the bytes of another machine; a batch of such has this one's."""
    image = np.arange(3, dtype=">i4")
    (batch,) = bi.combine_to_arrays([(image,), (image,)])
    assert (batch.tolist(), batch.dtype) == ([[0, 1, 2]] * 2, np.dtype("int32"))
    assert batch.dtype.isnative


def test_expiration_pool(bi):
    """The same global seed gives the same order; each item comes as often as it should."""
    np.random.seed(0)  # noqa: NPY002  the global one
    found = list(bi.expiration_pool("abcdef", pool_size=3, repetitions=2, iterations=2))
    assert "".join(found) == "aabbccddeeff"
    np.random.seed(0)  # noqa: NPY002  the global one
    assert "".join(bi.expiration_pool("abcdef", 3, 3)) == "aabaccdbdbcdefeffe"


@pytest.mark.parametrize("arguments", [{"pool_size": 0, "repetitions": 1}, {"pool_size": 1, "repetitions": 0}])
def test_expiration_pool_refuses(bi, arguments):
    """A pool of nothing is refused."""
    with pytest.raises(AssertionError):
        list(bi.expiration_pool("ab", **arguments))


def add(x, y=1):
    """Add."""
    return (x + y,)


def odd(xs):
    """Keep what is odd."""
    return ((x,) for x in xs if x % 2)


PIPELINES = {
    "plain": (lambda b: [lambda x: (x,)], {}, [[0, 1, 2], [3, 4, 5]]),
    "several": (lambda b: [lambda x: x * 2, lambda x: (x,)], {}, [[0, 2, 4], [6, 8, 10]]),
    "threads": (lambda b: [b.Threads(add, 5)], {}, [[5, 6, 7], [8, 9, 10]]),
    "loky": (lambda b: [b.Loky(add, y=5)], {}, [[5, 6, 7], [8, 9, 10]]),
    "iterator": (lambda b: [b.Iterator(odd)], {}, [[1, 3, 5], [7, 9, 11]]),
    "buffer": (lambda b: [add], {"buffer_size": 3}, [[1, 2, 3], [4, 5, 6]]),
    "combiner": (lambda b: [add], {"combiner": sorted}, [[(1,), (2,), (3,)], [(4,), (5,), (6,)]]),
    "combiner with options": (
        lambda b: [add],
        {"combiner": sorted, "reverse": True},
        [[(3,), (2,), (1,)], [(6,), (5,), (4,)]],
    ),
    "adaptive": (lambda b: [add], {"batch_size": lambda seq, item: item[0] % 4 != 0}, [[1, 2, 3], [4, 5, 6, 7]]),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(bi, name):
    """Two epochs of one batch give the items in order; one worker per stage keeps it in dpipe, too."""
    if bi.__name__ == "dpipe.batch_iter":
        pytest.skip("dpipe's threads and processes end some time after its close: run this by hand")
    make, options, expected = PIPELINES[name]
    with bi.Infinite(itertools.count(), *make(bi), **{"batch_size": 3, "batches_per_epoch": 1} | options) as batches:
        found = [next(iter(batches())), *batches]
    assert [x[0].tolist() if isinstance(x, tuple) else x for x in found] == expected


@pytest.mark.parametrize("make", [lambda bi: abs, lambda bi: bi.Threads(abs, n_workers=2), lambda bi: bi.Loky(abs)])
def test_pipelines_of_items(bi, make):
    """Without batches, items come through the stages one by one; a ``with`` block may be left early."""
    if bi.__name__ == "dpipe.batch_iter":
        pytest.skip("dpipe's threads and processes end some time after its close: run this by hand")
    wrap = importlib.import_module(f"{bi.__name__}.pipeline").wrap_pipeline
    assert list(wrap(range(-9, 0), make(bi), buffer_size=2)) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    with wrap(itertools.count(-2), make(bi)) as running:
        assert first(running, 3) == [2, 1, 0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"batches_per_epoch": 0}, ValueError),
        ({"batches_per_epoch": -1}, ValueError),
        ({"combiner": "a transform", "reverse": True}, ValueError),
    ],
)
def test_pipelines_are_refused(bi, options, error):
    """What cannot be is refused at once."""
    if "combiner" in options:
        options = options | {"combiner": bi.Threads(sorted)}
    with pytest.raises(error):
        bi.Infinite([], **{"batch_size": 1, "batches_per_epoch": 1} | options)


@pytest.mark.parametrize("name", ["Threads", "Loky", "Iterator"])
def test_workers_are_refused(bi, name):
    """No workers, or no room, is an AssertionError."""
    with pytest.raises(AssertionError):
        getattr(bi, name)(add, n_workers=0)
    with pytest.raises(AssertionError):
        getattr(bi, name)(add, buffer_size=0)


ITERTOOLS = {
    "pam": (lambda t: list(t.pam([min, max], 3, 4)), [3, 4]),
    "zip_equal": (lambda t: list(t.zip_equal([1, 2], iter("ab"))), [(1, "a"), (2, "b")]),
    "zip_equal of nothing": (lambda t: list(t.zip_equal()), []),
    "head_tail": (lambda t: [list(x) if i else x for i, x in enumerate(t.head_tail([1, 2, 3]))], [1, [2, 3]]),
    "peek": (lambda t: [list(x) if i else x for i, x in enumerate(t.peek(iter([1, 2, 3])))], [1, [1, 2, 3]]),
    "lmap": (lambda t: t.lmap(max, [1, 5], [4, 2]), [4, 5]),
    "pmap": (lambda t: list(t.pmap(pow, [1, 2, 3], 2)), [1, 4, 9]),
    "dmap": (lambda t: t.dmap(pow, {"a": 2}, 3), {"a": 8}),
    "zdict": (lambda t: t.zdict("ab", [1, 2]), {"a": 1, "b": 2}),
    "squeeze_first": (lambda t: (t.squeeze_first([1]), t.squeeze_first((1, 2))), (1, (1, 2))),
    "flatten": (lambda t: t.flatten([1, [2, [3]], (4,)]), [1, 2, 3, (4,)]),
    "flatten types": (lambda t: t.flatten([1, [2], (4, [5])], (list, tuple)), [1, 2, 4, 5]),
    "filter_mask": (lambda t: list(t.filter_mask("abc", [1, 0, 1])), ["a", "c"]),
    "extract": (lambda t: t.extract("abc", [2, 0]), ["c", "a"]),
    "negate_indices": (lambda t: t.negate_indices([0, 3], 5).tolist(), [1, 2, 4]),
    "make_chunks": (lambda t: list(t.make_chunks("abc", 2)), [("a", "b"), ["c"]]),
    "make_chunks complete": (lambda t: list(t.make_chunks("abc", 2, incomplete=False)), [("a", "b")]),
    "collect": (lambda t: t.collect(lambda n: iter(range(n)))(3), [0, 1, 2]),
    "stack": (lambda t: t.stack(1, dtype=float)(lambda: iter([[1, 2], [3, 4]]))().tolist(), [[1, 3], [2, 4]]),
    "recursive": (
        lambda t: t.recursive_conditional_map([1, [2, [3]]], str, lambda x: isinstance(x, int)),
        ("1", ("2", ("3",))),
    ),
}


@pytest.mark.parametrize("name", ITERTOOLS)
def test_itertools(it, name):
    """A function returns what is written down here."""
    call, expected = ITERTOOLS[name]
    assert call(it) == expected


@pytest.mark.parametrize("kinds", [(list, str), (iter, str), (list, iter), (iter, iter)])
def test_unequal_lengths(it, kinds):
    """Iterables of different lengths are a ValueError, whether they have a length or not."""
    with pytest.raises(ValueError):
        list(it.zip_equal(kinds[0]([1, 2]), kinds[1]("a")))


def test_async_pmap(it):
    """Results come in order."""
    ahead = it.AsyncPmap(pow, range(4), 2)
    ahead.start()
    assert list(ahead) == [0, 1, 4, 9]
