"""The real service over loopback: what it costs, and whether the model says what it does.

A server process sends one array again and again, and each consumer process looks at its first and last byte. All of
them are asked, over a pipe, for their processor time before and after the timed stretch; time in which the machine did
other work does not count.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.scaling.model import Costs, Plan, Service, shared, simulate
from benchmarks.workloads.served import HOST, Same, look, port

CALIBRATED = ((4096, 1 << 17), (1 << 20, 1 << 23))
"""Bytes of the batches from which the costs are worked out: two that travel together, and two that travel alone."""

CROWDS = (1, 4)
"""Consumers from which the costs are worked out: one that has the caches to itself, and several that share them."""

CHECKED = [(nbytes, consumers) for nbytes in (1 << 15, 1 << 21, 1 << 22) for consumers in (1, 2, 4)]
"""Bytes and consumers of what the model is compared with; none of these sizes was used to work out the costs."""

PACED = ((2, 1), (4, 2), (8, 4))
"""Workers and consumers where each batch takes a worker a fixed time."""

PACE = 0.02  # seconds
PACED_BYTES = 1 << 16
TIMEOUT = 30.0


@dataclass(frozen=True)
class Run:
    """One measurement, for a batch: of all consumers together where they are several."""

    nbytes: int
    consumers: int
    rate: float
    """Batches a second; each consumer reads all of them."""

    lane: float
    send: float
    carry: float
    read: float

    @property
    def cores(self) -> float:
        """How many cores worked for it, of those that there are: what other work left."""
        return self.rate * (self.lane + self.send + self.carry + self.read)


COSTS = ("lane", "send", "carry", "read")


@contextmanager
def asked(main: Callable[[Connection], None]) -> Iterator[Connection]:
    """Run something in a process of its own, to which there is a pipe."""
    ours, theirs = Pipe()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            main(theirs)
        finally:
            os._exit(1)
    theirs.close()
    try:
        yield ours
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ours.close()


def told(pipe: Connection) -> dict[str, float]:
    """Ask a process for its figures."""
    pipe.send_bytes(b"?")
    if not pipe.poll(TIMEOUT):
        raise TimeoutError("a process of the measurement does not answer")
    found: dict[str, float] = json.loads(pipe.recv_bytes())
    return found


def serve(pipe: Connection, place: str, nbytes: int, workers: int = 0) -> None:
    """Serve the same batch without end, and tell the processor time of each thread; workers sleep for each batch."""
    import penstock as ps

    dataset = ps.items(Same(np.full(nbytes, 7, np.uint8)))
    if workers:
        dataset = dataset.map(slept)
    with ps.serve(dataset, place, workers=ps.Threads(workers) if workers else None):
        while True:
            pipe.recv_bytes()
            used = {
                thread.name: clock(thread) for thread in threading.enumerate() if thread.name.startswith("penstock")
            }
            send, lane = (sum(used[name] for name in used if name == f"penstock-{what}") for what in ("server", "lane"))
            pipe.send_bytes(json.dumps({"send": send, "lane": lane, "all": time.process_time()}).encode())


def slept(batch: Any) -> Any:
    """Take a worker's time and no processor's."""
    time.sleep(PACE)
    return batch


def clock(thread: threading.Thread) -> float:
    """Return the processor time of a thread."""
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def read(pipe: Connection, place: str) -> None:
    """Read, and tell how much."""
    import penstock as ps

    count = 0

    def answer() -> None:
        while True:
            pipe.recv_bytes()
            pipe.send_bytes(json.dumps({"count": count, "all": time.process_time()}).encode())

    threading.Thread(target=answer, daemon=True).start()
    for batch in ps.connect(place, timeout=TIMEOUT, local=False):
        look(batch)
        count += 1


def measure(nbytes: int, consumers: int, seconds: float, workers: int = 0) -> Run:
    """Let some consumers read batches of one size for a while; with workers, those sleep for each."""
    place = f"tcp://{HOST}:{port()}"
    with ExitStack() as stack:
        server = stack.enter_context(asked(lambda pipe: serve(pipe, place, nbytes, workers)))
        readers = [stack.enter_context(asked(lambda pipe: read(pipe, place))) for _ in range(consumers)]
        warm = 10 if workers else 20_000_000 // nbytes + 10
        deadline = time.monotonic() + TIMEOUT
        while min(told(reader)["count"] for reader in readers) < warm:
            if time.monotonic() > deadline:
                raise TimeoutError("the consumers of the measurement get nothing")
            time.sleep(0.05)
        began, before = time.perf_counter(), [told(one) for one in (server, *readers)]
        time.sleep(seconds)
        passed, after = time.perf_counter() - began, [told(one) for one in (server, *readers)]
    served, *reads = ({name: b[name] - a[name] for name in a} for a, b in zip(before, after, strict=True))
    batches = sum(one["count"] for one in reads) / consumers
    return Run(
        nbytes=nbytes,
        consumers=consumers,
        rate=batches / passed,
        lane=served["lane"] / batches,
        send=served["send"] / batches,
        carry=(served["all"] - served["lane"] - served["send"]) / batches,
        read=sum(one["all"] for one in reads) / batches,
    )


def fitted(runs: list[Run]) -> Costs:
    """Return costs from runs of different sizes, by relative least squares: means of each consumer's share of them."""
    sizes = sorted({run.nbytes for run in runs})

    def share(run: Run, name: str) -> float:
        cost: float = getattr(run, name)
        return cost if name == "lane" else cost / run.consumers

    def line(name: str) -> tuple[float, float]:
        costs = np.array([np.mean([share(run, name) for run in runs if run.nbytes == size]) for size in sizes])
        known: Any = np.stack([1 / costs, np.array(sizes) / costs], axis=1)
        found = np.linalg.lstsq(known, np.ones(len(sizes)), rcond=None)[0]
        return max(float(found[0]), 0.0), max(float(found[1]), 0.0)

    return Costs(lane=line("lane"), send=line("send"), carry=line("carry"), read=line("read"))


