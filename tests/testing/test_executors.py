"""check_executor finds executors that break one promise each."""

from __future__ import annotations

import dataclasses

import pytest

from penstock.executors.scrambled import Scrambled
from penstock.graph.execution import Executor, Session
from penstock.testing import check_executor


class Through(Session):
    """Hands everything to a session that keeps its promises: what the broken ones are made from."""

    def __init__(self, session):
        self.session = session

    def submit(self, ticket):
        self.session.submit(ticket)

    def collect(self):
        return self.session.collect()

    def cancel(self):
        self.session.cancel()

    def close(self):
        self.session.close()

    @property
    def workers(self):
        return self.session.workers


class Swallows(Through):
    """Loses errors."""

    def collect(self):
        return self.session.collect()._replace(error=None)


class Twists(Through):
    """Turns the items of an outcome round."""

    def collect(self):
        outcome = self.session.collect()
        return outcome._replace(items=list(outcome.items)[::-1])


class Repeats(Through):
    """Gives the first outcome twice."""

    first = None

    def collect(self):
        if self.first is not None:
            outcome, self.first = self.first, None
            return outcome
        outcome = self.session.collect()
        if not hasattr(self, "told"):
            self.told, self.first = True, outcome
        return outcome


class Renames(Through):
    """Turns every error into another type."""

    def collect(self):
        outcome = self.session.collect()
        return outcome._replace(error=outcome.error and RuntimeError(str(outcome.error)))


@dataclasses.dataclass(frozen=True)
class Broken(Executor):
    """An executor with one of these sessions."""

    session: type[Through]

    @property
    def count(self):
        return 4

    def start(self, work):
        return self.session(Scrambled().start(work))


class Changeable(Broken):
    """An executor whose number of workers can be set."""

    count = 4

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


def test_a_wrapper_that_keeps_the_promises_passes():
    """The wrapper itself breaks nothing, so what is found below is what was broken."""
    check_executor(Broken(Through))


@pytest.mark.parametrize("session", [Swallows, Twists, Repeats, Renames])
def test_broken_sessions_are_found(session):
    """Lost errors, twisted items, repeated outcomes and other types of errors do not pass."""
    with pytest.raises((AssertionError, RuntimeError)):
        check_executor(Broken(session))


def test_executors_that_are_no_values_are_found():
    """An executor that can be changed does not pass."""
    with pytest.raises(AssertionError, match="can be changed"):
        check_executor(Changeable(Through))
