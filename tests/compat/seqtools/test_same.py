"""Small programs that do the same on ours and, where it is installed, on SeqTools itself."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

OURS = "penstock.compat.seqtools"


@pytest.fixture(params=[OURS, "seqtools"])
def st(request):
    """Our module, and theirs."""
    return importlib.import_module(request.param) if request.param == OURS else pytest.importorskip(request.param)


def alone(st, method):
    """Leave processes to ours: theirs outlive the sequence, and this test with it."""
    if method == "process" and st.__name__ != OURS:
        pytest.skip("SeqTools' processes end some time after the sequence that they served")


def square(x):
    """Return the square."""
    return x * x


READS = {
    "smap": (lambda st: st.smap(square, [1, 2, 3]), [1, 4, 9]),
    "smap of several": (lambda st: st.smap(lambda x, y: x + y, [1, 2], (3, 4)), [4, 6]),
    "smap of smap": (lambda st: st.smap(str, st.smap(square, range(3))), ["0", "1", "4"]),
    "starmap": (lambda st: st.starmap(pow, [(2, 3), (3, 2)]), [8, 9]),
    "arange": (lambda st: st.arange(2, 9, 3), [2, 5, 8]),
    "arange down": (lambda st: st.arange(5, 0, -2), [5, 3, 1]),
    "arange of none": (lambda st: st.arange(5, 2), []),
    "gather": (lambda st: st.gather("dehlorw ", [2, 1, 3, 3, 4, 7]), list("hello ")),
    "gather negative": (lambda st: st.gather([1, 2, 3], [-1, 0]), [3, 1]),
    "gather of gather": (lambda st: st.take(st.take([1, 2, 3], [2, 1, 0]), np.array([0, 2])), [3, 1]),
    "concatenate": (lambda st: st.concatenate([[0, 1], (2,), range(3, 5)]), [0, 1, 2, 3, 4]),
    "concatenate nested": (lambda st: st.concatenate([st.concatenate([[1], [2]]), [3]]), [1, 2, 3]),
    "collate": (lambda st: st.collate([[1, 2], ["a", "b"]]), [(1, "a"), (2, "b")]),
    "interleave": (
        lambda st: st.interleave([1, 2, 3, 4, 5], ["a", "b", "c"], [0.1, 0.2, 0.3, 0.4]),
        [1, "a", 0.1, 2, "b", 0.2, 3, "c", 0.3, 4, 0.4, 5],
    ),
    "cycle": (lambda st: st.cycle(["a", "b", "c"], 7), list("abcabca")),
    "repeat": (lambda st: st.repeat(3, 4), [3, 3, 3, 3]),
    "batch": (lambda st: st.batch([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]),
    "batch drop": (lambda st: st.batch([1, 2, 3, 4, 5], 2, drop_last=True), [[1, 2], [3, 4]]),
    "batch pad": (lambda st: st.batch([1, 2, 3], 2, pad=-1, collate_fn=tuple), [(1, 2), (3, -1)]),
    "batch collate": (lambda st: st.batch(range(4), 2, collate_fn=sum), [1, 5]),
    "unbatch": (lambda st: st.unbatch([[1, 2], [3, 4], [5]], 2, 1), [1, 2, 3, 4, 5]),
    "unbatch batch": (lambda st: st.unbatch(st.batch(range(6), 3), 3), [0, 1, 2, 3, 4, 5]),
    "split": (lambda st: st.split([0, 1, 2, 3, 4, 5], [2, 3]), [[0, 1], [2], [3, 4, 5]]),
    "split even": (lambda st: st.split([0, 1, 2, 3], 1), [[0, 1], [2, 3]]),
    "split pairs": (lambda st: st.split([0, 1, 2, 3], [(0, 2), (1, 4)]), [[0, 1], [1, 2, 3]]),
    "uniter": (lambda st: st.uniter(range(9), cache_size=2, n_parallel=2, size=5), [0, 1, 2, 3, 4]),
    "add_cache": (lambda st: st.add_cache(st.smap(square, range(4)), 2), [0, 1, 4, 9]),
    "add_cache own": (lambda st: st.add_cache(st.smap(square, range(4)), 2, OrderedDict()), [0, 1, 4, 9]),
    "debug": (lambda st: st.instrument.debug([1, 2, 3], lambda i, x: None, 2), [1, 2, 3]),
    "monitor": (lambda st: st.instrument.monitor_throughput([1, 2, 3]), [1, 2, 3]),
    "slice": (lambda st: st.smap(square, range(10))[2:8:2], [4, 16, 36]),
    "slice back": (lambda st: st.smap(square, range(10))[7:1:-3], [49, 16]),
    "slice of slice": (lambda st: st.smap(square, range(10))[1:][::2][1:3], [9, 25]),
    "prefetch": (lambda st: st.prefetch(st.smap(square, range(20)), nworkers=2), [x * x for x in range(20)]),
    "prefetch none": (lambda st: st.prefetch(st.smap(square, range(5))), [0, 1, 4, 9, 16]),
}


@pytest.mark.parametrize("name", READS)
def test_reads(st, name):
    """Length, iteration (twice), and each position give the same items."""
    make, expected = READS[name]
    sequence = make(st)
    assert len(sequence) == len(expected)
    assert list(sequence) == expected
    assert [sequence[i] for i in range(len(expected))] == expected
    assert list(sequence) == expected


@pytest.mark.parametrize("name", [name for name in READS if not name.startswith(("prefetch", "arange"))])
def test_positions_from_the_end(st, name):
    """Negative positions count from the end, and what is beyond raises IndexError."""
    make, expected = READS[name]
    sequence = make(st)
    assert [sequence[-i] for i in range(1, len(expected) + 1)] == expected[::-1]
    for index in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            sequence[index]


@pytest.mark.parametrize(
    ("make", "index", "expected"),
    [
        (lambda st: st.cycle(["a", "b", "c"]), 3 * 10**9 + 1, "b"),
        (lambda st: st.cycle("abc")[4:9], 2, "a"),
        (lambda st: st.repeat(7), 10**9, 7),
        (lambda st: st.switch([True, False], "ab", "xy"), 0, "a"),
        (lambda st: st.switch([True, False], "ab", "xy"), -1, "y"),
        (lambda st: st.case([2, 0], "ab", "kl", "xy"), 0, "x"),
        (lambda st: st.case(st.smap(int, [False, True]), "ab", st.smap(str.upper, "xy")), 1, "Y"),
        (lambda st: st.smap(square, st.cycle([1, 2])), 101, 4),
        (lambda st: st.uniter(range(9), cache_size=2), 7, 7),
    ],
)
def test_single_reads(st, make, index, expected):
    """Positions of what has no end or no iteration."""
    assert make(st)[index] == expected


@pytest.mark.parametrize("make", [lambda st: st.cycle([1]), lambda st: st.repeat(1), lambda st: st.uniter(range(3))])
def test_no_length(st, make):
    """What has no end, or none that is known, has no length."""
    with pytest.raises(TypeError):
        len(make(st))
    with pytest.raises(IndexError):
        make(st)[-1]


def test_writing(st):
    """Assignment reaches the list behind slices, selections, joins, batches, repetitions and conditions."""
    x, y = [0, 1, 2, 3], [10, 11]
    st.concatenate([x, y])[-1] = "c"
    st.gather(x, [3, 1])[0] = "g"
    st.concatenate([x, y])[0:2] = ["s", "t"]
    st.batch(x, 2)[1] = ["b", "d"]
    st.interleave(x, y)[1] = "i"
    assert (x, y) == (["s", "t", "b", "d"], ["i", "c"])
    st.cycle(x, 6)[4] = "y"
    st.collate([x, x[:]])[1] = ("k", "l")
    st.switch([True, False, True, True], [0] * 4, x)[1] = "w"
    st.split(x, [1])[0] = ["p"]
    st.add_cache(x)[3] = "a"
    assert x == ["p", "w", "b", "a"]


def test_writing_behind_a_batch_with_a_collate_function(st):
    """A batch's rows are written, whatever its items are made into when they are read."""
    x = [1, 2, 3]
    batches = st.batch(x, 2, collate_fn=sum)
    batches[0] = [10, 20]
    assert (x, batches[0]) == ([10, 20, 3], 30)
    with pytest.raises(ValueError):
        batches[0] = [1]


