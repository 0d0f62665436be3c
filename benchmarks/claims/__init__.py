"""The claims, one file each."""

ORDER = (
    "transport",
    "transport_copy",
    "arrays",
    "overhead",
    "images",
    "stragglers",
    "hops",
    "startup",
    "startup_small",
    "overlap",
    "watching",
    "order",
    "gather",
    "maps",
    "packing",
    "read_sequential",
    "read_random",
    "write",
    "open",
    "serve_big",
    "serve_small",
    "serve_local",
    "mirror",
)
"""The order in which a run of all claims tells them; others follow by name."""
