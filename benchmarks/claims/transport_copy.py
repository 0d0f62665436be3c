"""A function that returns an array of its own costs one copy, and nothing more."""

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import batches

CLAIM = Claim(
    name="transport_copy",
    work="""
As `transport`, but the function returns a numpy array of its own, for everybody the same one: it keeps one array and
fills it anew, so that nobody pays for fresh memory (three in turn for PyTorch, which pickles later, in a thread). The
limit is the ring with one copy from that array into the slot.
Timed after 40 batches; start-up is not part of it, for anybody.
""",
    systems=(
        System("limit", Role.LIMIT, batches.limit_copy, "ring of shared memory by hand, one copy"),
        System("penstock", Role.CLAIM, batches.penstock_copy, "Processes(2)"),
        *batches.PEER_SYSTEMS,
    ),
    reach=0.90,
    unit="GB/s",
    per_unit=1e9,
    peers=batches.PEERS,
)
