"""The exceptions: one tree, each also the built-in kind that a user would catch, and all survive a journey."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from penstock import errors

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.PenstockError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_is_in_the_tree(kind):
    """Every exception stands in the docstring's tree with its built-in base, and says what it means."""
    line = next(
        line
        for line in errors.__doc__.splitlines()
        if f"── {kind.__name__} " in f"{line} " or line.strip() == kind.__name__
    )
    builtin = [
        base.__name__
        for base in kind.__mro__
        if base.__module__ == "builtins" and base not in (Exception, BaseException, object)
    ]
    if f"({builtin[0] if builtin else ''})" not in line:
        assert kind is errors.PenstockError or issubclass(kind, errors.WorkerError)
    assert inspect.getdoc(kind)


def test_the_tree_has_no_more():
    """The docstring names no exception that is not there."""
    drawn = {line.split("── ")[1].split()[0] for line in errors.__doc__.splitlines() if "── " in line}
    assert drawn == {kind.__name__ for kind in ALL} - {"PenstockError"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_survives_a_journey(kind):
    """An exception that was pickled or copied is the same, with its notes."""
    error = kind("what happened")
    error.add_note("where")
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is kind
        assert str(found) == "what happened"
        assert found.__notes__ == ["where"]


def test_built_in_kinds_catch_them():
    """A user who catches ValueError, TypeError or RuntimeError catches these."""
    assert issubclass(errors.ArgumentError, ValueError)
    assert issubclass(errors.ArgumentTypeError, TypeError)
    assert issubclass(errors.LengthError, TypeError)
    assert issubclass(errors.CollateError, ValueError)
    assert issubclass(errors.StateError, ValueError)
    assert issubclass(errors.ClosedError, RuntimeError)
    assert not issubclass(errors.EndedQuietly, StopIteration)
