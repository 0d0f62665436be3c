"""Faults around a whole trainer: breaks, signals, exits, a tiny /dev/shm. Nothing may stay behind, nothing may hang."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

import penstock as ps
from penstock.executors.nursery import registry
from penstock.testing import Ledger

MARK = "PENSTOCK_TEST_MARK"


def wait_until(condition, seconds=10.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


class Trainer:
    """A script in a session of its own; it and all that it starts carry a mark in their environment."""

    def __init__(self, folder: Path, source: str, *flags: str) -> None:
        self.mark = uuid.uuid4().hex
        path = folder / "trainer.py"
        path.write_text(textwrap.dedent(source))
        self.process = subprocess.Popen(
            [sys.executable, *flags, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, MARK: self.mark},
        )

    def wait_for(self, word: str) -> str:
        """Read lines until one begins with a word; return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word):
                return line
        raise AssertionError(f"ended without {word!r}: {self.process.stderr.read()}")  # type: ignore[union-attr]

    @property
    def left(self) -> list[int]:
        """The processes that carry the mark and are alive."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    marked = self.mark.encode() in Path(f"/proc/{entry}/environ").read_bytes()
                    state = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
                except OSError:
                    continue
                if marked and state != "Z":
                    found.append(int(entry))
        return found

    def __enter__(self) -> Trainer:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.left:  # after a failure; carefully chosen by the mark
            os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=20)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


# ---- breaks


@pytest.mark.parametrize(
    ("executor", "times"),
    [(ps.Inline(), 1000), (ps.Threads(2), 1000), (ps.Processes(2), 1000)],
    ids=["inline", "threads", "processes"],
)
def test_breaks_of_one_loader(executor, times):
    """A loop left by break a thousand times, with one loader, leaves threads, descriptors, processes and memory flat."""
    dataset = ps.range(10_000).shuffle().map(lambda x: np.full(1000, x)).batch(4)
    with dataset.loader(workers=executor) as loader:
        for round_ in range(times):
            for batch in loader:
                assert batch.shape == (4, 1000)
                break
            if round_ == times // 5:
                before, memory = Ledger(), resident()
        assert Ledger().beyond(before) == []
        assert resident() - memory < 20 << 20


@pytest.mark.parametrize(
    ("executor", "times"), [(ps.Threads(2), 1000), (ps.Processes(1), 200)], ids=["threads", "processes"]
)
def test_breaks_of_new_loaders(executor, times):
    """A new loader for each of many breaks leaves threads, descriptors, processes and memory flat."""
    dataset = ps.range(10_000).map(lambda x: np.full(1000, x)).batch(4)
    for round_ in range(times):
        with dataset.loader(workers=executor) as loader:
            for batch in loader:
                del batch
                break
        if round_ == times // 5:
            before, memory = Ledger(), resident()
    assert Ledger.settled(before) == []
    assert resident() - memory < 20 << 20


def test_breaks_with_prefetch():
    """A prefetching pipeline left by break leaves no thread."""
    dataset = ps.range(1000).filter(lambda x: x % 2).batch(4).prefetch(2)
    before = Ledger()
    with dataset.loader(workers=ps.Threads(2)) as loader:
        for _ in range(200):
            for _batch in loader:
                break
    assert Ledger.settled(before) == []


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- signals

LOOP = """
    import sys, time
    import numpy as np
    import penstock as ps

    def work(x):
        if {stuck} and x > 20:
            time.sleep(1000)
        return np.full(40_000, x)

    def main():
        print("starts", flush=True)
        with ps.range(10**9).map(work).batch(2).loader(workers=ps.{workers}) as loader:
            for number, batch in enumerate(loader):
                if number == 5:
                    print("runs", flush=True)
                batch += 1
                if not {stuck}:
                    time.sleep(0.001)
    main()
