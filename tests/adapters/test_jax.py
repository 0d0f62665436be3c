"""JAX: a batch's arrays as JAX arrays, of the same values and structure."""

from __future__ import annotations

import numpy as np
import pytest

import penstock as ps

jax = pytest.importorskip("jax")
adapter = pytest.importorskip("penstock.adapters.jax")


def test_trees_keep_their_structure():
    """Arrays of numbers become JAX arrays, everything else stays."""
    batch = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "name": ["a", "b"], "pair": (np.array([True]), 3)}
    made = adapter.to_jax(batch)
    assert isinstance(made["x"], jax.Array)
    assert made["x"].tolist() == batch["x"].tolist()
    assert made["name"] == ["a", "b"]
    assert isinstance(made["pair"][0], jax.Array)
    assert made["pair"][1] == 3
    assert adapter.to_jax(np.array(["a"])).tolist() == ["a"]


def test_on_a_device_and_a_sharding():
    """A device or a sharding says where the arrays go."""
    device = jax.devices()[0]
    made = adapter.to_jax(np.arange(4, dtype=np.int32), device)
    assert made.devices() == {device}
    where = jax.sharding.SingleDeviceSharding(device)
    assert adapter.to_jax(np.arange(4).astype(">i4"), where).tolist() == [0, 1, 2, 3]


def test_batches_of_a_loader():
    """A loader's batches arrive whole."""
    with ps.arrays(x=np.arange(10, dtype=np.float32)).batch(4).loader(workers=ps.Threads(2)) as loader:
        assert [adapter.to_jax(batch)["x"].sum().item() for batch in loader] == [6, 22, 17]
