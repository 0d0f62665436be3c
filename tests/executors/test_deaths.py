"""Deaths: items that kill are told from items that are killed, and workers that cannot start from both."""

from __future__ import annotations

import signal

import pytest

import penstock as ps
from penstock.errors import WorkerDied
from penstock.executors.deaths import HOPELESS, KILLED, OWN_FAULT, PATIENCE, Deaths, reason
from penstock.graph.execution import Split, Ticket
from penstock.graph.node import Place
from penstock.graph.reading import Plan

KILL = -signal.SIGKILL


def deaths() -> Deaths:
    """Return an account of a pipeline of one map."""
    return Deaths(Plan(ps.range(100).map(str).node), 2)


def struck(account: Deaths, ticket: Ticket, status: int) -> int:
    """Return after how many deaths a ticket is given up."""
    return next(n for n in range(1, 100) if account.strike(ticket, None, status) is not None)


@pytest.mark.parametrize(
    ("status", "size", "expected"),
    [
        (3, 1, OWN_FAULT),
        (-signal.SIGSEGV, 1, OWN_FAULT),
        (KILL, 1, KILLED),
        (-signal.SIGTERM, 1, KILLED),
        (KILL, 5, OWN_FAULT),
    ],
)
def test_how_many_deaths_end_an_items_life(status, size, expected):
    """A crash or an exit counts more than a kill; of several positions, each is soon tried alone."""
    assert struck(deaths(), Ticket(1, 0, 1, 7, 7 + size), status) == expected


def test_kills_at_random_are_forgiven():
    """Where workers were killed at items that were computed in the end, more kills are forgiven, up to a limit."""
    account = deaths()
    for number in range(2, 6):
        account.strike(Ticket(number, 0, 1, number, number + 1), None, KILL)
        account.computed(number)
    assert struck(account, Ticket(1, 0, 1, 7, 8), KILL) == KILLED + 4
    account.innocent = 1000
    assert struck(account, Ticket(1, 0, 1, 7, 8), KILL) == HOPELESS


def test_the_error_names_item_and_operation():
    """A ticket of one position ends with an error that says which; one of many asks to be split."""
    account = deaths()
    ticket = Ticket(1, 4, 1, 7, 8)
    account.strike(ticket, (1, 7), 3)
    outcome = account.strike(ticket, (1, 7), 3)
    assert isinstance(outcome.error, WorkerDied)
    assert (
        str(outcome.error) == "item 7 of map(str), epoch 4, ended 2 worker processes, one after the other: exit code 3."
    )
    assert any("written at" in note for note in outcome.error.__notes__)
    many = Ticket(2, 0, 1, 7, 9)
    account.strike(many, None, 3)
    assert isinstance(account.strike(many, None, 3).error, Split)
    element = Ticket(3, 0, 1, 0, 0, ("x",), (Place(55),))
    account.strike(element, None, 3)
    assert "item 55" in str(account.strike(element, None, 3).error)


def test_workers_that_never_get_ready():
    """Several deaths in a row before any work mean that workers cannot start; one that was ready begins a new count."""
    account = deaths()
    for _ in range(PATIENCE - 1):
        assert account.add(1, ready=False) is None
    assert account.add(1, ready=True) is None
    for _ in range(PATIENCE - 1):
        assert account.add(1, ready=False) is None
    assert "exit code 1" in str(account.add(1, ready=False))
    assert account.count == 2 * PATIENCE


def test_workers_that_are_killed_before_they_are_ready():
    """Kills, of all workers at once and again, say nothing of whether workers can start; without end, they do."""
    account = deaths()
    for _ in range(HOPELESS + 3):
        assert account.add(KILL, ready=False) is None
    assert account.add(1, ready=False) is None
    assert "signal SIGKILL" in str(account.add(KILL, ready=False))


def test_reasons():
    """How a process ended is said in words."""
    assert [reason(0), reason(KILL), reason(-signal.SIGSEGV), reason(-63)] == [
        "exit code 0", "signal SIGKILL", "signal SIGSEGV", "signal 63",
    ]  # fmt: skip
