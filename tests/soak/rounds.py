"""The rounds of the soak: each a function of the size of items and of a seed, which chooses moments and variants.

python -m tests.soak.rounds kill 262144 3     plays one, as the soak does
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from zmq.utils import garbage

import penstock as ps
from penstock.executors.nursery import registry
from penstock.testing import Killer, Ledger

Body = Callable[[int, random.Random], None]


class Round(NamedTuple):
    """A kind of round."""

    play: Body
    sized: bool
    """Whether the size of items matters."""
    most: int
    """How many rounds are worth while."""


ROUNDS: dict[str, Round] = {}


def a_round(*, sized: bool = True, most: int = 1000) -> Callable[[Body], Body]:
    """Register a round under its name."""

    def register(body: Body) -> Body:
        ROUNDS[body.__name__] = Round(body, sized, most)
        return body

    return register


# ---- what is read


def item_of(nbytes: int, kind: str) -> Callable[[int], Any]:
    """Return a function that makes an item of a size; its number can be read from it."""

    def array(x: int) -> Any:
        return np.full(max(1, nbytes // 8), x, np.int64)

    def slab(x: int) -> Any:
        made = ps.empty(max(1, nbytes // 8), np.int64)
        made[:] = x
        return made

    def text(x: int) -> Any:
        return x.to_bytes(8, "little") * max(1, nbytes // 8)

    def record(x: int) -> Any:
        return {"id": x, "rows": [np.full(max(1, nbytes // 32), x, np.int64)] * 4}

    return {"array": array, "slab": slab, "text": text, "record": record}[kind]


def number_of(item: Any) -> int:
    """Return an item's number; all of it must agree."""
    if isinstance(item, bytes):
        item = np.frombuffer(item, np.int64)
    if isinstance(item, dict):
        assert all((rows == item["id"]).all() for rows in item["rows"])
        return int(item["id"])
    assert (item == item[0]).all(), "an item with two numbers: it was written to while it was read"
    return int(item[0])


def count_for(nbytes: int, seconds: float = 1.0) -> int:
    """Return how many items take about so long."""
    return int(max(30, min(2000, seconds * (600 << 20) / (nbytes + (1 << 18)))))


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """See to it that what is done inside leaves no thread, process, descriptor or shared memory behind."""
    before = Ledger()
    yield
    registry.retire()
    garbage.gc.stop()  # pyzmq's own thread, which waits for memory that was sent
    left = Ledger.settled(before, 10.0)
    assert not left, f"left behind: {left}"


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.001)
    return found


def pids_of(loader: Any) -> list[int]:
    """Return the worker processes of a loader that are up."""
    return [worker.pid for worker in loader.workers if worker.pid]


def notes_of(error: BaseException) -> str:
    """Return an error's notes as one text."""
    return "\n".join(getattr(error, "__notes__", ()))


# ---- 1, 2: deaths, and the account


@a_round()
def kill(nbytes: int, chance: random.Random) -> None:
    """Workers killed at random instants, in the middle of writing too: every item comes, once, in order."""
    count = count_for(nbytes)
    make = item_of(nbytes, chance.choice(["array", "slab", "text", "record"]))
    dataset = ps.range(count).map(make)
    if chance.random() < 0.3:
        dataset = ps.range(count).filter(lambda x: True).map(make)
    with dataset.loader(workers=ps.Processes(chance.choice([1, 2, 3]))) as loader:
        iterator = iter(loader)
        first = next(iterator)
        with Killer(loader, kills=8, every=chance.choice([0.001, 0.01, 0.05]), seed=chance.randrange(1 << 30)):
            found = [number_of(item) for item in itertools.chain([first], iterator)]
    assert found == list(range(count)), "items are missing, twice, or in another order"


