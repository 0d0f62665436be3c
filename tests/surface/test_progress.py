"""Progress: a line on a terminal, silence elsewhere, and the items untouched."""

from __future__ import annotations

import io
import sys

import pytest

import penstock as ps
from penstock.surface.progress import watched


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self):
        """Be one."""
        return True


def test_silence_where_there_is_no_terminal(capsys):
    """Where standard error goes to a file, nothing is written."""
    assert list(watched(range(3), 3, "evaluate")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("tqdm", [True, False])
def test_a_terminal_sees_how_far_it_is(monkeypatch, tqdm):
    """On a terminal a bar or a plain line is drawn and taken away again, also where the loop is left."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    else:
        pytest.importorskip("tqdm")
    items = watched(range(5), 5, "evaluate")
    assert next(items) == 0
    assert "evaluate" in terminal.getvalue()
    items.close()
    assert terminal.getvalue().rstrip("\x1b[K").endswith("\r")
    assert list(watched(range(5), None, "x")) == list(range(5))


@pytest.mark.parametrize("progress", [True, False])
def test_evaluate_can_be_told_to_be_silent(monkeypatch, progress):
    """progress=False is silent on a terminal, too."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    ps.range(3).evaluate(abs, combine="sum", progress=progress)
    assert bool(terminal.getvalue()) is progress


def test_a_function_is_told_instead(tmp_path):
    """Everything that shows progress tells a function how many are done: now and then, and at the end, on no terminal."""
    told = []
    ps.range(3).evaluate(abs, combine="sum", progress=lambda done, total: told.append((done, total)))
    ps.range(3).map(abs).statistics(progress=lambda done, total: told.append((done, total)))
    ps.stream([1, 2]).save(tmp_path / "a.lmdb", progress=lambda done, total: told.append((done, total)))
    ps.range(3).speed(count=2, progress=lambda done, total: told.append((done, total)), operations=False)
    assert (3, 3) in told
    assert (2, None) in told
    assert (2, 2) in told
    for call in (ps.range(3).statistics, ps.range(3).speed):
        with pytest.raises(TypeError, match="progress must be True, False or a function, not 'bar'"):
            call(progress="bar")
