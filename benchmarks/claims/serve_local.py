"""On one host, batches are read where a worker of the server made them."""

from functools import partial

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import batches, served

CLAIM = Claim(
    name="serve_local",
    work="""
A server with one worker process, which fills batches of 64 × 224 × 224 × 3 bytes (9.6 MB) in memory from `ps.empty`,
and a consumer in a process of its own, which reads one byte of every page and checks it. The limit is a ring of shared
memory between a producer and the consumer, by hand, with 8 slots: as many batches as are under way here, and as many as
in `transport`. Beside it, the same with 4: their 39 MB nearly fit a cache of 32 MB, which makes the ring twice as fast
there; and a bare socket over TCP loopback that sends one batch again and again. Timed after 40 batches. """,
    systems=(
        System("limit", Role.LIMIT, partial(served.ring, 2 * batches.SLOTS), "ring of shared memory by hand, 8 slots"),
        System("ring-4", Role.EXTRA, partial(served.ring, batches.SLOTS), "the same with 4 slots, in the cache"),
        System("penstock", Role.CLAIM, served.penstock_local, "serve with Processes(1), connect"),
        System("socket", Role.EXTRA, partial(served.raw, served.BIG), "TCP loopback, recv_into"),
    ),
    reach=0.80,
    unit="GB/s",
    per_unit=1e9,
)
