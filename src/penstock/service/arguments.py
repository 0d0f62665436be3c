"""Checks of what both ends are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short, whole

PLACE = 'A place is "tcp://host:5557" or "ipc:///tmp/batches".'


def places(given: str | Iterable[str], where: str, example: str) -> tuple[str, ...]:
    """Return endpoints, one or several, each once."""
    several: Any = (given,) if isinstance(given, str) else given
    if not isinstance(several, Iterable):
        raise ArgumentTypeError(f"{where}: {short(given)} is no endpoint. For example: {example}.")
    found = tuple(several)
    if not found or not all(isinstance(one, str) and "://" in one for one in found):
        raise ArgumentError(f"{where}: {short(given)} is no endpoint. For example: {example}.")
    if len(set(found)) != len(found):
        raise ArgumentError(f"{where}: {short(given)} names a place twice.")
    return found


def seconds(value: Any, where: str, name: str) -> float:
    """Return a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ArgumentError(f"{where}: {name} must be a number of seconds above 0, not {short(value)}.")
    return float(value)


def rank_of(shard: Any, where: str) -> tuple[int, int]:
    """Return (rank, world size)."""
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise ArgumentTypeError(f"{where}: shard must be (rank, world size), not {short(shard)}.")
    world = whole(shard[1], where, "the world size", least=1)
    rank = whole(shard[0], where, "the rank")
    if rank >= world:
        raise ArgumentError(f"{where}: rank {rank} does not exist in a world of {world}: ranks are 0 to {world - 1}.")
    return rank, world
