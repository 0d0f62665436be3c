"""What all cursors have to say, whatever they read."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import penstock.graph
import penstock.operations
from penstock.graph.node import Cursor


def cursors() -> list[type[Cursor]]:
    """Return every class of cursors in the description's rooms."""
    for room in (penstock.graph, penstock.operations):
        for module in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
            importlib.import_module(module.name)
    found, waiting = [], [Cursor]
    for cls in waiting:
        waiting.extend(cls.__subclasses__())
        found.append(cls)
    ours = [cls for cls in found if cls.__module__.startswith(("penstock.graph.", "penstock.operations."))]
    return sorted(set(ours) - {Cursor}, key=lambda cls: cls.__qualname__)


@pytest.mark.parametrize("cls", cursors(), ids=lambda cls: cls.__name__)
def test_who_reads_others_knows_when_they_wait(cls):
    """A cursor that reads others tells whether they must be waited for, and stops their waiting: else loops hang."""
    if "self.below" in inspect.getsource(cls):
        assert cls.starved is not Cursor.starved
        assert cls.interrupt is not Cursor.interrupt
        assert cls.close is not Cursor.close
