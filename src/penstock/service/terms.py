"""How a server serves, as a value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from penstock.graph.execution import Executor
from penstock.service.keys import Guards
from penstock.service.library import version
from penstock.service.protocol import VERSION


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

    def unfit(self, shard: object) -> str | None:
        """Return why a consumer's wish, which rank it is, does not fit."""
        if self.mode == "shard" and shard is None:
            return (
                'This server divides every batch over ranks (mode="shard"). Say connect(…, shard=(rank, world size)).'
            )
        if self.mode != "shard" and shard is not None:
            return f'This server does not divide batches: its mode is "{self.mode}". Say serve(…, mode="shard").'
        return None


def differs(theirs: int) -> str:
    """Say that a consumer speaks another version of the protocol."""
    return (
        f"This server (Penstock {version()}) speaks version {VERSION} of the protocol, the consumer version {theirs}. "
        "Install the same Penstock on both."
    )


def fewer(workers: Executor, world: int) -> Executor:
    """Return an executor with one rank's part of the workers."""
    if not dataclasses.is_dataclass(workers):
        return workers
    field = dataclasses.fields(workers)[0].name
    made: Executor = dataclasses.replace(workers, **{field: max(1, workers.count // world)})
    return made
