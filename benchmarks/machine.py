"""What ran where: the facts that belong beside every table."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata


def facts(distributions: Iterable[str]) -> list[str]:
    """One line each for the machine, the interpreter and the versions."""
    names = ["numpy", *distributions]
    release = platform.release().partition("-")[0]
    return [
        f"machine: {cpu_count()} CPUs ({cpu_model()}), {memory():.0f} GiB, {platform.system()} {release}",
        f"load average at the start: {os.getloadavg()[0]:.2f}",
        f"python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names),
    ]


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def memory() -> float:
    """Physical memory in GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def version(distribution: str) -> str:
    """The installed version of a distribution, or "missing"."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "missing"