def test_writing_behind_a_cache_is_seen(st):
    """What was written is read, though something else was kept."""
    x = [1, 2, 3]
    for cached in (st.add_cache(x, 2), st.add_cache(x, 2, OrderedDict()), st.add_cache(st.batch(x, 1), 2)):
        cached[0]
        cached[0] = cached[1]
        assert cached[0] == cached[1]


def test_writing_behind_a_mapping_is_refused(st):
    """Nobody knows what to write there."""
    with pytest.raises(TypeError):
        st.smap(square, [1, 2])[0] = 4


def fail(x):
    """Raise for 2."""
    if x == 2:
        raise KeyError("two")
    return x


@pytest.mark.parametrize("wrap", [lambda st, s: s, lambda st, s: st.batch(s, 4), lambda st, s: st.smap(str, s)])
def test_errors_are_wrapped(st, wrap):
    """An error in a mapping, or behind one, is an EvaluationError whose cause is the original; others can be read."""
    sequence = wrap(st, st.smap(fail, range(4)))
    with pytest.raises(st.EvaluationError) as caught:
        list(sequence)
    assert type(caught.value.__cause__) is KeyError
    assert __file__ in str(caught.value)


def test_errors_pass_through(st):
    """After seterr('passthrough') the original arrives; the setting belongs to the thread."""
    try:
        assert st.seterr("passthrough") == "passthrough"
        with pytest.raises(KeyError):
            st.smap(fail, range(4))[2]
        with pytest.raises(KeyError):
            list(st.prefetch(st.smap(fail, range(4)), 2))
    finally:
        assert st.seterr("wrap") == "wrap"
    with pytest.raises(ValueError):
        st.seterr("other")