def median(runs: list[Run]) -> Run:
    """Return the median of runs of one kind, figure by figure."""
    rate, *costs = (float(np.median([getattr(run, name) for run in runs])) for name in ("rate", *COSTS))
    return replace(runs[0], rate=rate, **dict(zip(COSTS, costs, strict=True)))


def measured(rounds: int, seconds: float) -> tuple[Service, list[Comparison]]:
    """Measure what the service costs on this machine, and compare the model with what was not used for that.

    Everything is measured in turns, so that other work on the machine disturbs all alike.
    """
    wanted = [(nbytes, consumers, 0) for sizes in CALIBRATED for nbytes in sizes for consumers in CROWDS]
    wanted += [(nbytes, consumers, 0) for nbytes, consumers in CHECKED]
    wanted += [(PACED_BYTES, consumers, workers) for workers, consumers in PACED]
    taken = [[measure(*one[:2], seconds, workers=one[2]) for one in wanted] for _ in range(rounds)]
    runs = {one: median(list(same)) for one, same in zip(wanted, zip(*taken, strict=True), strict=True)}
    service = Service(
        *(fitted([runs[nbytes, crowd, 0] for nbytes in sizes for crowd in CROWDS]) for sizes in CALIBRATED)
    )
    return service, list(compared(service, runs))


@dataclass(frozen=True)
class Comparison:
    """What the model says of something, and what was measured."""

    what: str
    consumers: int
    unit: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """By how many per cent the model is wrong."""
        return 100 * (self.predicted / self.measured - 1)


def compared(service: Service, runs: dict[tuple[int, int, int], Run]) -> Iterator[Comparison]:
    """Compare processor time where processors are the limit, and batches a second where workers are.

    How many batches come where processors are the limit depends on what other work leaves of them; their time does not.
    """
    for (nbytes, consumers, workers), run in runs.items():
        if workers:
            plan = Plan(service, consumers, workers, nbytes=nbytes, items=1, decode=PACE, spread=0.01, network=1e12)
            what = f"{workers} workers, {PACE * 1000:g} ms a batch"
            yield Comparison(what, consumers, "batches/s", float(simulate(plan).rate), run.rate)
        elif (nbytes, consumers) in CHECKED:
            what = f"batches of {nbytes >> 10:,} KiB"
            costs = 1e6 / shared(service, nbytes, consumers, cores=1)
            yield Comparison(what, consumers, "µs of processors a batch", costs, 1e6 * run.cores / run.rate)
