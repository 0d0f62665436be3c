"""Ray itself: found or started, and given a description."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from penstock.graph.execution import Work
from penstock.graph.storing import require
from penstock.transport.shipment import pickled, ship_work
from penstock.transport.slab import Root

connecting = threading.Lock()


def connected(count: int, options: dict[str, Any]) -> Any:
    """Return Ray's module, connected to a cluster; one on this machine is started where there is none.

    Args:
        count: how many actors will be asked for.
        options: what each of them needs; a cluster that is started here has that, whatever the machine has.
    """
    ray = require("ray", "ray", "Ray()")
    with connecting:
        if ray.is_initialized():
            return ray
        with quiet():
            try:
                ray.init("auto", logging_level="error")
            except ConnectionError:
                ray.init(
                    "local",
                    num_cpus=max(os.cpu_count() or 1, math.ceil(count * options["num_cpus"])),
                    num_gpus=math.ceil(count * options["num_gpus"]) or None,
                    resources={name: count * amount for name, amount in options.get("resources", {}).items()},
                    include_dashboard=False,
                    logging_level="error",
                )
    return ray


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let Ray start without reports to its makers, and without hints on what it will do in future versions."""
    name = "RAY_USAGE_STATS_ENABLED"
    before = os.environ.get(name)
    os.environ.setdefault(name, "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ[name]


def parcel(work: Work, on_start: Callable[[int], object] | None) -> tuple[Root, ...]:
    """Return a description, and what workers begin with, as pieces for the object store: a pickle, and its arrays."""

    def pieces(value: Any) -> tuple[Root, ...]:
        payload, raws = pickled(value)
        return tuple(np.frombuffer(raw, np.uint8) for raw in (payload, *raws))

    found: tuple[Root, ...] = ship_work(work, on_start, pieces)
    return found
