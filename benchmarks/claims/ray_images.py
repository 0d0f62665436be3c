"""Photographs decoded by Ray actors come as fast under Penstock as from a plain loop over such actors, or faster."""

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import photos, rayed

CLAIM = Claim(
    name="ray_images",
    work="""
The work of `images` in Ray on one machine with 2 CPUs: 2 actors read, decode and augment photographs and stack them to
batches of 64 × 224 × 224 × 3 bytes. The limit is a plain loop: two calls under way for each actor, `ray.get` of the
oldest. Penstock does the same with `Ray(2)`, Ray Data by `map_batches` with two actors and a batch a block, in order.
Penstock's actors tell malloc to keep what is freed, which a plain actor does not. Timed after 8 batches; start-up is
not part of it, for anybody.
""",
    systems=(
        System("limit", Role.LIMIT, rayed.images_plain, "a plain loop over 2 actors"),
        System("penstock", Role.CLAIM, rayed.images_penstock, "Ray(2)"),
        System("ray-data", Role.PEER, rayed.images_data, "map_batches, 2 actors, in order"),
    ),
    reach=0.95,
    unit="images/s",
    seconds=4.0,
    peers=("opencv-python-headless", "ray"),
    prepare=photos.prepare,
)
