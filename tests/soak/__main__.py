"""The soak: the acceptance tests for faults, again and again, at random moments, each in a process of its own.

    python -m tests.soak [--rounds 20] [--only kill resume …] [--sizes 1024 262144 8388608] [--jobs 1] [--seed 0]

A round passes when its process ends by itself, in time, with exit code 0 and nothing on standard error, and leaves no
process behind. One that takes too long is a hang: it is made to write its stacks first. Not part of the ordinary tests,
which have one case of each; this looks for what happens once in a hundred times.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.soak.service import ROUNDS

MARK = "PENSTOCK_SOAK_MARK"
FLAGS = ("-X", "faulthandler", "-W", "error")
LIMIT = 90.0  # seconds that a round may take, on a machine that does other things, too
GRACE = 5.0  # seconds until nothing of it may be left
SIZES = (1 << 10, 256 << 10, 8 << 20)


class Result(NamedTuple):
    """What became of a round."""

    verdict: str
    """"pass", "fail", "hang" or "left": processes that outlived it."""
    seconds: float
    text: str


def marked(mark: str) -> list[int]:
    """Return the processes that carry a mark in their environment and are alive."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                ours = mark.encode() in Path(f"/proc/{entry}/environ").read_bytes()
                state = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if ours and state != "Z":
                found.append(int(entry))
    return found


def play(name: str, nbytes: int, seed: int) -> Result:
    """Run one round."""
    mark = uuid.uuid4().hex
    command = [sys.executable, *FLAGS, "-m", "tests.soak.rounds", name, str(nbytes), str(seed)]
    began = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, MARK: mark},
    ) as process:
        try:
            text, _ = process.communicate(timeout=LIMIT)
            verdict = "pass" if process.returncode == 0 and not text else "fail"
        except subprocess.TimeoutExpired:
            verdict = "hang"
            process.send_signal(signal.SIGABRT)
            time.sleep(1)  # for the stacks
            for pid in marked(mark):
                os.kill(pid, signal.SIGKILL)
            text, _ = process.communicate()
    seconds = time.monotonic() - began
    deadline = time.monotonic() + GRACE
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        text += f"\nleft behind: process {pid}: {Path(f'/proc/{pid}/cmdline').read_text()[:200]}"
        os.kill(pid, signal.SIGKILL)
    if left and verdict == "pass":
        verdict = "left"
    if verdict == "fail":
        text = f"exit code {process.returncode}\n{text}"
    return Result(verdict, seconds, text)


def main() -> int:
    """Play all rounds; print a line for each kind and size; tell of what failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="of each kind and size")
    parser.add_argument("--only", nargs="+", default=list(ROUNDS), choices=list(ROUNDS), metavar="KIND")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="BYTES")
    parser.add_argument("--jobs", type=int, default=1, help="rounds at the same time")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    options = parser.parse_args()
    failures = 0
    print(f"{'kind':<12} {'item':>7}  {'passed':>7}  {'median':>7} {'longest':>8}", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        for name in options.only:
            sized = ROUNDS[name].sized
            for nbytes in options.sizes if sized else options.sizes[:1]:
                seeds = range(options.seed, options.seed + min(options.rounds, ROUNDS[name].most))
                results = list(pool.map(lambda seed, name=name, nbytes=nbytes: play(name, nbytes, seed), seeds))
                passed = sum(result.verdict == "pass" for result in results)
                seconds = sorted(result.seconds for result in results)
                size = f"{nbytes >> 10:,} KB" if sized else ""
                share, median = f"{passed}/{len(results)}", seconds[len(seconds) // 2]
                print(f"{name:<12} {size:>7}  {share:>7}  {median:6.1f}s {seconds[-1]:7.1f}s", flush=True)
                for seed, result in zip(seeds, results, strict=True):
                    if result.verdict != "pass":
                        failures += 1
                        print(f"--- {name} {nbytes} {seed}: {result.verdict}\n{result.text[-4000:]}\n---", flush=True)
    print("all passed" if not failures else f"{failures} rounds failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
