"""What is told of the model: where a service saturates, as tables and as a picture's lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.scaling.measured import Comparison
from benchmarks.scaling.model import GIGABIT, SMALL, Costs, Plan, Service, simulate
from benchmarks.scaling.rules import WORKERS, count, rules

WRITTEN = Path(__file__).parent / "costs.json"
CONSUMERS = (1, 2, 4, 8, 16, 64, 256, 1000)
POOLS = (10, 100, 1000, 10_000)
NETWORKS = (10, 25, 100, 400)  # Gb/s


@dataclass(frozen=True)
class Effort:
    """How it was measured."""

    rounds: int
    seconds: float


def save(service: Service, comparisons: list[Comparison], effort: Effort) -> None:
    """Write down what was measured."""
    text = {"effort": asdict(effort), "service": asdict(service), "compared": [asdict(one) for one in comparisons]}
    WRITTEN.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def load() -> tuple[Service, list[Comparison], Effort]:
    """Return what was measured last."""
    text = json.loads(WRITTEN.read_text(encoding="utf-8"))
    together, alone = (
        Costs(**{name: tuple(value) for name, value in text["service"][kind].items()}) for kind in ("together", "alone")
    )
    return Service(together, alone), [Comparison(**one) for one in text["compared"]], Effort(**text["effort"])


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + "|".join(["---"] + ["---:"] * (len(names) - 1)) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def checked(comparisons: list[Comparison], effort: Effort) -> str:
    """Return the check: how, and model and service side by side."""
    errors = sorted(abs(one.error) for one in comparisons)
    said = (
        f"Medians of {effort.rounds} rounds of {effort.seconds:g} s in turns. The model is {errors[-1]:.0f} % off at "
        f"most, {median(errors):.0f} % in the middle.\n"
    )
    rows = (
        (one.what, one.consumers, one.unit, count(one.predicted), count(one.measured), f"{one.error:+.0f} %")
        for one in comparisons
    )
    return f"{said}\n{table(('', 'consumers', '', 'model', 'measured', 'error'), rows)}"


def costs(service: Service) -> str:
    """Return what the service costs."""
    rows = []
    for name in ("lane", "send", "carry", "read"):
        found = [getattr(kind, name) for kind in (service.together, service.alone)]
        rows.append((name, *(f"{1e6 * once:.1f} + {1e9 * byte * 1e3:.0f}" for once, byte in found)))
    return table(("µs a batch + µs a MB", f"up to {SMALL >> 10} KB", "larger"), rows)


def by_consumers(service: Service) -> str:
    """Return what one server's machine gives to 1 to 1,000 consumers."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for consumers in CONSUMERS:
            plan = Plan(service, consumers, WORKERS)
            mirror, shard = simulate(plan), simulate(replace(plan, sharded=True))
            yield consumers, count(mirror.items), mirror.limit, count(shard.items), shard.limit

    return table(("consumers", "mirror: images/s for each", "limit", "shard: images/s in all", "limit"), rows())


def by_workers(service: Service) -> str:
    """Return what 10 to 10,000 workers give, with a server for every 64, to 64 consumers that share."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for workers in POOLS:
            servers = -(-workers // WORKERS)
            found = [
                simulate(Plan(service, 64, workers, servers, sharded=True, network=gigabits * GIGABIT))
                for gigabits in (25, 100)
            ]
            yield workers, servers, *(cell for one in found for cell in (count(one.items), one.limit))

    return table(("workers", "servers", "25 Gb/s: images/s", "limit", "100 Gb/s: images/s", "limit"), rows())


def by_network(service: Service) -> str:
    """Return what a network allows: images a second into one consumer, from one server and from several."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for gigabits in NETWORKS:
            plain = Plan(service, workers=100_000, decode=1e-5, network=gigabits * GIGABIT)
            one = simulate(replace(plain, workers=8))
            four = simulate(replace(plain, workers=32, servers=4))
            wire = gigabits * GIGABIT / plain.nbytes * plain.items
            yield gigabits, count(wire), count(one.items), one.limit, count(four.items), four.limit

    return table(("Gb/s", "the wire", "one server: images/s", "limit", "four servers: images/s", "limit"), rows())


def lines(service: Service) -> dict[str, list[tuple[float, float]]]:
    """Return images a second over the number of consumers, for the picture."""
    found = {}
    for sharded in (False, True):
        for servers in (1, 4, 16):
            plan = Plan(service, workers=WORKERS * servers, servers=servers, sharded=sharded)
            name = f"{'shard' if sharded else 'mirror'}, {servers} server{'s' * (servers > 1)}"
            found[name] = [(float(k), simulate(replace(plan, consumers=k)).items) for k in CONSUMERS]
    return found


def blocks() -> dict[str, str]:
    """Return what docs/scaling.md holds between its marks."""
    service, comparisons, effort = load()
    return {
        "rules": rules(service),
        "costs": costs(service),
        "check": checked(comparisons, effort),
        "consumers": by_consumers(service),
        "workers": by_workers(service),
        "network": by_network(service),
    }
