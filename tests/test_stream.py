"""Stream: read from the front, and words for what it does not have."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, LengthError

STREAM = ps.range(10).filter(lambda x: x % 2)


def test_no_length():
    """A stream's length is refused with the reason, and the stream."""
    with pytest.raises(LengthError, match=r"shows only when it is read.*filter\(lambda\)"):
        len(STREAM)


@pytest.mark.parametrize("index", [0, -1, "x", slice(3), slice(None, None, -1)], ids=str)
def test_no_positions(index):
    """Positions and slices are refused, with the way to look at the beginning."""
    with pytest.raises(ArgumentTypeError, match=r"no positions.*next\(iter\(stream\)\) or \.take\(n\)"):
        STREAM[index]


def test_the_way_that_is_named_works():
    """What the refusal recommends does what it says."""
    assert next(iter(STREAM)) == 1
    assert list(STREAM.take(2)) == [1, 3]


def test_list_of_a_stream_reads_it():
    """list() does not stumble over the missing length."""
    assert list(STREAM) == [1, 3, 5, 7, 9]
    assert tuple(STREAM) == (1, 3, 5, 7, 9)
    assert 3 in STREAM
    assert 4 not in STREAM


def test_truth():
    """A stream is true, read or not, empty or not."""
    assert ps.stream([])


def test_a_loader_of_a_stream_has_no_length():
    """A loader over a stream refuses its length like the stream."""
    with STREAM.loader() as loader, pytest.raises(LengthError, match="only when it is read"):
        len(loader)
    with STREAM.loader() as loader:
        assert list(loader) == [1, 3, 5, 7, 9]


def test_a_stream_cannot_be_reversed():
    """reversed() is refused."""
    with pytest.raises(TypeError):
        list(reversed(STREAM))
