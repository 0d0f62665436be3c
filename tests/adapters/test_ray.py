"""Ray Data and the data service in actors: what goes through them is what stands in the pipeline, in its order."""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import psutil
import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError
from penstock.testing import same

pytestmark = [
    pytest.mark.leaks("Ray keeps connections and spare workers until it is shut down; the fixture looks behind it"),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def adapter():
    """The adapter, with a Ray of its own on this machine; nothing of that is left at the end."""
    pytest.importorskip("ray", reason="needs Ray")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        warnings.simplefilter("ignore")
        import ray
        import ray.data

        from penstock.adapters import ray as adapter

        ray.init("local", num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        yield adapter
        ray.shutdown()
    deadline = time.monotonic() + 15
    while (left := running()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"left behind by Ray: {left}"


@pytest.fixture(autouse=True)
def quiet():
    """Ray Data warns of what it deprecates in its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def running():
    """Name Ray's processes below this one that have not ended."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found.append(os.path.basename(process.cmdline()[0]))
        except (psutil.Error, IndexError):
            continue
    return [name for name in found if name.startswith(("ray::", "raylet", "gcs_server"))]


def test_a_sequence_becomes_rows(adapter):
    """Rows are the items of the epoch, in its order, with its draws, whatever tasks compute them."""
    columns = {"x": np.arange(60.0).reshape(30, 2), "y": np.arange(30)}
    dataset = ps.arrays(**columns).seed(4).shuffle().map(lambda row, rng: {**row, "z": rng.random()}, rng=True)
    rows = adapter.to_ray(dataset, epoch=2, blocks=3).take_all()
    expected = list(dataset.epoch(2))
    assert [(row["x"].tolist(), row["y"], row["z"]) for row in rows] == [
        (row["x"].tolist(), row["y"], row["z"]) for row in expected
    ]


def test_a_stream_becomes_rows(adapter):
    """A stream is one task, read from the front; what is no dict is the field item; what is no dataset is refused."""
    dataset = ps.range(200).shuffle().filter(lambda x: x % 3 == 0).map(int)
    assert [row["item"] for row in adapter.to_ray(dataset).take_all()] == list(dataset)
    with pytest.raises(ArgumentTypeError, match="to_ray"):
        adapter.to_ray([1, 2])


def test_rows_are_a_source(adapter):
    """A dataset of Ray Data is a stream of its rows in its order, in every epoch, which resumes."""
    import ray.data

    rows = ray.data.range(60, override_num_blocks=6).map(lambda row: {"id": row["id"], "v": np.full(2, row["id"])})
    dataset = ps.stream(rows).map(lambda row: row["v"] * 2).batch(8)
    assert "stream(Dataset) → map(lambda) → batch(8)" in repr(dataset)
    expected = [2 * np.repeat(np.arange(k, min(k + 8, 60))[:, None], 2, 1) for k in range(0, 60, 8)]
    with dataset.loader() as loader:
        iterator = iter(loader)
        found = [next(iterator), next(iterator)]
        saved = loader.state_dict()
    with adapter.from_ray(rows).map(lambda row: row["v"] * 2).batch(8).loader() as loader:
        loader.load_state_dict(saved)
        assert same([*found, *loader], expected)
        assert same(list(loader), expected)


def test_servers_in_actors(adapter):
    """Servers in two actors give their shares of one order; closing them ends them."""
    dataset = ps.range(20).shuffle().batch(3)
    with adapter.serve(dataset, 2, num_cpus=0.5) as servers:
        assert len(servers.endpoints) == 2
        assert same(list(ps.connect(servers.endpoints)), list(dataset))
    servers.close()
    deadline = time.monotonic() + 15
    while any(name.startswith("ray::Host") for name in running()):
        assert time.monotonic() < deadline, "the actors have not ended"
        time.sleep(0.02)
