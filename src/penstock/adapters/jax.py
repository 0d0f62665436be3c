"""JAX: batches as JAX arrays, on a device or spread over several, copied while the batch before is worked on.

with photos.loader(workers=ps.Processes(4), shard="auto") as loader:
    for batch in loader:
        train(to_jax(batch, sharding))
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import jax
except ImportError as error:
    raise ImportError("penstock.adapters.jax needs JAX: pip install jax") from error


def to_jax(batch: Any, where: Any = None) -> Any:
    """Return a batch with its arrays as JAX arrays; texts and plain numbers stay as they are.

    Args:
        batch: an array, or dicts, lists, tuples of them, or any tree that JAX knows.
        where: a device or a sharding. With a sharding that spans several processes, each hands in its own part of
            the batch, as ``loader(shard="auto")`` reads it. By default, JAX's default device.

    JAX copies to an accelerator in the background, so it is enough to call this a batch ahead. On the processor it
    shares the memory of the array where it can: do not write to the array afterwards.

    >>> to_jax({"x": np.arange(3), "name": ["a", "b"]})
    {'name': ['a', 'b'], 'x': Array([0, 1, 2], dtype=int32)}
    """
    return jax.tree.map(lambda value: placed(value, where), batch)


def placed(value: Any, where: Any) -> Any:
    """Return the JAX array of an array of numbers; other values stay."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufcV" or value.dtype.names is not None:
        return value
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if where is not None and not getattr(where, "is_fully_addressable", True):
        return jax.make_array_from_process_local_data(where, value)
    return jax.device_put(value, where)