def test_errors_of_collation_and_of_sources_are_themselves(st):
    """Only a mapping wraps: a collate function's error, or the source's, arrives as it is; a mapping behind wraps it."""

    class Source:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise OSError("gone")

    batches = st.batch(st.smap(square, range(4)), 2, collate_fn=lambda items: items[7])
    with pytest.raises(IndexError):
        batches[0]
    with pytest.raises(st.EvaluationError):
        st.smap(str, batches)[0]
    with pytest.raises(OSError):
        st.concatenate([Source(), [1]])[0]
    with pytest.raises(st.EvaluationError):
        st.smap(str, Source())[0]


@pytest.mark.parametrize("method", ["thread", "process"])
def test_errors_of_prefetch(st, method):
    """An error comes at its own place, wrapped, with its cause; reading goes on behind it."""
    alone(st, method)
    ahead = st.prefetch(st.smap(fail, range(6)), 2, method, 4)
    assert [ahead[0], ahead[1]] == [0, 1]
    with pytest.raises(st.EvaluationError) as caught:
        ahead[2]
    assert type(caught.value.__cause__) is KeyError
    assert [ahead[3], ahead[4], ahead[0]] == [3, 4, 0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda st: st.smap(3, [1]), TypeError),
        (lambda st: st.smap(square), ValueError),
        (lambda st: st.collate([[1], [1, 2]]), ValueError),
        (lambda st: st.split([1, 2, 3], 1), ValueError),
        (lambda st: st.case([0], [1], [1, 2]), ValueError),
        (lambda st: st.repeat(1, "x"), TypeError),
        (lambda st: st.smap(square, [1])["x"], TypeError),
        (lambda st: st.prefetch([1], 2, max_buffered=0), ValueError),
        (lambda st: st.prefetch([1], 2, "other"), ValueError),
        (lambda st: st.prefetch([1], -1000), ValueError),
        (lambda st: st.instrument.monitor_throughput([1]).read_delay(), RuntimeError),
    ],
)
def test_refusals(st, call, error):
    """What makes no sense is refused with the same kind of exception."""
    with pytest.raises(error):
        call(st)


