"""How far a long command has come: one line that is written anew on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time

TERMINAL, LOG = 0.1, 10.0  # seconds between two lines


class Progress:
    """Shows count, rate and the time that is left. Called as ``progress(done, total)``."""

    def __init__(self, what: str, before: int = 0) -> None:
        self.what = what
        self.before = before  # records that had been done when this began
        self.began = time.monotonic()
        self.alive = sys.stderr.isatty()
        self.shown = self.began if not self.alive else 0.0
        self.done = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Say how many records are done, here and now."""
        self.done = done
        now = time.monotonic()
        if now - self.shown < (TERMINAL if self.alive else LOG) and not (self.alive and done + self.before == total):
            return
        self.shown = now
        sys.stderr.write(f"\r{self.text(done, total, now)}\x1b[K" if self.alive else f"{self.text(done, total, now)}\n")
        sys.stderr.flush()

    def text(self, done: int, total: int | None, now: float) -> str:
        """Return the line."""
        seconds = now - self.began
        rate = done / seconds if seconds > 0 else 0.0
        of = "" if total is None else f" of {total:,}"
        left = "" if total is None or not rate else f", {clock((total - self.before - done) / rate)} left"
        return f"{self.what}: {done + self.before:,}{of} records, {rate:,.0f}/s{left}"

    def close(self) -> None:
        """Remove the line."""
        if self.alive:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def clock(seconds: float) -> str:
    """Return a time for people: ``42 s``, ``3:20 min``, ``5:07 h``."""
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"
