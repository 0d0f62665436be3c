"""What programs of users do to sequences: the same on ours and, where it is installed, on SeqTools itself."""

from __future__ import annotations

import importlib
import inspect
import itertools
import threading

import numpy as np
import pytest

OURS = "penstock.compat.seqtools"


@pytest.fixture(params=[OURS, "seqtools"])
def st(request):
    """Our module, and theirs."""
    return importlib.import_module(request.param) if request.param == OURS else pytest.importorskip(request.param)


def tenfold(x):
    """Return ten times as much."""
    return 10 * x


READINGS = {
    "a loop": (lambda st, g: g, list),
    "positions": (lambda st, g: g, lambda s: [s[i] for i in range(-6, 0)]),
    "a slice": (lambda st, g: st.smap(int, g)[0:6], list),
    "batches": (lambda st, g: st.batch(g, 4, collate_fn=list), lambda s: [x for batch in s for x in batch]),
    "batches by position": (lambda st, g: st.batch(g, 4), lambda s: [*s[0], *s[1]]),
    "a mapping": (lambda st, g: st.smap(int, g), list),
    "a condition": (lambda st, g: st.switch([True] * 6, g, g), list),
    "a part": (lambda st, g: st.split(g, [3]), lambda s: [*s[0], *s[1]]),
    "a join": (lambda st, g: st.concatenate([g, "ab"]), lambda s: list(s)[:6]),
    "threads": (lambda st, g: st.prefetch(st.batch(g, 2), 2, "thread", 2), lambda s: [x for pair in s for x in pair]),
    "threads behind threads": (
        lambda st, g: st.prefetch(st.smap(int, st.prefetch(g, 1, "thread", 2)), 1, "thread", 2),
        list,
    ),
}


@pytest.mark.parametrize("positions", [list, np.array], ids=["list", "array"])
@pytest.mark.parametrize("name", READINGS)
def test_positions_that_are_shuffled_in_place(st, name, positions):
    """Many a program shuffles the indexes that it gave to gather, epoch by epoch: the next loop sees them."""
    make, read = READINGS[name]
    order = positions(range(6))
    sequence = make(st, st.gather(st.smap(tenfold, range(6)), order))
    draw = np.random.RandomState(0)
    for _ in range(3):
        assert read(sequence) == [10 * int(i) for i in order]
        draw.shuffle(order)


@pytest.mark.parametrize("positions", [list, np.array], ids=["list", "array"])
def test_positions_that_are_changed_reach_processes(positions):
    """Workers of another process are told of another order before the next loop, and of none in mid-loop."""
    st = importlib.import_module(OURS)
    order = positions(range(6))
    with st.prefetch(st.gather(st.smap(tenfold, range(6)), order), 1, "process", 2) as ahead:
        assert list(ahead) == [0, 10, 20, 30, 40, 50]
        order[0], order[5] = 5, 0
        assert list(ahead) == [50, 10, 20, 30, 40, 0]
        assert list(ahead) == [50, 10, 20, 30, 40, 0]


def test_a_gather_of_a_gather_is_of_the_first_sequence(st):
    """The positions of the inner one are looked up once, when the outer one is made."""
    data, order = ["a", "b", "c"], [2, 1, 0]
    nested = st.gather(st.gather(data, order), [0, 2])
    order[0] = 1
    assert (list(nested), nested.sequence is data, list(nested.indexes)) == (["c", "a"], True, [2, 0])
    nested[0] = "x"
    assert data == ["a", "b", "x"]


def third_is_bad(x):
    """Fail for 3."""
    if x == 3:
        raise LookupError("three")
    return x


BEHIND = {
    "the mapping itself": (lambda st, s: s, 3),
    "a slice": (lambda st, s: s[2:], 1),
    "a batch": (lambda st, s: st.batch(s, 2), 1),
    "a gather": (lambda st, s: st.gather(s, [3]), 0),
    "another mapping": (lambda st, s: st.smap(str, s), 3),
    "a mapping of batches": (lambda st, s: st.smap(len, st.batch(s, 2)), 1),
    "a mapping of several": (lambda st, s: st.smap(lambda x, y: x, s, s), 3),
}


@pytest.mark.parametrize("read", [lambda s, index: s[index], lambda s, index: list(s)], ids=["position", "loop"])
@pytest.mark.parametrize("name", BEHIND)
def test_errors_name_the_function_that_failed(st, name, read):
    """Whatever is behind it: the message has the failing mapping's own item, and the line where it was written."""
    behind, index = BEHIND[name]
    line = inspect.currentframe().f_lineno + 1
    mapped = st.smap(third_is_bad, range(5))
    sequence = behind(st, mapped)
    with pytest.raises(st.EvaluationError) as caught:
        read(sequence, index)
    assert "item 3 in" in str(caught.value)
    assert f"line {line}," in str(caught.value)
    assert type(caught.value.__cause__) is LookupError


