"""On one host, batches are read where a worker of the server made them."""

from functools import partial

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import served

CLAIM = Claim(
    name="serve_local",
    work="""
A server with one worker process, which fills batches of 64 × 224 × 224 × 3 bytes (9.6 MB) in memory from `ps.empty`,
and a consumer in a process of its own, which reads one byte of every page and checks it. The limit is a ring of shared
memory between a producer and the consumer, by hand; beside it, a bare socket over TCP loopback that sends one batch
again and again. Timed after 40 batches. """,
    systems=(
        System("limit", Role.LIMIT, served.ring, "ring of shared memory by hand"),
        System("penstock", Role.CLAIM, served.penstock_local, "serve with Processes(1), connect"),
        System("socket", Role.EXTRA, partial(served.raw, served.BIG), "TCP loopback, recv_into"),
    ),
    reach=0.80,
    unit="GB/s",
    per_unit=1e9,
)
