"""Rounds over all systems, each system in a fresh process per round.

    round 1:  limit → penstock → peer → peer …
    round 2:  limit → penstock → peer → peer …

So a disturbance of the machine meets everybody, and a ratio is taken between neighbours in time. A child that hangs,
dies or lacks its library becomes an `Outcome` that says so; it never ends the run. A child leads a process group of
its own, which is ended when the child is through: peers leave workers behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO

from benchmarks.child import ANSWER
from benchmarks.claim import Claim, Measurement, Scale, System

GRACE = 10.0
"""Seconds that a child gets to end after its answer."""

LEAVE = 3.0
"""Seconds that what a child left behind gets to clean up."""

TRIES = 2
"""Rounds that a failing system takes part in before it is left out."""


@dataclass(frozen=True)
class Outcome:
    """What came of one system in one round."""

    measured: Measurement | None
    trouble: str = ""
    """Why nothing was measured, or what was odd although something was."""

    final: bool = False
    """Trying again would not help."""


Rounds = dict[str, list[Outcome]]
"""Per system, one outcome per round in which it took part; they are in step up to a failure."""


def run_rounds(
    claim: Claim, systems: Iterable[System], scale: Scale, repeats: int, say: Callable[[str], None]
) -> Rounds:
    """Measure every system `repeats` times, in rounds."""
    systems = list(systems)
    rounds: Rounds = {system.name: [] for system in systems}
    for number in range(repeats):
        for system in systems:
            outcomes = rounds[system.name]
            failures = [outcome for outcome in outcomes if outcome.measured is None]
            if len(failures) >= TRIES or any(outcome.final for outcome in failures):
                # Keeps the lists in step, so that ratios pair outcomes of the same round.
                outcomes.append(failures[-1])
                continue
            outcome = run_child(claim, system, scale)
            outcomes.append(outcome)
            say(f"{claim.name} {number + 1}/{repeats} {system.name}: {_told(claim, outcome)}")
    return rounds


def _told(claim: Claim, outcome: Outcome) -> str:
    if outcome.measured is None:
        return outcome.trouble
    told = f"{claim.shown(outcome.measured):,.4g} {claim.unit}"
    told += "".join(f", {name} {value:,.3g}" for name, value in outcome.measured.also.items())
    return f"{told} ({outcome.trouble})" if outcome.trouble else told


def run_child(claim: Claim, system: System, scale: Scale) -> Outcome:
    """Measure one system once, in a process of its own, and leave nothing of it behind."""
    # Files, not pipes: a worker that outlives the child would keep a pipe open, and reading it would hang.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            command(claim, system, scale),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            env=environment(),
            process_group=0,
        )
        try:
            hung = _wait(child, out, claim.timeout)
        finally:
            _end_group(child)
        return _read(child.returncode, hung, claim.timeout, _text(out), _text(log))


def command(claim: Claim, system: System, scale: Scale) -> list[str]:
    """The command line that measures one system once."""
    return [sys.executable, "-m", "benchmarks.child", claim.name, system.name, json.dumps(asdict(scale))]


def environment() -> dict[str, str]:
    """What a child finds: all that we have, but it may keep compiled modules.

    Installed libraries have theirs; without this, one that is run from its sources would compile them in every process,
    and start-up would measure that (33 ms for each process of Penstock's).
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _wait(child: subprocess.Popen[bytes], out: IO[str], timeout: float) -> bool:
    """Wait for the child's end; True if it had to be given up."""
    end = time.monotonic() + timeout
    answered = False
    while time.monotonic() < end:
        try:
            child.wait(timeout=0.1)
            return False
        except subprocess.TimeoutExpired:
            if not answered and ANSWER in _text(out):
                answered = True
                end = time.monotonic() + GRACE
    return True


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and all that it left behind.

    First by SIGTERM: workers die of it, but the standard library's resource tracker ignores it. It ends on its own once
    the workers are gone, and removes the shared memory that they did not. They have `LEAVE` seconds.
    """
    # The group keeps the child's number as long as a worker is in it, and the number is not given to anybody else.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        end = time.monotonic() + LEAVE
        while time.monotonic() < end:
            child.poll()
            os.killpg(child.pid, 0)
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _text(file: IO[str]) -> str:
    # The descriptor is shared with the child, and so is its offset: read without moving it.
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), min(size, 1 << 20), max(0, size - (1 << 20))).decode(errors="replace")


def _read(code: int, hung: bool, timeout: float, out: str, log: str) -> Outcome:
    lines = [line for line in out.splitlines() if line.startswith(ANSWER)]
    if not lines:
        last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "nothing on stderr")
        why = f"no answer in {timeout:.0f} s" if hung else f"died with exit code {code}"
        return Outcome(None, f"{why}: {last[:120]}")
    data = json.loads(lines[-1].removeprefix(ANSWER))
    if "missing" in data:
        return Outcome(None, f"not installed: {data['missing']}", final=True)
    if "error" in data:
        return Outcome(None, str(data["error"])[:160])
    trouble = f"measured, then did not end in {GRACE:.0f} s" if hung else ""
    if code and not hung:
        trouble = f"measured, then ended with exit code {code}"
    return Outcome(Measurement(data["amount"], data["seconds"], data.get("also", {})), trouble)
