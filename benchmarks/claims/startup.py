"""A large description reaches its workers at once, and they share it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System

BATCH = 64
Example = tuple[str, int]

PRIVATE = "private MB"


def examples(scale: Scale) -> list[Example]:
    """The description's content: a path and a label for every photograph of a large collection."""
    count = scale.of(1_280_000, 20_000)
    return [(f"train/n{number % 1000:08d}/n{number % 1000:08d}_{number}.jpeg", number) for number in range(count)]


def label(example: Example) -> int:
    """What is done with an example; it is checked, so the path is read, too."""
    path, number = example
    if not path.endswith(f"_{number}.jpeg"):
        raise AssertionError(f"{path} does not belong to {number}")
    return number


def measure(make: Callable[[], Iterable[Any]], pids: Callable[[], Iterable[int]], scale: Scale) -> Measurement:
    """Time from the list to the first batch, read on, then add up what the workers have for themselves."""
    began = time.perf_counter()
    iterator = iter(make())
    first = next(iterator)
    seconds = time.perf_counter() - began
    seen = {int(number) for number in first}
    for batch in itertools.islice(iterator, scale.of(2000, 50)):
        seen.update(batch.tolist())
    batches = 1 + scale.of(2000, 50)
    if len(seen) != BATCH * batches:
        raise AssertionError(f"{batches} batches hold {len(seen)} different examples, not {BATCH * batches}")
    return Measurement(1.0, seconds, {PRIVATE: sum(map(private, pids())) / 1e6})


def private(pid: int) -> int:
    """Bytes of a process's memory that no other process shares."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def limit(scale: Scale) -> Measurement:
    """One second."""
    return Measurement(1.0, 1.0)


def penstock(scale: Scale) -> Measurement:
    """Penstock's processes. The description is timed, too."""
    import penstock as ps

    found = examples(scale)
    loaders: list[Any] = []

    def make() -> Any:
        batches = ps.items(found).shuffle().map(label).batch(BATCH)
        loaders.append(batches.loader(workers=ps.Processes(scale.workers)))
        return loaders[0]

    try:
        return measure(make, lambda: [worker.pid for worker in loaders[0].workers], scale)
    finally:
        loaders[0].close()


class Labels:
    """A dataset for PyTorch."""

    def __init__(self, found: list[Example]) -> None:
        self.found = found

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> int:
        return label(self.found[index])


def torch_forkserver(scale: Scale) -> Measurement:
    """A DataLoader whose workers come from a fork server, the default since Python 3.14."""
    return _torch(scale, "forkserver")


def torch_spawn(scale: Scale) -> Measurement:
    """A DataLoader whose workers are started anew."""
    return _torch(scale, "spawn")


def torch_fork(scale: Scale) -> Measurement:
    """A DataLoader whose workers are forks of the trainer."""
    return _torch(scale, "fork")


def _torch(scale: Scale, method: str) -> Measurement:
    from torch.utils.data import DataLoader

    found = examples(scale)
    iterators: list[Any] = []

    def make() -> Any:
        loader: Any = DataLoader(
            Labels(found),  # type: ignore[arg-type]
            batch_size=BATCH,
            shuffle=True,
            num_workers=scale.workers,
            multiprocessing_context=method,
        )
        iterators.append(iter(loader))
        return iterators[0]

    return measure(make, lambda: [worker.pid for worker in iterators[0]._workers], scale)


CLAIM = Claim(
    name="startup",
    work="""
A description that holds 1,280,000 tuples (path, label) in a list, shuffled, mapped and in batches of 64, on 4
processes: the seconds from that list to the first batch, in a fresh process that has imported its library and made the
list before. Then 2,000 batches are read, and what the four workers have of memory that nobody shares (`Private_Clean`
and `Private_Dirty` of `smaps_rollup`) is added up. The limit is a fixed figure: 1 s, above which people notice.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "fixed"),
        System("penstock", Role.CLAIM, penstock, "Processes(4)"),
        System("torch-forkserver", Role.PEER, torch_forkserver, "DataLoader, forkserver"),
        System("torch-spawn", Role.PEER, torch_spawn, "DataLoader, spawn"),
        System("torch-fork", Role.PEER, torch_fork, "DataLoader, fork: memory is copied as it is touched"),
    ),
    reach=1.0,
    unit="s",
    duration=True,
    figures=(Figure(PRIVATE, most=100),),
    seconds=None,
    workers=4,
    timeout=180,
    peers=("torch",),
)
