"""How a server is doing, in figures: for ``penstock top``, for Prometheus, and for whoever asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.graph.drawing import line

if TYPE_CHECKING:
    from penstock.service.loop import Loop


def figures_of(loop: Loop) -> dict[str, Any]:
    """Return how the server is doing, as plain JSON."""
    consumers = []
    for guest in list(loop.guests.here.values()):
        routes = list(guest.routes.values())
        consumers.append(
            {
                "name": guest.name[:8],
                "epoch": max((route.epoch for route in routes), default=None),
                "batches": sum(route.batches for route in routes),
                "bytes": sum(route.nbytes for route in routes),
                "under_way": sum(len(route.flow.sizes) for route in routes),
                "silent": time.monotonic() - guest.heard,
            }
        )
    return {
        "mode": loop.terms.mode,
        "pipeline": line(loop.dataset.node)[:512],
        "seconds": time.monotonic() - loop.began,
        "batches": loop.totals["batches"],
        "bytes": loop.totals["bytes"],
        "dropped": loop.guests.dropped,
        "queue": [len(lane.entries) for lane in loop.mode.lanes],
        "consumers": consumers[:256],
    }
