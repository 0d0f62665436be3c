"""What every test shares: nothing may be left behind, random examples are bounded, scripts run in their own process.

The guard looks at this process and everything below it, before and after each test and each example in a document:

    descendants       found by psutil; those whose parent died are adopted by this process, so they are seen too
    threads           threading.enumerate()
    descriptors       /proc/self/fd, by what they refer to
    shared memory     mappings of memfds named after Penstock, and of /dev/shm, in /proc/self/maps

What is new after a test has `GRACE` seconds to go away, for a closed loader may need a moment. What is then still
there fails the test, by name. A test that failed already is not judged: its traceback holds whatever it had open.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import hypothesis
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

# ------------------------------------------------------------------------------------------------ random examples

# No deadline for a single example: one that starts a process on a busy machine takes what it takes. The time limit of
# the test as a whole stands in pyproject.toml.
hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))

# ------------------------------------------------------------------------------------------------- the leak guard

GRACE = 3.0  # seconds that a closed loader's parts have to be gone
STEP = 0.02  # seconds between two looks
FAILED = pytest.StashKey[bool]()
PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass(frozen=True)
class Holdings:
    """What this process holds at one moment, each thing with its name or the number of times it is held."""

    processes: Mapping[psutil.Process, str]
    threads: Mapping[threading.Thread, str]
    descriptors: Mapping[tuple[str, int, int], list[int]]
    shared: Mapping[str, int]

    @classmethod
    def now(cls) -> Holdings:
        """Look at this process and everything below it."""
        return cls(_processes(), {t: _name_thread(t) for t in threading.enumerate()}, _descriptors(), _shared())

    def beyond(self, before: Holdings) -> list[str]:
        """One line for each thing that is here and was not there `before`."""
        lines = [text for process, text in self.processes.items() if process not in before.processes]
        lines += [text for thread, text in self.threads.items() if thread not in before.threads]
        for key, numbers in self.descriptors.items():
            more = len(numbers) - len(before.descriptors.get(key, ()))
            lines += [f"descriptor {number}: {key[0]}" for number in sorted(numbers, reverse=True)[: max(more, 0)]]
        lines += [
            f"shared memory, mapped {count} times and {before.shared.get(mapping, 0)} before: {mapping}"
            for mapping, count in self.shared.items()
            if count > before.shared.get(mapping, 0)
        ]
        return lines


def _processes() -> dict[psutil.Process, str]:
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            if "multiprocessing.resource_tracker" not in command:  # the standard library keeps one for good
                found[process] = f"process {process.pid}: {command}"
        except psutil.ZombieProcess:
            found[process] = f"process {process.pid}: ended, and nobody waits for it"
        except psutil.NoSuchProcess:
            continue
    return found


def _name_thread(thread: threading.Thread) -> str:
    return f"thread {thread.name!r}{', daemon' if thread.daemon else ''}: {getattr(thread, '_target', None)}"


def _descriptors() -> dict[tuple[str, int, int], list[int]]:
    # By what they refer to and not by number alone: a number is taken again by whatever is opened next. Memfds of one
    # name differ in their inode.
    found: dict[tuple[str, int, int], list[int]] = {}
    tracker = getattr(resource_tracker._resource_tracker, "_fd", None)  # the standard library keeps it for good
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.exists() else ():
        try:
            target, status = str(entry.readlink()), os.fstat(int(entry.name))
        except OSError:
            continue  # the one that was opened to read the folder
        if int(entry.name) != tracker:
            found.setdefault((target, status.st_dev, status.st_ino), []).append(int(entry.name))
    return found


def _shared() -> Counter[str]:
    maps = Path("/proc/self/maps")
    mappings: Counter[str] = Counter()
    for line in maps.read_text().splitlines() if maps.exists() else ():
        _address, _access, _offset, _device, inode, *path = line.split(maxsplit=5)
        if path and (path[0].startswith("/dev/shm/") or (path[0].startswith("/memfd:") and "penstock" in path[0])):
            mappings[f"{path[0]}, inode {inode}"] += 1
    return mappings


def _retire_nursery() -> None:
    # It would linger about a second for the next loader, on purpose.
    nursery = sys.modules.get("penstock.executors.nursery")
    if nursery is not None:
        nursery.retire()


def _retire_zmq() -> None:
    # The thread that pyzmq starts for messages sent without a copy never ends by itself. Messages that are garbage need
    # it, so they go first.
    garbage = sys.modules.get("zmq.utils.garbage")
    if garbage is not None and garbage.gc.thread is not None:
        gc.collect()
        garbage.gc.stop()


def _reap(before: Holdings) -> None:
    """Take leave of new processes that have ended: an adopted one has nobody else to wait for it.

    One that a test started and never waited for looks the same here; Python warns of it, and warnings are errors.
    """
    for process in psutil.Process().children():
        try:
            if process not in before.processes and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


class LeakGuard:
    """A plugin and not a fixture of this folder only, for the examples in docstrings and documents are guarded too."""

    @pytest.fixture(autouse=True)
    def leak_guard(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Fail the test that leaves a process, thread, descriptor or shared memory behind."""
        mark = request.node.get_closest_marker("leaks")
        if mark is not None and not mark.args:
            pytest.fail("the marker wants a reason: @pytest.mark.leaks('why')", pytrace=False)
        before = Holdings.now()
        yield
        _retire_nursery()
        _retire_zmq()
        if mark is not None or request.node.stash.get(FAILED, False):
            return
        if left := _left(before):
            pytest.fail("left behind by this test:\n  " + "\n  ".join(left), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Remember a failure for the guard, which is torn down after it."""
        if call.excinfo is not None:
            item.stash[FAILED] = True
        return (yield)


def _left(before: Holdings) -> list[str]:
    """What is new since `before` and stays. Garbage is collected only if something is new: most tests need no more."""
    left = Holdings.now().beyond(before)
    deadline = time.monotonic() + GRACE
    while left and time.monotonic() < deadline:
        gc.collect()
        _retire_nursery()  # a loader that was garbage has left it only now
        _reap(before)
        left = Holdings.now().beyond(before)
        if left:
            time.sleep(STEP)
    return left


def pytest_configure(config: pytest.Config) -> None:
    """Set the guard up for the whole run."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell, and so in all scripts
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "leaks(reason): this test leaves something behind on purpose")
    config.pluginmanager.register(LeakGuard(), "penstock-leak-guard")
    if sys.platform == "linux":
        # Orphans come to this process and not to init, so a worker that outlives its trainer is seen.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# ------------------------------------------------------------------------------------------------------- scripts


class RunScript(Protocol):
    """`script(source)` runs Python source in a process of its own and gives its exit status and output, as text."""

    def __call__(
        self, source: str, *, timeout: float = 50, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def script(tmp_path: Path) -> RunScript:
    """Run a script as a user would, for what cannot be tried in here: Ctrl-C, exit, a killed trainer.

    The script is a file, in a session of its own, with nothing on its standard input; `env` adds to the environment.
    The call returns when the script has ended and nothing that it started holds its output any more. After `timeout`
    seconds, which is less than a test has, all of them are killed and the test fails with the script's stacks.
    """

    def run_script(
        source: str, *, timeout: float = 50, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        before = set(psutil.Process().children(recursive=True))
        with subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
        ) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                output, errors = _abort(process, before)
                pytest.fail(f"the script took more than {timeout} s\n{output}\n{errors}", pytrace=False)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run_script


def _abort(process: subprocess.Popen[str], before: set[psutil.Process]) -> tuple[str, str]:
    """End the script with its stacks on standard error, then whatever came out of it and holds its output."""
    process.send_signal(signal.SIGABRT)
    try:
        return process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        for other in set(psutil.Process().children(recursive=True)) - before:
            other.kill()
        return process.communicate()
