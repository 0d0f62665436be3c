"""Faults on purpose, and accounts of what is left behind."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from penstock.loader import Loader


class Ledger:
    """What this process holds: threads, child processes, descriptors, mappings of Penstock's shared memory.

    >>> before = Ledger()
    >>> Ledger().beyond(before)
    []
    """

    def __init__(self) -> None:
        gc.collect()
        self.threads = {t.ident: t.name for t in threading.enumerate()}
        self.processes = dict(children(os.getpid()))
        self.descriptors = descriptors()
        self.mappings = sum("memfd:penstock" in line for line in lines("/proc/self/maps"))

    def beyond(self, before: Ledger) -> list[str]:
        """Return what is held now and was not held then, in words."""
        found = [f"thread {name}" for ident, name in self.threads.items() if ident not in before.threads]
        found += [f"process {pid} ({name})" for pid, name in self.processes.items() if pid not in before.processes]
        found += [f"descriptor {fd} ({to})" for fd, to in self.descriptors.items() if fd not in before.descriptors]
        if self.mappings > before.mappings:
            found.append(f"{self.mappings - before.mappings} mappings of shared memory")
        return found

    @classmethod
    def settled(cls, before: Ledger, seconds: float = 2.5) -> list[str]:
        """Wait for everything that is new to go; return what has not gone after some seconds."""
        deadline = time.monotonic() + seconds
        while (left := cls().beyond(before)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


def lines(path: str) -> list[str]:
    """Return a file's lines, or none where there is no such file."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def descriptors() -> dict[int, str]:
    """Return this process's open descriptors and what they lead to."""
    found = {}
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return {}
    for number in numbers:
        try:
            found[int(number)] = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def children(pid: int) -> list[tuple[int, str]]:
    """Return the descendants of a process, with their names."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in (int(word) for word in " ".join(lines(str(task))).split()):
            name = "".join(lines(f"/proc/{child}/comm"))
            found += [(child, name), *children(child)]
    return found


class Killer:
    """Kills a random worker process of a loader now and then, while it is entered.

    Args:
        loader: one whose workers are processes.
        kills: how many to kill at the most.
        every: seconds between two kills.
        seed: of the choice.
    """

    def __init__(self, loader: Loader[Any], *, kills: int = 50, every: float = 0.01, seed: int = 0) -> None:
        self.loader = loader
        self.kills = kills
        self.every = every
        self.done = 0
        self._random = random.Random(seed)  # noqa: S311  faults, not secrets
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def _run(self) -> None:
        while self.done < self.kills and not self._stop.wait(self.every):
            pids = [worker.pid for worker in self.loader.workers if worker.pid]
            if pids:
                try:
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it is being replaced
                self.done += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