@pytest.mark.parametrize(("options", "read"), [({"collate_fn": tuple}, (7, 8)), ({"pad": 0}, [7, 8])])
def test_batches_take_any_sequence(st, options, read):
    """A batch is assigned from a tuple, whatever its items are collated by; so are many at once."""
    x = [0, 1, 2, 3, 9]
    batches = st.batch(x, 2, **options)
    batches[1] = (7, 8)
    assert (x, type(read)(batches[1])) == ([0, 1, 7, 8, 9], read)
    batches[0:2] = [(4, 5), (6, 7)]
    assert x == [4, 5, 6, 7, 9]


def test_a_cache_keeps_what_cannot_be_copied(st):
    """Open files, locks and models are kept as they are; maps of files are not read for it."""
    made = []

    def lock(i):
        made.append(i)
        return threading.Lock()

    locks = st.add_cache(st.smap(lock, range(3)), 2)
    assert locks[1] is locks[1]
    assert made == [1]


def test_a_cache_does_not_read_the_files_that_are_mapped(st, tmp_path):
    """A mapped array stays one: only the rows that are used are read."""
    np.save(tmp_path / "x.npy", np.arange(6))
    maps = st.add_cache(st.smap(lambda name: np.load(tmp_path / name, mmap_mode="r"), ["x.npy"]))
    assert [type(maps[0]) for _ in range(2)] == [np.memmap] * 2
    assert list(st.unbatch(maps, 6)) == list(range(6))


def test_rows_that_cannot_be_copied_are_unbatched(st):
    """What is in a batch need not be data."""
    locks = [[threading.Lock(), threading.Lock()], [threading.Lock()]]
    rows = st.unbatch(locks, 2, 1)
    assert [rows[i] is lock for i, lock in enumerate([*locks[0], *locks[1]])] == [True] * 3
    assert len(list(rows)) == 3


def test_entries_of_a_series_come_in_its_order(st):
    """A column of a table that was filtered or shuffled is read by position, whatever its labels are."""
    column = pytest.importorskip("pandas").Series(["a", "b", "c"], index=[7, 0, 2])
    assert list(st.smap(str.upper, column)) == ["A", "B", "C"]
    assert list(st.concatenate([column, ["d"]])) == ["a", "b", "c", "d"]


def test_bytes_are_sequences_of_numbers(st):
    """As in Python."""
    assert list(st.smap(tenfold, b"\x01\x02")) == [10, 20]
    assert list(st.gather(b"abc", [2, 0])) == [99, 97]


class Filling:
    """A function that fills the same arrays again and again."""

    def __init__(self):
        self.calls = 0
        self.kept = []

    def __call__(self, number=None):
        if not self.kept:
            self.kept = [np.empty(4, int), np.empty(2, int)]
        self.calls += 1
        for array in self.kept:
            array[:] = self.calls if number is None else number
        return {"x": self.kept[0], "y": (self.kept[1], number)}


@pytest.mark.parametrize("wrap", [lambda st, s: s, lambda st, s: st.gather(s, list(range(300))), lambda st, s: s[::-1]])
def test_arrays_that_a_function_keeps(wrap):
    """Each result arrives from a process as it was when the function returned it: SeqTools pickles it at once."""
    st = importlib.import_module(OURS)
    sequence = wrap(st, st.smap(Filling(), range(300)))
    expected = [item["y"][1] for item in sequence]
    with st.prefetch(sequence, 1, "process", 4) as ahead:
        assert [{*item["x"].tolist(), *item["y"][0].tolist()} for item in ahead] == [{number} for number in expected]


def test_buffers_that_a_function_keeps():
    """What load_buffers is there for: a function that fills its buffers, and returns them."""
    st = importlib.import_module(OURS)
    buffers = st.load_buffers(Filling(), 4, 1)
    found = [[*item["x"].tolist(), *item["y"][0].tolist()] for item in itertools.islice(buffers, 300)]
    buffers.close()
    assert found == [[call] * 6 for call in range(1, 301)]


BUFFERS = {
    "array": lambda: np.zeros(5, int),
    "list": lambda: [0] * 5,
    "pair": lambda: (np.zeros(5, int), [0]),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_ring_buffers_of_threads(st, kind):
    """Buffers in a ring, two more than may be waiting: none is written again before the loop is through with it."""
    ring = [BUFFERS[kind]() for _ in range(6)]

    def fill(numbers, buffer):
        target = buffer[0] if kind == "pair" else buffer
        target[:] = numbers
        return buffer

    batches = st.batch(st.arange(10000), 5, collate_fn=list)
    filled = st.smap(fill, batches, st.cycle(ring, len(batches)))
    ahead = st.prefetch(filled, 2, "thread", 4)
    for _ in range(2):
        for count, buffer in enumerate(ahead):
            assert buffer is ring[count % 6]
            assert list(buffer[0] if kind == "pair" else buffer) == list(range(5 * count, 5 * count + 5))
