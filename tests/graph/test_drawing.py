"""Drawings: a step a line, branches above what joins them, and one line for a whole pipeline."""

from __future__ import annotations

import pytest

import penstock as ps


def test_one_line():
    """A chain reads from its source to its last step."""
    dataset = ps.range(1000).shuffle().map(str).batch(64)
    assert repr(dataset) == "<Sequence of 16 items: range(1000) → shuffle() → map(str) → batch(64)>"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (ps.range(0), "0 items"),
        (ps.range(1), "1 item:"),
        (ps.range(1234567), "1,234,567 items"),
        (ps.range(3).repeat(), "without end"),
        (ps.range(3).filter(bool), "length not known before reading"),
    ],
)
def test_lengths_in_words(dataset, words):
    """One item is singular, thousands are separated, endless and unknown are different things."""
    assert words in repr(dataset)


def test_joins_in_one_line():
    """A join shows its branches within it, with its own words."""
    a, b = ps.range(3).shuffle(), ps.range(3)
    assert repr(ps.concat(a, b).batch(2)).endswith("concat(range(3) → shuffle(), range(3)) → batch(2)>")
    text = repr(ps.zip(x=a, y=b, strict=True))
    assert "strict=True" in text
    assert "x" in text.partition("zip")[2]


def test_a_chain():
    """Every step has a line of its own, with the length behind it, in one column."""
    assert ps.range(10).filter(bool).batch(4).draw().splitlines() == [
        "range(10)      10 items",
        "│",
        "filter(bool)   length not known before reading, computed in the workers, element by element",
        "│",
        "batch(4)       length not known before reading, computed in the caller",
    ]


def test_printing_draws():
    """print() of a dataset is its drawing."""
    assert str(ps.range(3).shuffle()) == ps.range(3).shuffle().draw()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_branches_join(count):
    """Each branch is drawn once above the join, and every line is connected to one below."""
    lines = ps.zip(*(ps.range(k + 3).map(str) for k in range(count))).batch(2).draw().splitlines()
    for k in range(count):
        assert sum(f"range({k + 3})" in line for line in lines) == 1
    assert sum("map(str)" in line for line in lines) == count
    assert [line.split()[0] for line in lines][-3:] == ["zip()", "│", "batch(2)"]
    assert sum("┘" in line for line in lines) == count


def test_a_long_chain_can_be_drawn():
    """Hundreds of steps are drawn, a line each and one between."""
    dataset = ps.range(3)
    for _ in range(300):
        dataset = dataset.map(str)
    assert len(dataset.draw().splitlines()) == 601


def test_lines_have_no_trailing_blanks():
    """A drawing can be pasted into a document as it is."""
    text = ps.zip(ps.range(3), ps.range(40000).shuffle()).batch(2).draw()
    assert all(line == line.rstrip() for line in text.splitlines())