"""
WORKERS = pytest.mark.parametrize("workers", ["Threads(2)", "Processes(2)"])
MOMENTS = pytest.mark.parametrize(
    ("word", "stuck"), [("starts", False), ("runs", False), ("runs", True)], ids=["start-up", "middle", "stuck"]
)


@WORKERS
@MOMENTS
def test_ctrl_c(tmp_path, workers, word, stuck):
    """Ctrl-C, which the whole process group gets, ends a trainer within 2 seconds with one KeyboardInterrupt and no more."""
    with Trainer(tmp_path, LOOP.format(workers=workers, stuck=stuck)) as trainer:
        trainer.wait_for(word)
        began = time.monotonic()
        os.killpg(trainer.process.pid, signal.SIGINT)
        _, errors = trainer.process.communicate(timeout=20)
        assert time.monotonic() - began < 2
        assert trainer.process.returncode == -signal.SIGINT
        assert errors.count("Traceback (most recent call last)") == 1, errors
        assert errors.rstrip().endswith("KeyboardInterrupt")
        wait_until(lambda: not trainer.left, 3)


@WORKERS
@MOMENTS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_trainer_ended(tmp_path, workers, word, stuck, number):
    """A trainer that is ended from outside leaves no process of its own, within seconds and whatever they are at."""
    with Trainer(tmp_path, LOOP.format(workers=workers, stuck=stuck)) as trainer:
        trainer.wait_for(word)
        os.kill(trainer.process.pid, number)
        assert trainer.process.wait(timeout=10) == -number
        wait_until(lambda: not trainer.left, 5)
        assert trainer.process.communicate(timeout=10)[1] == ""


def test_trainer_stopped_and_killed(tmp_path):
    """A trainer that is stopped, and killed while it is, takes its workers along."""
    with Trainer(tmp_path, LOOP.format(workers="Processes(2)", stuck=False)) as trainer:
        trainer.wait_for("runs")
        os.kill(trainer.process.pid, signal.SIGSTOP)
        os.kill(trainer.process.pid, signal.SIGKILL)
        wait_until(lambda: not trainer.left, 5)


# ---- exits


@pytest.mark.parametrize("workers", ["Threads(2)", "Processes(2)", "Inline()"])
@pytest.mark.parametrize("kind", ["plain", "prefetch", "stuck", "finished", "error"])
def test_exit_without_close(tmp_path, workers, kind):
    """A script that just ends, with loaders alive, ends soon, with its own exit code and nothing on standard error."""
    if workers == "Inline()" and kind == "stuck":
        pytest.skip("nothing runs ahead in line")
    source = f"""
        import sys, time
        import penstock as ps

        def work(x):
            if {kind == "stuck"} and x > 10:
                time.sleep(1000)
            return x

        dataset = ps.range(1000).map(work)
        if {kind == "prefetch"}:
            dataset = dataset.filter(lambda x: True).batch(2).prefetch(3)
        loader = dataset.loader(workers=ps.{workers})
        iterator = iter(loader)
        print(next(iterator), next(iterator), flush=True)
        if {kind == "finished"}:
            list(iterator)
        if {kind == "error"}:
            sys.exit(7)
        print("end", flush=True)
    """
    with Trainer(tmp_path, source, "-W", "error") as trainer:
        output, errors = trainer.process.communicate(timeout=20)
        assert errors == ""
        assert trainer.process.returncode == (7 if kind == "error" else 0)
        assert kind == "error" or output.endswith("end\n")
        wait_until(lambda: not trainer.left, 5)


def test_exit_in_a_thread(tmp_path):
    """A daemon thread that reads a loader while the interpreter ends does not keep it; at most it is told of the closing."""
    source = """
        import threading
        import penstock as ps
        started = threading.Event()
        def read():
            for _ in ps.range(10**9).map(lambda x: x).loader(workers=ps.Processes(2)):
                started.set()
        threading.Thread(target=read, daemon=True).start()
        started.wait()
    """
    with Trainer(tmp_path, source) as trainer:
        _, errors = trainer.process.communicate(timeout=20)
        assert trainer.process.returncode == 0
        # The interpreter may end while the thread prints its traceback, which is cut off then.
        assert errors == "" or errors.startswith("Exception in thread")
        assert "Error" not in errors.replace("ClosedError", "")
        wait_until(lambda: not trainer.left, 5)


def test_clean_under_strict_warnings(script):
    """Nothing in an ordinary run warns: resources are closed, nothing deprecated is used."""
    done = script(
        """
        import gc
        import penstock as ps
        for workers in (ps.Inline(), ps.Threads(2), ps.Processes(2)):
            with ps.range(40).shuffle().map(lambda x: x).batch(4).loader(workers=workers) as loader:
                for _ in range(2):
                    list(loader)
                next(iter(loader))
                loader.report()
            list(ps.range(10).loader(workers=workers))
            gc.collect()
        print("fine")
        """,
        env={"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


# ---- surroundings


def test_tiny_dev_shm(tmp_path):
    """With a /dev/shm of 1 MB, as in a container, batches of many megabytes arrive: nothing of ours lies there."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("unshare and mount are needed for a /dev/shm of our own")
    inside = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside], capture_output=True, text=True, timeout=20, check=False
    )
    if tried.returncode:
        pytest.skip(f"no mount namespace of our own: {tried.stderr.strip()}")
    path = tmp_path / "script.py"
    path.write_text(
        textwrap.dedent("""
        import os
        import numpy as np
        import penstock as ps
        assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize == 1 << 20
        table = np.zeros(8 << 20, "u1")
        with ps.range(20).map(lambda x: np.full(4 << 20, x + table[x], "u1")).batch(2).loader(workers=ps.Processes(2)) as loader:
            for number, batch in enumerate(loader):
                assert batch[1, -1] == 2 * number + 1
                assert os.listdir("/dev/shm") == []
        print("fine")
        """)
    )
    command = f"{inside} && exec {sys.executable} {path}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_lock_held_while_workers_start(script):
    """A thread that holds a lock when workers start cannot make them wait: they are no copies of this process."""
    done = script("""
        import logging, threading, time
        import penstock as ps
        lock, held, done = threading.Lock(), threading.Event(), threading.Event()
        handler = logging.StreamHandler()
        def hold():
            with lock:
                handler.acquire()
                import_lock = __import__("_imp")
                import_lock.acquire_lock()
                held.set()
                done.wait()
                import_lock.release_lock()
                handler.release()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        def work(x):
            import logging
            logging.getLogger().setLevel("INFO")
            return x
        try:
            loader = ps.range(20).map(work).loader(workers=ps.Processes(2))
            found = list(loader)
            loader.close()
        finally:
            done.set()
            thread.join()
        assert found == list(range(20))
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


@pytest.mark.parametrize(
    "narrow",
    [
        "resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))",
        "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))",
        "folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder)",
    ],
    ids=["address space", "file size", "stack", "no working directory"],
)
def test_narrow_surroundings(script, narrow):
    """Under the limits that batch systems set, and in a folder that was removed, workers start and items arrive."""
    done = script(f"""
        import os, resource, tempfile
        import numpy as np
        import penstock as ps
        {narrow}
        with ps.range(40).map(lambda x: np.full(1 << 17, x)).loader(workers=ps.Processes(3)) as loader:
            assert [int(item[-1]) for item in loader] == list(range(40))
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


# ---- at rest


def spent(*pids: int) -> float:
    """Return the seconds of processor time that processes have used so far."""
    ticks = 0
    for pid in pids:
        ticks += sum(int(word) for word in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("workers", [ps.Threads(2), ps.Processes(2)], ids=repr)
@pytest.mark.parametrize("kind", ["plain", "prefetch", "timeout"])
def test_an_idle_loader_uses_no_processor_time(workers, kind):
    """While the loop stands still, nobody polls: not the workers, not the nursery, not a prefetch, not the trainer."""
    dataset = ps.range(10**6).map(lambda x: np.full(1000, x)).filter(lambda x: True).batch(8)
    dataset = dataset.prefetch(2) if kind == "prefetch" else dataset
    pause = threading.Event()
    with dataset.loader(workers=workers, timeout=1.0 if kind == "timeout" else None) as loader:
        iterator = iter(loader)
        next(iterator)
        pids = [os.getpid(), *(worker.pid for worker in loader.workers if worker.pid)]
        if registry.nursery is not None:
            pids.append(registry.nursery.process.pid)

        def at_rest() -> bool:
            before = spent(*pids)
            pause.wait(0.5)
            return spent(*pids) - before <= 0.05  # a tenth of one core; looking here costs some itself

        assert any(at_rest() for _ in range(20)), "it never came to rest"
        assert sum(at_rest() for _ in range(3)) >= 2


@pytest.mark.parametrize("workers", [ps.Threads(2), ps.Processes(2)], ids=repr)
def test_closing_never_waits_for_queued_work(workers, tmp_path):
    """Of what was handed in ahead, nothing is begun any more once a loader has been closed."""
    begun = tmp_path / "begun"
    begun.mkdir()

    def work(x: int) -> int:
        (begun / str(x)).touch()
        if x > 3:
            time.sleep(0.2)
        return x

    loader = ps.range(10**6).map(work).loader(workers=workers)
    iterator = iter(loader)  # kept: a dropped one gives its work up
    assert next(iterator) == 0
    wait_until((begun / "5").exists)
    loader.close()
    before = len(list(begun.iterdir()))
    assert before < 100  # 128 had been handed in
    threading.Event().wait(0.5)
    assert len(list(begun.iterdir())) == before


def test_few_descriptors_allowed(script):
    """Where descriptors run out, the error says so, and what had been opened is closed."""
    done = script("""
        import os, resource
        import penstock as ps
        from penstock.executors.nursery import retire
        with ps.range(5).map(str).loader(workers=ps.Processes(1)) as loader:
            list(loader)
        retire()
        before = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        loader = ps.range(5).map(str).loader(workers=ps.Processes(16))
        try:
            list(loader)
        except OSError as error:
            assert error.errno == 24, error
        else:
            raise AssertionError("it should not fit")
        loader.close()
        retire()
        assert len(os.listdir("/proc/self/fd")) <= before, os.listdir("/proc/self/fd")
        with ps.range(5).map(str).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == list("01234")
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
