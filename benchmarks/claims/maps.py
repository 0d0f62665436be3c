"""What a library adds per item to ten functions in a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System

STEPS = 10
BATCH = 256  # items between two looks at the clock


def more(item: int) -> int:
    """One of the ten functions."""
    return item + 1


def count(scale: Scale) -> int:
    """How many items an epoch has."""
    return scale.of(100_000, 20_000)


def chained(make: Any, source: Any) -> Any:
    """Apply ``make`` ten times."""
    for _ in range(STEPS):
        source = make(source)
    return source


def measure(make: Callable[[], Iterable[int]], scale: Scale) -> Measurement:
    """Check some items, then time whole epochs, item by item."""
    import time

    found = [int(item) for item, _ in zip(make(), range(1000), strict=False)]
    if found != list(range(STEPS, STEPS + 1000)):
        raise AssertionError(f"the items should be {STEPS}, {STEPS + 1}, …; they are {found[:4]} …")
    done = 0
    started = time.perf_counter()
    end = started + scale.seconds
    while True:
        for _ in make():
            done += 1
            if not done % BATCH and time.perf_counter() > end:
                return Measurement(done, time.perf_counter() - started)


def limit(scale: Scale) -> Measurement:
    """A plain loop that calls the ten functions of a list."""

    def loop() -> Iterator[int]:
        functions = [more] * STEPS
        for item in range(count(scale)):
            for function in functions:
                item = function(item)  # noqa: PLW2901  that is what a chain is
            yield item

    return measure(loop, scale)


def penstock(scale: Scale) -> Measurement:
    """Penstock, the dataset iterated."""
    import penstock as ps

    mapped = chained(lambda dataset: dataset.map(more), ps.range(count(scale)))
    return measure(lambda: mapped, scale)


def penstock_loader(scale: Scale) -> Measurement:
    """Penstock, read by a loader in line."""
    import penstock as ps

    with chained(lambda dataset: dataset.map(more), ps.range(count(scale))).loader() as loader:
        return measure(lambda: loader, scale)


def builtin(scale: Scale) -> Measurement:
    """Python's own `map`, ten times."""
    return measure(lambda: chained(partial(map, more), range(count(scale))), scale)


def seqtools(scale: Scale) -> Measurement:
    """SeqTools' lazy map, ten times."""
    import seqtools

    mapped = chained(partial(seqtools.smap, more), range(count(scale)))
    return measure(lambda: mapped, scale)


def grain(scale: Scale) -> Measurement:
    """Grain's map, ten times, without threads."""
    import grain

    mapped = chained(lambda dataset: dataset.map(more), grain.MapDataset.range(count(scale)))
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    return measure(lambda: mapped.to_iter_dataset(options), scale)


class Wrapper:
    """A dataset that maps another, as people write it for PyTorch."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> int:
        return more(self.inner[index])


def torch(scale: Scale) -> Measurement:
    """A DataLoader over ten datasets, each around the next."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(chained(Wrapper, range(count(scale))), batch_size=None)
    return measure(lambda: loader, scale)


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack's MapData, ten times."""
    from tensorpack.dataflow import DataFromList, MapDataComponent

    flow = chained(
        lambda inner: MapDataComponent(inner, more), DataFromList([[n] for n in range(count(scale))], shuffle=False)
    )
    flow.reset_state()
    return measure(lambda: (item for [item] in flow), scale)


CLAIM = Claim(
    name="maps",
    work="""
Ten functions that add one, in a chain, over 100,000 integers, item by item in line. The limit is a plain loop that
calls the ten functions of a list.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "a plain loop over a list of functions"),
        System("penstock", Role.CLAIM, penstock, "the dataset iterated"),
        System("penstock-loader", Role.EXTRA, penstock_loader, "loader()"),
        System("python-map", Role.EXTRA, builtin, "the built-in map, ten times"),
        System("seqtools", Role.PEER, seqtools, "smap"),
        System("grain", Role.PEER, grain, "map, no threads"),
        System("torch", Role.PEER, torch, "ten datasets, each around the next"),
        System("tensorpack", Role.PEER, tensorpack, "MapDataComponent"),
    ),
    reach=0.70,
    unit="items/s",
    peers=("SeqTools", "grain", "torch", "tensorpack"),
)
