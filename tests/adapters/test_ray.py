"""Ray Data, Ray Train, and the data service in actors: what arrives is what stands in the pipeline, in its order."""

from __future__ import annotations

import json
import os
import time
import warnings

import hypothesis
import numpy as np
import psutil
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, WorkerNotStarted
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
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")  # seconds that each of Ray Train's reports takes
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
    with pytest.raises(ArgumentError, match="blocks must be at least 1"):
        adapter.to_ray(dataset, blocks=0)
    with pytest.raises(ArgumentTypeError, match="from_ray"):
        adapter.from_ray([1, 2])


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


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"servers": 0}, ArgumentError, "servers must be at least 1"),
        ({"num_cpus": -1}, ArgumentError, "num_cpus"),
        ({"wokers": 2}, ArgumentTypeError, "no option wokers. Did you mean workers"),
        ({"resources": {"unobtainium": 1}, "start_within": 0.1}, WorkerNotStarted, "1 unobtainium .*start_within"),
    ],
)
def test_servers_that_cannot_start(adapter, options, kind, words):
    """What is wrong with the options is said as by serve itself; what the cluster has not is said, and not waited for."""
    with pytest.raises(kind, match=words):
        adapter.serve(ps.range(4), **options)


@pytest.mark.skipif(
    hypothesis.settings.get_current_profile_name() != "thorough",
    reason="ten seconds to start Ray Train's processes twice: HYPOTHESIS_PROFILE=thorough",
)
def test_ray_train(adapter, tmp_path):
    """Trainers of Ray Train that fail go on from the state in its checkpoint, each with its part of every batch."""
    pytest.importorskip("ray.train.v2.api.data_parallel_trainer", reason="needs Ray Train", exc_type=ImportError)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    dataset = ps.range(28).seed(5).shuffle().map(lambda x, rng: x + rng.random(), rng=True).batch(4)
    saved = tmp_path / "saved"
    saved.mkdir()

    def train(config):
        from ray.train import Checkpoint, get_checkpoint, report

        rank, _ = ps.rank_and_world()
        before = get_checkpoint()
        with dataset.loader(shard="auto") as loader, open(f"{tmp_path}/{bool(before)}{rank}", "w") as out:
            if before:
                with before.as_directory() as folder, open(f"{folder}/loader") as file:
                    loader.load_state_dict(json.load(file))
            for batch in loader:
                print(json.dumps(batch.tolist()), file=out, flush=True)
                position = loader.state_dict()["position"]
                if position == 3 and rank == 0:
                    (saved / "loader").write_text(json.dumps(loader.state_dict()))
                if position in (3, 4, 5):  # the later ones wait until the first, with the checkpoint, has arrived
                    mine = position == 3 and rank == 0
                    report({}, checkpoint=Checkpoint.from_directory(saved) if mine else None)
                if position == 5 and rank == 1 and not before:
                    raise OSError("a trainer that fails")

    run = RunConfig(storage_path=str(tmp_path / "storage"), failure_config=FailureConfig(max_failures=1))
    DataParallelTrainer(train, scaling_config=ScalingConfig(num_workers=2), run_config=run).fit()
    for rank in range(2):
        expected = [json.dumps(batch.tolist()) for batch in dataset.loader(shard=(rank, 2))]
        first, second = ((tmp_path / f"{again}{rank}").read_text().splitlines() for again in (False, True))
        assert len(first) >= 3
        assert first == expected[: len(first)]
        assert second == expected[3:]
