"""Windowing: holds a window, says where to begin again, and ends cleanly wherever the stream ends."""

from __future__ import annotations

import pytest

from penstock.graph.arranging import Windowed
from penstock.graph.node import Cursor
from penstock.graph.windowing import Windowing


class Counted(Cursor):
    """Numbers up to an end; its position is the next one."""

    def __init__(self, at, end):
        self.at = at or 0
        self.end = end
        self.asked = 0
        self.closed = False

    def __next__(self):
        if self.at >= self.end:
            self.asked += 1
            raise StopIteration
        self.at += 1
        return self.at - 1

    def position(self):
        """Return the next number."""
        return self.at

    def exhausted(self):
        """Tell whether all is read."""
        return self.at >= self.end

    def close(self):
        """Remember that."""
        self.closed = True


def cursor(end, window=9, times=1, position=None):
    """Return a windowed cursor over numbers."""
    return Windowing(lambda at: Counted(at, end), lambda n: Windowed(n, window, times, (0, 1, 0)), times, position)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("end", [0, 1, 2, 6, 7, 40, 100])
def test_every_position_resumes(end, times):
    """From the position after any item, exactly the remaining items come, with the same positions."""
    reading = cursor(end, times=times)
    items, positions = [], [reading.position()]
    for item in reading:
        items.append(item)
        positions.append(reading.position())
    assert sorted(items) == sorted(list(range(end)) * times)
    for count, position in enumerate(positions):
        again = cursor(end, times=times, position=position)
        assert again.position() == position
        for number, item in enumerate(again, count):
            assert item == items[number]
            assert again.position() == positions[number + 1]
        assert list(again) == []


def test_it_holds_and_reads_no_more_than_it_must():
    """It holds up to two blocks, and reads up to two blocks ahead."""
    reading = cursor(1000, window=30)
    size = reading.order.first.size
    assert size == 20
    for count, _ in enumerate(reading, 1):
        assert len(reading.held) <= 2 * size
        assert reading.below.at <= min(1000, count + 2 * size)
        again, at = reading.position()
        assert again == count
        assert (at or 0) >= count - 2 * size


def test_the_end_stays_the_end():
    """Asked again after the end it still is at its end, and does not ask the stream again."""
    reading = cursor(20)
    list(reading)
    asked = reading.below.asked
    assert list(reading) == []
    assert reading.below.asked == asked
    assert reading.exhausted()


def test_closing_reaches_the_stream():
    """Closing closes what is below; the place counts what was delivered."""
    reading = cursor(20)
    next(reading)
    assert reading.place == (0, 0)
    reading.prime()
    reading.close()
    assert reading.below.closed
