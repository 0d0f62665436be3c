"""peek and speed: what items look like, and how fast they come."""

from __future__ import annotations

import io

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, LengthError
from penstock.watching.speed import Speed, timed


def test_peek_prints_an_item(capsys):
    """Any position of a sequence, also from the end; of a stream, one from the front."""
    ps.range(10).map(float).peek()
    ps.range(10).peek(-1)
    ps.range(10).filter(bool).peek(2)
    ps.range(3).repeat().peek(4)
    assert capsys.readouterr().out.splitlines() == [
        "item 0 of 10: float  0.0",
        "item 9 of 10: int  9",
        "item 2: int  3",
        "item 4: int  1",
    ]
    text = io.StringIO()
    ps.arrays(x=np.arange(4.0)).batch(2).peek(1, file=text)
    assert text.getvalue() == "item 1 of 2: dict of 1\n  x  float64 (2,)  2 to 3, mean 2.5\n"


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: ps.range(3).peek(3), IndexError, "3"),
        (lambda: ps.stream([1]).peek(1), IndexError, "1"),
        (lambda: ps.stream([1]).peek(-1), ArgumentError, "-1"),
        (lambda: ps.range(3).peek("x"), ArgumentTypeError, "index"),
        (lambda: ps.range(3).peek(entries=0), ArgumentError, "entries"),
        (lambda: ps.range(3).speed(seconds=0), ArgumentError, "seconds"),
        (lambda: ps.range(3).speed(seconds="1"), ArgumentTypeError, "seconds"),
        (lambda: ps.range(3).speed(count=0), ArgumentError, "count"),
        (lambda: ps.range(3).speed(operations=1), ArgumentTypeError, "operations"),
        (lambda: ps.range(0).speed(), LengthError, "no items"),
    ],
)
def test_bad_arguments(call, error, word):
    """What is not there, or no number, is refused with its name."""
    with pytest.raises(error, match=word):
        call()


@pytest.mark.parametrize("workers", [None, ps.Threads(2), ps.Processes(2)], ids=repr)
def test_speed_counts(workers):
    """Items, rows and bytes are counted over several epochs, whoever computes them."""
    dataset = ps.range(40).map(lambda x: np.full(10, x, np.float32)).batch(4)
    found = dataset.speed(workers=workers, count=25, progress=False, operations=False)
    assert (found.count, found.rows, found.nbytes, found.batched) == (25, 100, 4000, True)
    assert found.items_per_second == pytest.approx(4 * found.batches_per_second)
    assert found.megabytes_per_second == pytest.approx(found.items_per_second * 40e-6)
    assert sorted(found.delays) == list(found.delays)
    assert len(found.delays) == 4
    assert repr(workers or ps.Inline()) in str(found)


@pytest.mark.parametrize(
    ("dataset", "batched", "rows"),
    [
        (ps.range(6), False, 5),
        (ps.range(6).batch(2).map(lambda b: b), True, 10),
        (ps.range(60).batch(2).unbatch(), False, 5),
        (ps.range(60).filter(bool).batch_by(3, lambda x: 1), True, 15),
        (ps.stream([[1, 2], [3]]), False, 5),
    ],
    ids=repr,
)
def test_rows_are_those_of_batches(dataset, batched, rows):
    """Whether items are batches is what the steps say, not what items look like."""
    found = dataset.speed(count=5, progress=False)
    assert (found.batched, found.rows) == (batched, rows)
    assert (found.batches_per_second is not None) == batched


def test_speed_stops_by_the_clock():
    """An endless dataset is read for the time that was said."""
    found = ps.range(3).repeat().speed(seconds=0.05, progress=False)
    assert found.seconds == pytest.approx(0.05, abs=0.5)
    assert found.operations[0].operation == "range(3)"


def test_live_sources_are_not_read_twice():
    """What a live source gives is measured once: steps are not measured apart."""
    found = ps.stream(iter(range(50)), once=True).map(str).speed(count=40, progress=False)
    assert (found.count, found.operations) == (40, ())


def test_text():
    """What is printed has rates, waits, and a line for each step that costs anything."""
    steps = (ps.range(3).map(str).batch(2).speed(count=3, progress=False)).operations
    found = Speed("p", "Inline()", 101, 202, True, 4_000_000, 2.0, 0.5, (0.01, 0.02, 0.03, 1.5), steps)
    lines = str(found).splitlines()
    assert lines[2] == "100.0 items/s, 50.0 batches/s, 2.0 MB/s"
    assert lines[3] == "101 batches in 2.00 s, the first after 0.50 s"
    assert lines[4] == "waited for each: median 10 ms, 90 % below 20 ms, 99 % below 30 ms, longest 1.5 s"
    assert any(line.startswith("  map(str)") for line in lines)
    assert "too few" in str(Speed("p", "Inline()", 1, 1, False, 0, 0.0, 0.5, ()))
    assert [timed(x) for x in (2.5, 0.0125, 3.2e-6, 0)] == ["2.5 s", "12.5 ms", "3.2 µs", "0 µs"]
