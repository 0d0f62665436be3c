"""Ctrl-C that is swallowed by a finalizer, sent again.

Python runs a signal's handler between two steps of the main thread, whatever that is at. Where it is in the callback of
a weak reference or in a ``__del__``, as when the last view of a batch dies, the KeyboardInterrupt cannot go anywhere:
Python prints "Exception ignored in …" and goes on, and whoever waits for an item then waits for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

SOON = 0.02  # seconds: the finalizer is over by then

watched = threading.Lock()
previous: Any = None


def watch() -> None:
    """See to it, from now on in this process, that an interrupt is not lost in a finalizer."""
    global previous
    with watched:
        if previous is None:
            previous, sys.unraisablehook = sys.unraisablehook, again


def again(lost: Any) -> None:
    """Send an interrupt once more; leave everything else to the hook that was there before."""
    if lost.exc_type is KeyboardInterrupt and threading.current_thread() is threading.main_thread():
        timer = threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGINT))  # a real signal ends waiting, too
        timer.daemon = True
        timer.start()
    else:
        previous(lost)
