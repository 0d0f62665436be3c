"""Ray itself: found or started, asked for room, and given a description."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.execution import Work
from penstock.graph.storing import require
from penstock.transport.shipment import pickled, ship_work
from penstock.transport.slab import Root

connecting = threading.Lock()
started = [""]  # the connection with which Ray was started here; none at first

FINEST = 0.0001  # what Ray counts amounts by
OWN_WORDS = ("CPU", "GPU", "memory", "object_store_memory")  # names that Ray refuses among resources


def checked(resources: object, num_cpus: object, num_gpus: object) -> tuple[tuple[str, float], ...]:
    """Return resources as pairs; refuse amounts and names that Ray would refuse when it is asked."""
    try:
        pairs = tuple(sorted(dict(resources).items()))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f'Ray(): resources must be amounts by name, for example {{"ssd": 1}}, not {short(resources)}.'
        ) from None
    for name, _ in pairs:
        if not isinstance(name, str) or not name or name in OWN_WORDS:
            raise ArgumentError(
                f"Ray(): {short(name)} cannot name a resource; for CPUs and GPUs say num_cpus, num_gpus."
            )
    for name, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus), *pairs):
        found = amount(name, value)
        if 0 < found < FINEST or found == math.inf:
            raise ArgumentError(f"Ray(): {name} must be 0, or finite and at least {FINEST}, not {short(value)}.")
        if name == "num_gpus" and found > 1 and found % 1:
            raise ArgumentError(
                f"Ray(): more than one GPU must be a whole number of them, not num_gpus={short(value)}."
            )
    return pairs


def amount(name: str, value: object) -> float:
    """Return a number that is not negative, or refuse what is none."""
    found = -1.0 if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)
    if not found >= 0:
        raise ArgumentError(f"Ray(): {name} must be a number that is not negative, not {short(value)}.")
    return found


def connected(gpus: float) -> Any:
    """Return Ray's module, connected to a cluster; one on this machine is started where there is none.

    Args:
        gpus: how many a cluster that is started here must have, whatever the machine has.
    """
    ray = require("ray", "ray", "Ray()")
    with connecting:
        if ray.is_initialized():
            return ray
        with quiet():
            if not found(ray):
                ray.init("local", num_gpus=math.ceil(gpus) or None, include_dashboard=False, logging_level="error")
                started[0] = connection(ray)
    return ray


def found(ray: Any) -> bool:
    """Connect to a cluster that runs, if there is one."""
    if os.environ.get("RAY_ADDRESS") == "local":  # "auto" would start one of its own then
        return False
    try:
        ray.init("auto", logging_level="error")
    except ConnectionError:
        return False
    return True


def connection(ray: Any) -> str:
    """Return what this program's connection to Ray is called; nothing where there is none."""
    return str(ray.get_runtime_context().get_worker_id()) if ray.is_initialized() else ""


def asked(ray: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Ray is told of each actor: on this machine, started for loaders, only its GPUs.

    There a second loader, for validation, say, would else wait for the CPUs of the first.
    """
    if connection(ray) != started[0]:
        return dict(options)
    return {**options, "num_cpus": 0, "resources": {}}


def room(ray: Any, options: Mapping[str, Any]) -> str:
    """Say what an actor was to have, and what of that the cluster has, and has free."""
    wanted = {"CPU": options["num_cpus"], "GPU": options["num_gpus"], **options.get("resources", {})}
    wanted = {name: amount for name, amount in wanted.items() if amount}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    free = ray.available_resources()
    found = [
        f"{amount:g} {name} (free in the cluster: {free.get(name, 0):g} of {sum(n.get(name, 0) for n in nodes):g}; "
        f"the largest node has {max((n.get(name, 0) for n in nodes), default=0):g})"
        for name, amount in wanted.items()
    ]
    return f"Each was to have {' and '.join(found) or 'nothing of its own'}"


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
