"""Batches made in memory that Penstock hands out cross a process boundary without a copy."""

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import batches

CLAIM = Claim(
    name="transport",
    work="""
Two workers make batches of 64 × 224 × 224 × 3 bytes (9.6 MB) with `ndarray.fill`; the consumer reads one byte of every
page of each and checks it. Penstock's function fills memory from `ps.empty`; the limit is a ring of shared memory
(memfd, eventfd) between two forked producers and the consumer, 4 slots each, filled and read in place. Peers hand out
no memory: their function fills an array that it keeps (see `transport_copy`). The extra rows show what the ring's
length does: a ring that fits into the cache is faster than memory.
Timed once workers and memory are warm, after 40 batches; start-up is not part of it, for anybody.
""",
    systems=(
        System("limit", Role.LIMIT, batches.limit_in_place, "ring of shared memory by hand"),
        System("penstock", Role.CLAIM, batches.penstock_in_place, "Processes(2), ps.empty"),
        System("ring-2-slots", Role.EXTRA, batches.fewer_slots, "the limit with 2 slots per producer"),
        System("ring-12-slots", Role.EXTRA, batches.more_slots, "the limit with 12 slots per producer"),
        *batches.PEER_SYSTEMS,
    ),
    reach=0.85,
    unit="GB/s",
    per_unit=1e9,
    peers=batches.PEERS,
)