def test_debug_and_its_limits(st):
    """The function sees index and value of each read, and no more than it may."""
    seen = []
    watched = st.instrument.debug([5, 6, 7], lambda i, value: seen.append((i, value)), max_calls=3)
    assert [watched[-1], watched[0], watched[1], watched[2]] == [7, 5, 6, 7]
    assert seen == [(2, 7), (0, 5), (1, 6)]
    seen.clear()
    slow = st.instrument.debug(range(1000), lambda i, value: seen.append(i), max_rate=0.001)
    assert list(slow) == list(range(1000))
    assert len(seen) <= 1


def test_start_hooks(st, tmp_path):
    """A hook runs once in each worker; in processes it is told the worker's number."""
    calls = []
    assert list(st.prefetch(range(40), 2, "thread", 8, lambda: calls.append(1))) == list(range(40))
    assert len(calls) in (1, 2)
    alone(st, "process")
    ahead = st.prefetch(range(40), 2, "process", 8, lambda number: (tmp_path / str(number)).touch())
    assert list(ahead) == list(range(40))
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "1"}


def test_items_of_arrays_travel_from_processes(st):
    """Arrays arrive whole, whatever shared memory they came in."""
    alone(st, "process")
    ahead = st.prefetch(st.smap(lambda i: np.full((50, 50), i), range(12)), 2, "process", 6, shm_size=1 << 20)
    assert [int(x.sum()) for x in ahead] == [2500 * i for i in range(12)]


def test_every_public_name_is_there():
    """Each public name of SeqTools is there, in the same module, and takes the same arguments."""
    theirs = pytest.importorskip("seqtools")
    ours = importlib.import_module(OURS)
    assert set(theirs.__all__) <= set(ours.__all__)
    for module in ("", ".buffering", ".errors", ".evaluation", ".indexing", ".instrument", ".mapping", ".shape"):
        one, other = importlib.import_module(f"seqtools{module}"), importlib.import_module(f"{OURS}{module}")
        for name, value in vars(one).items():
            if name in theirs.__all__ and inspect.isfunction(value) and value.__module__ == one.__name__:
                expected = list(inspect.signature(value).parameters)
                assert list(inspect.signature(getattr(other, name)).parameters)[: len(expected)] == expected, name


def test_what_a_view_is_made_of(st):
    """A gather tells its sequence and its indexes, cut where it is cut; a concatenation its sequences, flat."""
    chosen = st.gather("abcd", [3, 0, 2])[1:]
    assert (chosen.sequence, chosen.indexes) == ("abcd", [0, 2])
    joined = st.concatenate([st.concatenate([[1], [2]]), [3]])
    assert list(map(list, joined.sequences)) == [[1], [2], [3]]


@pytest.mark.parametrize("name", ["cycle", "repeat"])
def test_what_has_no_end_has_no_last_position(st, name):
    """Positions from the end of an endless sequence are an IndexError, read, written, or in a slice."""
    endless = getattr(st, name)([1, 2, 3])
    for key in (-1, slice(-20, None, 4), slice(0, -10)):
        with pytest.raises(IndexError):
            endless[key]
        if name == "repeat":
            with pytest.raises(IndexError):
                endless[key] = [5] * 10


def test_a_decorated_function_keeps_its_source(st, tmp_path, monkeypatch):
    """With SerializableFunc as its decorator, a function travels twice, and stays what it was when its file changes."""
    file = tmp_path / f"decorated_{st.__name__.replace('.', '_')}.py"
    file.write_text(f"from {st.__name__} import SerializableFunc\n\n@SerializableFunc\ndef one():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module(file.stem).one
    data = pickle.dumps(function)
    file.write_text("one = None\n")
    once = pickle.loads(data)
    twice = pickle.loads(pickle.dumps(once))
    assert (once(), twice()) == (1, 1)


@pytest.mark.parametrize("method", ["thread", "process"])
def test_workers_start_where_prefetch_is_called(st, method, tmp_path):
    """A program may wait for its workers before it reads: they begin at once."""
    alone(st, method)
    os.mkfifo(tmp_path / "began")

    def tell(*number):
        (tmp_path / "began").write_text("yes")

    ahead = st.prefetch(st.smap(square, range(5)), 1, method, 4, start_hook=tell)
    assert (tmp_path / "began").read_text() == "yes"
    assert list(ahead) == [0, 1, 4, 9, 16]
