"""How threads are woken: no ring is lost, whenever it comes."""

from __future__ import annotations

import select

import pytest

from penstock.service.bell import Bell


@pytest.fixture
def bell():
    made = Bell()
    yield made
    made.close()


def heard(bell):
    """Whether whoever polls would wake up."""
    return bool(select.select([bell.number], [], [], 0)[0])


def test_many_rings_are_one(bell):
    """However often it is rung before somebody answers, one answer is enough."""
    for _ in range(3):
        bell.ring()
    assert heard(bell)
    bell.answer()
    assert not heard(bell)
    bell.ring()
    assert heard(bell)


class Interrupted:
    """A socket at which another thread rings just before what has come is taken."""

    def __init__(self, bell):
        self.bell = bell
        self.near = bell.near

    def recv(self, size):
        self.bell.ring()
        return self.near.recv(size)


def test_a_ring_in_the_middle_of_an_answer_does_not_silence_it(bell):
    """A ring that comes while somebody answers may be part of that answer, but the next one is heard."""
    near = bell.near
    bell.ring()
    bell.near = Interrupted(bell)
    bell.answer()
    bell.near = near
    bell.ring()
    assert heard(bell)


def test_ringing_a_closed_one(bell):
    """Whoever rings after the end is no trouble."""
    bell.close()
    bell.ring()
