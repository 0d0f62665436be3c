"""Ray actors hand over batches as fast under Penstock, with order and recovery, as in a plain loop."""

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import rayed

CLAIM = Claim(
    name="ray",
    work="""
Ray on one machine with 2 CPUs, 2 actors. Each fills an array of 64 × 224 × 224 × 3 bytes (9.6 MB) that it keeps, and
returns it; the consumer reads one byte of every page and checks it. The limit is a plain loop: two calls under way for
each actor, `ray.get` of the oldest. Penstock does the same with `Ray(2)`, Ray Data by `map_batches` with two actors and
a batch a block, in order. Timed once actors and the object store's memory are warm, after 40 batches; start-up is not
part of it, for anybody.
""",
    systems=(
        System("limit", Role.LIMIT, rayed.ready_plain, "a plain loop over 2 actors"),
        System("penstock", Role.CLAIM, rayed.ready_penstock, "Ray(2)"),
        System("ray-data", Role.PEER, rayed.ready_data, "map_batches, 2 actors, in order"),
    ),
    reach=0.95,
    unit="GB/s",
    per_unit=1e9,
    peers=("ray",),
)
