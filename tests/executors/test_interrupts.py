"""Interrupts that fall into a finalizer."""

from __future__ import annotations

import signal
import sys

import pytest

SOURCE = """
    import signal, sys, threading, weakref
    import penstock as ps

    class Batch:
        pass

    def interrupted():
        {how}

    def work(x):
        if x > 3:
            threading.Event().wait()
        return x

    batch = Batch()
    weakref.finalize(batch, interrupted)
    with ps.range(9).map(work).loader(workers=ps.{workers}) as loader:
        for x in loader:
            if x == 3:
                del batch  # what the user holds dies, and Ctrl-C falls just there
"""


@pytest.mark.parametrize("workers", ["Threads(2)", "Processes(2)"])
def test_an_interrupt_in_a_finalizer_is_not_lost(script, workers):
    """Python would print it and go on; the loop that waits for a stuck item would wait for ever."""
    done = script(SOURCE.format(how="signal.raise_signal(signal.SIGINT)", workers=workers))
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert done.stderr.count("Traceback (most recent call last)") == 1


def test_other_errors_are_told_as_ever(script):
    """By the hook that was there before."""
    hook = "sys.unraisablehook = lambda lost: print('told', lost.exc_type.__name__, flush=True)"
    source = SOURCE.format(how="1 / 0", workers="Threads(1)").replace("class Batch:", hook + "\n\n    class Batch:")
    done = script(source.replace("threading.Event().wait()", "pass"))
    assert (done.returncode, done.stdout) == (0, "told ZeroDivisionError\n"), done.stderr


def test_the_hook_is_taken_once():
    """However many loaders there are."""
    from penstock.executors import interrupts

    interrupts.watch()
    first = sys.unraisablehook
    interrupts.watch()
    assert sys.unraisablehook is first
