"""Scrambled: a disorder that can be relied upon."""

from __future__ import annotations

import pytest

from penstock.graph.execution import Ticket, Work
from penstock.operations.source import Range
from penstock.testing import Scrambled, check_executor


@pytest.mark.parametrize("seed", range(5))
def test_contract(seed):
    """Whatever the disorder, the contract of executors is kept."""
    check_executor(Scrambled(seed=seed))


def test_really_scrambles():
    """Outcomes come in another order than tickets went, and in the same for the same seed."""
    orders = []
    for _ in range(2):
        session = Scrambled(seed=3).start(Work(Range(100)))
        for number in range(1, 21):
            session.submit(Ticket(number, 0, 0, number, number + 1))
        orders.append([session.collect().number for _ in range(20)])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(1, 21))
    assert orders[0] != sorted(orders[0])
