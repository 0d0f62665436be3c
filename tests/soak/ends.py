"""The two ends of the data service, each in a process of its own, for the rounds that kill, stop and cut them.

python -m tests.soak.ends server|consumer {"…": …}     a server ends when its input does
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.soak.rounds import nothing_left

import penstock as ps

ROWS = 4


def dataset_of(said: dict[str, Any]) -> Any:
    """Return what is served."""
    width, seed = max(2, said["nbytes"] // 8 // ROWS), said["seed"]

    def row(x: int, rng: np.random.Generator) -> Any:
        made = np.full(width, x, np.float64)
        made[1:9] = rng.random(len(made[1:9]))
        return made

    rows = ps.range(said["count"] * ROWS).seed(seed).shuffle()
    if said["stream"]:
        rows = rows.filter(lambda x: x % 7 != seed % 7)
    return rows.map(row, rng=True).batch(ROWS, last="drop")


def digest(batch: Any) -> str:
    """Return a hash of a batch, short enough for a line."""
    return hashlib.blake2b(np.ascontiguousarray(batch).view("u1"), digest_size=12).hexdigest()


def executor_of(name: str) -> Any:
    """Return where a server works."""
    return {"inline": None, "threads": ps.Threads(2), "processes": ps.Processes(1)}[name]


def serve(said: dict[str, Any]) -> None:
    """Serve until the input ends."""
    with (
        nothing_left(),
        ps.serve(dataset_of(said), said["places"], workers=executor_of(said["workers"]), **said["how"]),
    ):
        print("here", flush=True)
        sys.stdin.buffer.raw.read(1)  # type: ignore[attr-defined]


def append(path: str, line: str) -> None:
    """Write a line that outlives this process."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def keep(path: str, state: list[Any]) -> None:
    """Write a state down, whole or not at all."""
    Path(path + ".new").write_text(json.dumps(state), encoding="utf-8")
    os.replace(path + ".new", path)


def lines_of(loader: Any, said: dict[str, Any], dice: random.Random) -> Iterator[str]:
    """Give what is to be written down: a line for each batch, nothing where the state is to be saved, until it leaves."""
    while (epoch := loader.state_dict()["epoch"]) < said["epochs"]:
        for batch in loader:
            yield f"{epoch} {digest(batch)}"
            time.sleep(said["pause"] * dice.random())
            if dice.random() < said["leaving"]:
                return
            if dice.random() < 0.2:
                yield ""


def consume(said: dict[str, Any]) -> None:
    """Read some epochs, and write down what came: line by line, with the state from time to time.

    One that was killed is started again from the state, and forgets what it wrote after that, but in mode share, where
    what is finished comes to nobody again.
    """
    dice = random.Random(said["dice"])
    log, kept, share = said["log"], said["log"] + ".state", said["share"]
    if os.path.exists(kept):
        lines, place = json.loads(Path(kept).read_text(encoding="utf-8"))
    else:
        lines, place = 0, {"epoch": 0}
    if not share and os.path.exists(log):
        found = Path(log).read_text(encoding="utf-8").splitlines()[:lines]
        Path(log).write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    with nothing_left():
        while place["epoch"] < said["epochs"]:
            with ps.connect(said["to"], **said["connect"]).loader() as loader:
                if "position" in place:
                    loader.load_state_dict(place)
                for line in lines_of(loader, said, dice):
                    if line:
                        append(log, line)
                        lines += 1
                    else:
                        keep(kept, [lines, loader.state_dict()])
                place = loader.state_dict()
                keep(kept, [lines, place])
    append(log, "end")


if __name__ == "__main__":
    {"server": serve, "consumer": consume}[sys.argv[1]](json.loads(sys.argv[2]))
