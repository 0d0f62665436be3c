"""How a server serves, as a value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from penstock.graph.execution import Executor
from penstock.service.keys import Guards


@dataclass(frozen=True)
class Terms:
    """How a server serves."""

    mode: str = "mirror"
    workers: Executor | None = None
    window: int = 1024
    window_bytes: int = 256 << 20
    patience: float = 10.0
    lanes: int = 16
    guests: int = 1024
    rate: int = 200
    state_file: str | None = None
    keys: Guards | None = None
    bind: bool = True
    local: bool = True


def fewer(workers: Executor, world: int) -> Executor:
    """Return an executor with one rank's part of the workers."""
    if not dataclasses.is_dataclass(workers):
        return workers
    field = dataclasses.fields(workers)[0].name
    made: Executor = dataclasses.replace(workers, **{field: max(1, workers.count // world)})
    return made
