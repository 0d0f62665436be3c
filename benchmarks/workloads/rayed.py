"""The work of `transport` and of `images` in Ray actors: a plain loop over them, Penstock, and Ray Data.

Everybody gets a Ray of its own on this machine, with as many CPUs as there are workers, and hands batches over through
its object store.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.claim import Measurement, Scale
from benchmarks.measuring import forever, stream
from benchmarks.workloads import batches, photos

UNDER_WAY = 2
"""Calls that each actor of the plain loop has at a time, so that none waits for the loop."""

EPOCH = 400
"""Batches of one run of Ray Data's pipeline, which is planned anew for each."""


def start(scale: Scale, beside: int = 0) -> Any:
    """Ray, on this machine, told to be quiet; with CPUs beside those of the workers, where something else needs one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    import ray

    ray.init(
        "local", num_cpus=scale.workers + beside, include_dashboard=False, logging_level="error", log_to_driver=False
    )
    return ray


class Maker:
    """An actor that makes batches by number."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def batch(self, number: int) -> Any:
        return self.make(number)


def plain(make: Callable[[int], Any], scale: Scale) -> Iterator[Any]:
    """A plain loop over actors: the next number to the actor whose batch was taken."""
    ray = start(scale)
    kind = ray.remote(num_cpus=1)(Maker)
    actors = [kind.remote(make) for _ in range(scale.workers)]
    calls = deque()
    for number in range(UNDER_WAY * scale.workers):
        actor = actors[number % scale.workers]
        calls.append((actor, actor.batch.remote(number)))
    while True:
        actor, call = calls.popleft()
        batch = ray.get(call)
        number += 1
        calls.append((actor, actor.batch.remote(number)))
        del call
        yield batch
        del batch


class Photographs:
    """The images of a batch, by its number."""

    def __init__(self, paths: list[str]) -> None:
        self.order = photos.Shuffled(paths)

    def __call__(self, number: int) -> Any:
        places = range(number * photos.BATCH, (number + 1) * photos.BATCH)
        return np.stack([photos.load(self.order[place]) for place in places])


def ready_plain(scale: Scale) -> Measurement:
    """Batches of an array that each actor keeps, in a plain loop."""
    return batches.measure(plain(batches.own_array(scale), scale), scale)


def images_plain(scale: Scale) -> Measurement:
    """Batches of photographs, in a plain loop."""
    return stream(plain(Photographs(photos.paths(scale)), scale), photos.take, scale, photos.WARM)


def ready_penstock(scale: Scale) -> Measurement:
    """The same function, mapped."""
    import penstock as ps

    start(scale)
    numbers = ps.range(batches.ENDLESS).map(batches.own_array(scale))
    with numbers.loader(workers=ps.Ray(scale.workers)) as loader:
        return batches.measure(loader, scale)


def images_penstock(scale: Scale) -> Measurement:
    """The demo's pipeline."""
    import penstock as ps

    start(scale)
    files = ps.files(str(photos.folder(scale) / "**" / "*.jpg"))
    crops = files.seed(7).shuffle().map(photos.decode).map(photos.augment, rng=True)
    with crops.batch(photos.BATCH, last="drop").loader(workers=ps.Ray(scale.workers)) as loader:
        return stream(forever(lambda: loader), photos.take, scale, photos.WARM)


class Blocks:
    """A stage of Ray Data: batches by number, as a column."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __call__(self, numbers: dict[str, Any]) -> dict[str, Any]:
        return {"batch": np.stack([self.make(int(number)) for number in numbers["id"]])}


def data(make: Callable[[int], Any], scale: Scale, first: int = 0) -> Iterator[Any]:
    """One run of Ray Data's pipeline: a batch a block, made by as many actors as there are workers, in order."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    numbers = ray.data.range(EPOCH, override_num_blocks=EPOCH)
    made = numbers.map_batches(
        Blocks,
        fn_constructor_args=[lambda number: make(first + number)],
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=scale.workers),
        num_cpus=1,
    )
    for batch in made.iter_batches(batch_size=1, batch_format="numpy", prefetch_batches=4):
        yield batch["batch"][0]


def ready_data(scale: Scale) -> Measurement:
    """Ray Data, over the same function."""
    start(scale, beside=1)  # for the tasks that give the numbers
    own = batches.own_array(scale)
    return batches.measure((b for k in range(1000) for b in data(own, scale, k * EPOCH)), scale)


def images_data(scale: Scale) -> Measurement:
    """Ray Data, over photographs."""
    start(scale, beside=1)  # for the tasks that give the numbers
    make = Photographs(photos.paths(scale))
    return stream((b for k in range(1000) for b in data(make, scale, k * EPOCH)), photos.take, scale, photos.WARM)
