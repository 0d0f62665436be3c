"""What follows from the costs in words: the rules of thumb of docs/scaling.md, with their figures worked out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.scaling.model import GIGABIT, Costs, Plan, Service, simulate

WORKERS = 64  # of one server: the cores of one machine
LATENCY = 1e-3  # seconds of a network's delay, where a window is worked out
WIDTH = 120


def count(number: float) -> str:
    """Return a number with three figures that mean something.

    >>> count(12345.6), count(0.4567)
    ('12,300', '0.457')
    """
    digits = 3 - len(str(int(number))) if number >= 1 else 3
    return f"{round(number, digits):,.{max(digits, 0)}f}"


def rules(service: Service) -> str:
    """Return the rules of thumb, as a list in Markdown."""
    return "\n".join(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for text in (*of_machines(service), *of_modes(service), *of_batches(service))
    )


def of_machines(service: Service) -> Iterator[str]:
    """Yield what workers, networks, a server and a consumer can do."""
    plan, costs = Plan(service, workers=WORKERS), service.alone
    image = sum(Costs.of(cost, plan.nbytes) for cost in (costs.lane, costs.send, costs.carry, costs.read)) / plan.items
    yield (
        f"**Workers are full first.** One image takes a worker milliseconds and the service {count(1e6 * image)} µs. "
        "Count workers: images a second of all consumers × seconds an image."
    )
    carried = [count(gigabits * GIGABIT / plan.nbytes * plan.items) for gigabits in (10, 25, 100)]
    yield (
        f"**Then networks.** Decoded photographs are large: 10 Gb/s carry {carried[0]} of them a second, 25 Gb/s "
        f"{carried[1]}, 100 Gb/s {carried[2]}. Send bytes, not floats; crop and resize on the server. Compressed "
        "photographs (a tenth) are worth sending only where consumers have cores to spare for decoding."
    )
    threads = {
        "thread": Costs.of(costs.lane, plan.nbytes) + Costs.of(costs.send, plan.nbytes),
        "I/O thread": Costs.of(costs.carry, plan.nbytes),
    }
    fullest = max(threads, key=lambda name: threads[name])
    yield (
        f"**One server fills up to {plan.nbytes / threads[fullest] / GIGABIT:.0f} Gb/s**: its {fullest} needs "
        f"{1e12 * threads[fullest] / plan.nbytes:.0f} µs for a MB. Beyond that, start two servers on one machine, at "
        "two ports, and name both: `connect([a, b])`."
    )
    read = Costs.of(costs.read, plan.nbytes)
    yield (
        f"**One consumer takes about {plan.nbytes / read / 1e9:.1f} GB/s ({plan.nbytes / read / GIGABIT:.0f} Gb/s), or "
        f"{count(plan.items / read)} photographs a second**, whatever its network: reading costs it "
        f"{1e12 * read / plan.nbytes:.0f} µs a MB. That is more than one trainer needs; divide over ranks, not over "
        "connections."
    )


def of_modes(service: Service) -> Iterator[str]:
    """Yield what several consumers get."""
    plan = Plan(service, workers=WORKERS)
    two, eight = (count(simulate(replace(plan, consumers=consumers)).items) for consumers in (2, 8))
    yield (
        "**Mirror costs the server's network a batch for every consumer**: at 25 Gb/s two trainings that look at the "
        f"same photographs get {two} a second each, eight get {eight}. From there on, one server for every two "
        'trainings, or shared memory where they are on one machine, or `mode="shard"`, where more consumers cost '
        "nothing until each one's part is small."
    )
    each = 1 / max(plan.nbytes / plan.network, Costs.of(service.alone.read, plan.nbytes)) * plan.items
    yield (
        f"**Shard: one server for every {WORKERS} workers**, each named by all consumers. This goes on until consumers "
        f"are full: 64 of them at 25 Gb/s take {count(64 * each)} photographs a second, which are "
        f"{count(64 * each * plan.decode)} workers. Each rank is read by a loader of its own, so say "
        "`serve(…, lanes=)` for more than 16 ranks, and give a server at least a worker for each rank."
    )


def of_batches(service: Service) -> Iterator[str]:
    """Yield what small batches cost, and what a window must hold."""
    costs = service.together
    once, byte = (costs.lane[k] + costs.send[k] for k in range(2))
    yield (
        f"**Small batches**: {1e6 * once:.1f} µs a batch at the server and {1e6 * costs.read[0]:.1f} µs at the consumer"
        f", so about {count(1 / max(once, costs.carry[0]))} of them a second leave a server. Below "
        f"{once / byte / 1e3:.0f} KB it is batches that count; above, bytes."
    )
    yield (
        f"**The credit window** (`window_bytes`, {int(Plan.window_bytes) >> 20} MB) must hold what is on the way: "
        "bandwidth × (latency + the longest pause of the consumer). At 100 Gb/s and 1 ms that is "
        f"{100 * GIGABIT * LATENCY / 1e6:.1f} MB; only slow links with long delays, or long pauses, need more."
    )