@a_round()
def kill_writing(nbytes: int, chance: random.Random) -> None:
    """Workers that die while they encode an item, having taken memory for it: the item comes all the same."""
    count, victim = 40, chance.randrange(40)
    with tempfile.TemporaryDirectory() as folder:

        class Deadly:
            def __reduce__(self) -> Any:
                if len(os.listdir(folder)) < 2:
                    Path(folder, str(os.getpid())).touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return int, (7,)

        def make(x: int) -> Any:
            block = np.full(max(1, nbytes // 16), x, np.int64)
            return (block, Deadly(), block.copy()) if x == victim else (block, 7, block.copy())

        with ps.range(count).map(make).loader(workers=ps.Processes(2)) as loader:
            for number, (before, seven, behind) in enumerate(loader):
                assert (number_of(before), int(seven), number_of(behind)) == (number, 7, number)
            assert number == count - 1
            assert (
                loader.report().replaced
            )  # once to four times: two workers may be at one ticket, and one be seen late


@a_round()
def kill_all(nbytes: int, chance: random.Random) -> None:
    """All workers at once, or the nursery that they come from, killed at a random instant."""
    count = count_for(nbytes)
    nursery = chance.random() < 0.5
    with ps.range(count).map(item_of(nbytes, "array")).loader(workers=ps.Processes(3)) as loader:
        iterator = iter(loader)
        found = [number_of(next(iterator))]
        for _ in range(2):
            found += [number_of(item) for item in itertools.islice(iterator, chance.randrange(count // 4))]
            if nursery and registry.nursery is not None:
                registry.nursery.process.kill()
            for pid in [] if nursery else pids_of(loader):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        found += [number_of(item) for item in iterator]
    assert found == list(range(count))


@a_round()
def ledger(nbytes: int, chance: random.Random) -> None:
    """Delivered and left out are what was planned, with failing items, deadly items and kills at the same time."""
    count = count_for(nbytes, 0.5)
    bad = set(chance.sample(range(count), count // 10))
    deadly = set(chance.sample(sorted(bad), 1))
    make = item_of(nbytes, "array")

    def work(x: int) -> Any:
        if x in deadly:
            os._exit(3)
        if x in bad:
            raise ValueError(x)
        return make(x)

    with ps.range(count).map(work).loader(workers=ps.Processes(2), on_error="skip") as loader:
        iterator = iter(loader)
        first = next(iterator)
        with Killer(loader, kills=4, every=0.02, seed=chance.randrange(1 << 30)):
            found = [number_of(item) for item in itertools.chain([first], iterator)]
        report = loader.report()
    assert found == [x for x in range(count) if x not in bad]
    assert len(found) + report.skipped == count, report
    assert {skipped.item for skipped in report.listed} <= bad


# ---- 3, 4, 5: errors


class TwoArguments(Exception):
    """An exception that cannot be called with its own arguments."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Stubborn(Exception):
    """An exception that cannot travel."""

    def __init__(self) -> None:
        super().__init__("stubborn")
        self.lock = threading.Lock()


ERRORS: dict[str, tuple[Callable[[], BaseException], type[BaseException]]] = {
    "two arguments": (lambda: TwoArguments(4, "no"), TwoArguments),
    "cannot travel": (Stubborn, Stubborn),
    "StopIteration": (lambda: StopIteration(1), RuntimeError),
    "SystemExit": (lambda: SystemExit(5), SystemExit),
    "KeyboardInterrupt": (KeyboardInterrupt, KeyboardInterrupt),
    "GeneratorExit": (GeneratorExit, GeneratorExit),
    "OSError": (lambda: FileNotFoundError(2, "gone", "a.jpg"), FileNotFoundError),
}


@a_round()
def errors(nbytes: int, chance: random.Random) -> None:
    """An error comes at its place, as itself, and says which item, which operation, which worker; the loader goes on."""
    make, kind = ERRORS[chance.choice(list(ERRORS))]
    count, place = 60, chance.randrange(60)
    whole = item_of(nbytes, "array")

    def work(x: int) -> Any:
        if x == place:
            raise make()
        return whole(x)

    with ps.range(count).map(work).loader(workers=chance.choice([ps.Processes(2), ps.Threads(2)])) as loader:
        found, error = [], None
        try:
            for item in loader:
                found.append(number_of(item))
        except BaseException as caught:
            error = caught
        assert found == list(range(place))
        assert isinstance(error, kind), repr(error)
        for words in (f"item {place} of map(work), epoch 0", "was written at", "worker", f"dataset.epoch(0)[{place}]"):
            assert words in notes_of(error), (words, notes_of(error))
        loader.load_state_dict(loader.state_dict() | {"position": place + 1})
        assert [number_of(item) for item in loader] == list(range(place + 1, count))


@a_round(sized=False)
def unsendable(nbytes: int, chance: random.Random) -> None:
    """An item that cannot be pickled, or not be rebuilt, is an error with its number."""

    class Torn:
        def __reduce__(self) -> Any:
            return exec, ("raise LookupError('torn')",)

    things = [threading.Lock, lambda: (x for x in "ab"), lambda: sys.stdin, Torn, lambda: {"deep": [threading.Lock()]}]
    thing, place = chance.choice(things), chance.randrange(80)
    with ps.range(80).map(lambda x: thing() if x == place else x).loader(workers=ps.Processes(2)) as loader:
        found, error = [], None
        try:
            for item in loader:
                found.append(item)
        except (TypeError, LookupError) as caught:
            error = caught
        assert found == list(range(place))
        assert error is not None
        assert f"item {place}" in notes_of(error), notes_of(error)


@a_round()
def policies(nbytes: int, chance: random.Random) -> None:
    """Skip with a budget, replace, retry: each does what it says, whatever the executor."""
    count = 60
    bad = set(chance.sample(range(count), 6))
    make = item_of(nbytes, "array")

    def work(x: int) -> Any:
        if x in bad:
            raise ValueError(x)
        return make(x)

    base = ps.range(count).map(work)
    workers = chance.choice([ps.Processes(2), ps.Threads(2), ps.Inline()])
    for policy in ("skip", ps.Skip(count=5), ps.Retry(1, wait=0, then="skip"), lambda error, x: make(999)):
        dataset = base.on_error(policy)
        with dataset.loader(workers=workers) as loader:
            found = []
            try:
                for item in loader:
                    found.append(number_of(item))
            except ValueError as error:
                if policy != ps.Skip(count=5) or error.args != (sorted(bad)[5],):
                    raise
            expected = [x for x in range(count) if x not in bad]
            if callable(policy):
                expected = [999 if x in bad else x for x in range(count)]
            elif policy == ps.Skip(count=5):
                expected = [x for x in expected if x < sorted(bad)[5]]
            assert found == expected, (policy, found)


# ---- 6, 7, 9, 15: the trainer and its surroundings

TRAINER = """
    import sys, time, threading
    import numpy as np
    import penstock as ps
    stuck, nbytes, method = {stuck}, {nbytes}, {method!r}
    def work(x):
        if stuck and x > 20:
            time.sleep(1000)
        return np.full(nbytes // 8 + 1, x)
    def main():
        print("starts", flush=True)
        with ps.range(10**9).map(work).loader(workers=ps.{workers}) as loader:
            for number, item in enumerate(loader):
                assert item[-1] == number
    if __name__ == "__main__":
        if method:
            import multiprocessing
            child = multiprocessing.get_context(method).Process(target=main, daemon=False)
            child.start()
            child.join()
        else:
            main()
"""


@a_round()
def trainer(nbytes: int, chance: random.Random) -> None:
    """A trainer that is interrupted, terminated or killed, alone or with its group, ends at once, workers and all."""
    stuck, workers = chance.random() < 0.3, chance.choice(["Processes(2)", "Processes(2)", "Threads(2)"])
    how = chance.choice(["interrupt", "SIGTERM", "SIGKILL", "group killed"])
    mark = f"soak{chance.randrange(1 << 60):x}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trainer.py")
        path.write_text(textwrap.dedent(TRAINER.format(stuck=stuck, nbytes=nbytes, workers=workers, method=None)))
        with subprocess.Popen(
            [sys.executable, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PENSTOCK_SOAK_TRAINER": mark},
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            time.sleep(chance.random() * 0.8)
            group = os.getpgid(process.pid)
            assert group == process.pid > 1
            if how in ("interrupt", "group killed"):
                os.killpg(group, signal.SIGINT if how == "interrupt" else signal.SIGKILL)
            else:
                process.send_signal(getattr(signal, how))
            began = time.monotonic()
            text = process.stderr.read()  # to the end: whoever holds it open is alive
            process.wait()
            assert time.monotonic() - began < 8, "it took too long to go"  # 2 s, on an idle machine
        wait_for(lambda: not carrying(mark), 5)
        if how == "interrupt":
            assert text.count("Traceback") == 1, text
            assert text.rstrip().endswith("KeyboardInterrupt"), text
        else:
            assert text == "", text


def carrying(mark: str) -> list[str]:
    """Return the processes with a mark in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                found.append(entry)
    return found


@a_round(most=3)
def tiny_shm(nbytes: int, chance: random.Random) -> None:
    """With a /dev/shm of 1 MB all arrives, and nothing lies there."""
    inside = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", inside], capture_output=True, check=False).returncode:
        return  # no namespace of our own here
    source = f"""
        import os, numpy as np, penstock as ps
        with ps.range(20).map(lambda x: np.full({nbytes} + 1, x, "u1")).batch(2).loader(workers=ps.Processes(2)) as loader:
            for number, batch in enumerate(loader):
                assert batch[1, -1] == 2 * number + 1 and os.listdir("/dev/shm") == []
    """
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        f'{inside} && exec "$0" -W error -c "$1"',
        sys.executable,
        textwrap.dedent(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@a_round()
def started_as(nbytes: int, chance: random.Random) -> None:
    """A trainer that was itself started by fork, forkserver or spawn, and is read from a thread, is served the same."""
    for method in ("fork", "forkserver", "spawn"):
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=serve_in_a_thread, args=(nbytes, chance.randrange(1 << 30)))
        process.start()
        process.join()
        assert process.exitcode == 0, (method, process.exitcode)
    with contextlib.suppress(AttributeError):  # the standard library's helpers outlive us for a moment
        from multiprocessing import forkserver, resource_tracker

        forkserver._forkserver._stop()
        resource_tracker._resource_tracker._stop()


def serve_in_a_thread(nbytes: int, seed: int) -> None:
    """Play ``kill`` in a thread that is not the main one, while another thread holds a lock."""
    held, done, failures = threading.Event(), threading.Event(), []
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    def body() -> None:
        try:
            kill(nbytes, random.Random(seed))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=hold), threading.Thread(target=body)]
    threads[0].start()
    held.wait()
    threads[1].start()
    threads[1].join()
    done.set()
    threads[0].join()
    registry.retire()
    if failures:
        raise failures[0]


# ---- 8: breaks


@a_round()
def breaks(nbytes: int, chance: random.Random) -> None:
    """Loops left again and again leave threads, descriptors, processes, mappings and memory flat."""
    make = item_of(nbytes, "array")
    dataset = ps.range(10_000).map(make)
    with dataset.loader(workers=chance.choice([ps.Processes(2), ps.Threads(2)]), window=8) as loader:
        for turn in range(60):
            for item in loader:
                number_of(item)
                if chance.random() < 0.5:
                    break
            if turn == 20:
                before, memory = Ledger(), resident()
        del item
        assert not Ledger().beyond(before), Ledger().beyond(before)
        assert resident() - memory < (20 << 20) + 16 * nbytes
    for _ in range(5):
        with dataset.loader(workers=ps.Processes(1)) as loader:
            next(iter(loader))


def resident() -> int:
    """Return this process's resident memory, that of shared mappings left out, in bytes."""
    pages = [int(word) for word in Path("/proc/self/statm").read_text().split()]
    return (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE")


# ---- 10: what never ends


@a_round(sized=False)
def stuck(nbytes: int, chance: random.Random) -> None:
    """An item that never ends becomes an error that names it, with the stack; the loader goes on behind it."""
    place, how = chance.randrange(40), chance.choice(["sleeps", "spins", "ignores signals", "holds the GIL"])
    in_threads = how == "sleeps" and chance.random() < 0.5
    enough = threading.Event() if in_threads else None

    def endless(x: int) -> int:
        if x == place and enough is not None:
            enough.wait()  # a thread cannot be ended
        elif x == place:
            if how == "ignores signals":
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])
            while how == "spins":
                pass
            if how == "holds the GIL":
                sys.setswitchinterval(1000)
                sum(iter(int, 1))
            time.sleep(1000)
        return x

    workers = ps.Threads(2) if in_threads else ps.Processes(2)
    with ps.range(40).map(endless).loader(workers=workers, timeout=1.0) as loader:
        found, error = [], None
        try:
            for item in loader:
                found.append(item)
        except ps.errors.ItemTimeout as caught:
            error = caught
        assert error is not None
        assert found == list(range(place))
        assert f"item {place} of map(endless)" in str(error), error
        assert "in endless" in str(error), error
        loader.load_state_dict(loader.state_dict() | {"position": place + 1})
        assert list(loader) == list(range(place + 1, 40))
    if enough is not None:
        enough.set()


# ---- 11: resuming


@a_round()
def resume(nbytes: int, chance: random.Random) -> None:
    """A run that is stopped and resumed at random, by other workers, gives the stream of one that never was."""
    width = max(1, nbytes // 8)

    def augment(x: int, rng: np.random.Generator) -> Any:
        return np.concatenate([[x], rng.random(width)[: max(1, width - 1)]])

    def even(row: Any) -> bool:
        return row[0] % 3 > 0

    dataset = ps.range(90).seed(chance.randrange(99)).shuffle().map(augment, rng=True).filter(even).batch(2)
    expected = [digest(batch) for epoch in (0, 1) for batch in dataset.epoch(epoch)]
    found: list[str] = []
    state: dict[str, Any] | None = None
    while len(found) < len(expected):
        workers = chance.choice([ps.Inline(), ps.Threads(chance.choice([1, 3])), ps.Processes(chance.choice([1, 2]))])
        with dataset.loader(workers=workers, window=chance.choice([1, 7, 128])) as loader:
            if state is not None:
                loader.load_state_dict(json.loads(json.dumps(state)))
            for _ in range(2 - loader.epoch):
                for batch in loader:
                    found.append(digest(batch))
                    if chance.random() < 0.06:
                        break
                else:
                    continue
                break
            state = loader.state_dict()
            assert len(json.dumps(state)) < 1024
    assert found == expected


def digest(batch: Any) -> str:
    """Return a hash of a batch."""
    return hashlib.blake2b(np.ascontiguousarray(batch).view("u1")).hexdigest()


# ---- the largest


@a_round(sized=False, most=1)
def gigabyte(nbytes: int, chance: random.Random) -> None:
    """Items from one byte to one gigabyte, in one epoch."""
    sizes = [1, 1 << 10, 1 << 20, 1 << 30, 1]
    logging.getLogger("penstock").setLevel("ERROR")  # it tells of a loop that holds as much

    def make(x: int) -> Any:
        made = ps.empty(sizes[x], np.uint8)
        made[:] = x
        return made

    with ps.range(len(sizes)).map(make).loader(workers=ps.Processes(1)) as loader:
        for number, item in enumerate(loader):
            assert len(item) == sizes[number]
            assert item[0] == item[-1] == number


def main() -> None:
    """Play one round in this process."""
    from tests.soak.service import ROUNDS  # all of them: these, and those of the service

    name, nbytes, seed = sys.argv[1:]
    chance = random.Random(f"{name} {nbytes} {seed}")
    if chance.random() < 0.3:  # from a thread that is not the main one, as in a notebook's server or a test runner
        caught: list[BaseException] = []

        def body() -> None:
            try:
                with nothing_left():
                    ROUNDS[name].play(int(nbytes), chance)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if caught:
            raise caught[0]
        return
    with nothing_left():
        ROUNDS[name].play(int(nbytes), chance)


if __name__ == "__main__":
    main()
