"""Ray: whatever happens to actors and nodes, the stream of items is the one that reading in line gives.

The cluster, of three nodes on this machine, is a process of its own that ends with the module; all tests share it. Ray
keeps connections and spare workers for whoever comes next, so the guard does not judge single tests: that none of our
actors and threads is left is looked at here, and at the end of the module that nothing of Ray is.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import psutil
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, ItemTimeout, MissingExtra, WorkerDied, WorkerNotStarted
from penstock.testing import Killer, executors, same

pytestmark = [
    pytest.mark.leaks("Ray keeps connections and spare workers until it is shut down; see above"),
    pytest.mark.timeout(120),
]

CLUSTER = """
    import json, sys, warnings
    warnings.simplefilter("ignore")
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "resources": {"home": 9}})
    print(cluster.address, flush=True)
    away = None
    for line in sys.stdin:
        if line == "add\\n":
            away = cluster.add_node(num_cpus=2, resources={"away": 9})
        else:
            cluster.remove_node(away, allow_graceful=False)
        print("done", flush=True)
    cluster.shutdown()
"""


ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A node whose connection is refused is dead after three seconds, instead of twenty; one that is slow has nine.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}


class Nodes:
    """The cluster, and a node of it that comes and goes."""

    def __init__(self, process):
        self.process = process
        self.address = process.stdout.readline().strip()

    def __call__(self, word):
        print(word, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"


@pytest.fixture(scope="module")
def nodes():
    """A cluster, with this process connected to it; nothing of it is left at the end."""
    pytest.importorskip("ray", reason="needs Ray")
    with (
        warnings.catch_warnings(),
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CLUSTER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        ) as process,
    ):
        warnings.simplefilter("ignore")
        import ray

        cluster = Nodes(process)
        ray.init(cluster.address, logging_level="error", log_to_driver=False)
        yield cluster
        ray.shutdown()
        process.stdin.close()
        process.wait(timeout=60)
    gone("ray::", "raylet", "gcs_server")


@pytest.fixture(autouse=True)
def nothing_left():
    """Fail the test that leaves an actor or a thread of ours."""
    yield
    gone("ray::RayWorker", "ray::Board", "penstock")


def gone(*names):
    """Wait until no thread, and no process below this one, is called so; fail where that does not come."""
    deadline = time.monotonic() + 15
    while (left := [name for name in running() if name.startswith(names)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"left behind: {left}"


def running():
    """Name the threads of this process, and the processes below it that have not ended."""
    found = [thread.name for thread in threading.enumerate()]
    for process in psutil.Process().children(recursive=True):
        try:
            found.append(os.path.basename(process.cmdline()[0]))
        except (psutil.Error, IndexError):
            continue  # it has ended
    return found


# -- without any cluster


def test_values(monkeypatch):
    """Executors are values; wrong arguments are refused by name; without Ray it is said what to install."""
    pytest.importorskip("ray", reason="needs Ray")
    executors.check_value(ps.Ray(3, num_cpus=0.5, resources={"ssd": 1}, spread=True, on_start=print))
    assert repr(ps.Ray(3, num_cpus=2, resources={"ssd": 1})) == "Ray(3, num_cpus=2, resources={'ssd': 1})"
    for kind, wrong in (
        (ArgumentTypeError, {"count": None}),
        (ArgumentError, {"count": 0}),
        (ArgumentError, {"count": 1, "num_cpus": -1}),
        (ArgumentError, {"count": 1, "num_cpus": float("inf")}),
        (ArgumentError, {"count": 1, "num_cpus": 1e-9}),
        (ArgumentError, {"count": 1, "num_gpus": 1.5}),
        (ArgumentError, {"count": 1, "start_within": "1"}),
        (ArgumentTypeError, {"count": 1, "resources": 7}),
        (ArgumentError, {"count": 1, "resources": {"ssd": "x"}}),
        (ArgumentError, {"count": 1, "resources": {"CPU": 1}}),
        (ArgumentError, {"count": 1, "resources": {1: 1}}),
        (ArgumentTypeError, {"count": 1, "spread": 1}),
        (ArgumentTypeError, {"count": 1, "on_start": 1}),
    ):
        with pytest.raises(kind, match=r"Ray\(\): "):
            ps.Ray(**wrong)
    monkeypatch.setattr("penstock.executors.ray.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "penstock\[ray\]"'):
        ps.Ray(2)


def test_ray_is_started_and_ends(script):
    """Where there is no Ray, it is started without a word, and nothing of it is left when the program ends.

    No loader waits for what another has there; one whose Ray was shut down says so, and starts no other.
    """
    pytest.importorskip("ray", reason="needs Ray")
    done = script(
        """
        import penstock as ps
        from penstock.errors import WorkerError
        much = {"num_cpus": 1000, "resources": {"ssd": 1}}
        first, second = (ps.range(8).map(lambda x: x * x).loader(workers=ps.Ray(1, **much)) for _ in range(2))
        print(list(zip(first, second)) == [(x * x, x * x) for x in range(8)])

        import ray
        more = iter(ps.range(10**7).map(lambda x: x + 1).loader(workers=ps.Ray(1)))
        next(more)
        ray.shutdown()
        try:
            for _ in more: pass
        except WorkerError as error:
            print(error, ray.is_initialized())
        """,
        env={"RAY_ADDRESS": "local"},
    )
    words = "Ray was shut down while a loader used it. Make a new loader; arrays that came from this one are gone."
    assert done.stdout == f"True\n{words} False\n", done.stderr
    assert not done.stderr
    gone("ray::", "raylet", "gcs_server")


# -- the contract, and what of it is Ray's own


def test_the_seam(nodes):
    """Every ticket has one outcome; cancelled ones need none; closing twice is allowed."""
    executors.check_session(ps.Ray(2))


def test_order_states_and_early_stops(nodes):
    """Items and states are those of reading in line, in several epochs; an epoch that is left never reaches the next."""
    rows = np.arange(4000.0).reshape(40, 100)
    base = ps.arrays(x=rows, y=np.arange(40)).seed(3).shuffle()
    dataset = base.filter(lambda row: row["y"] % 3).map(lambda row, rng: (row["y"], rng.random()), rng=True).batch(4)
    dataset = dataset.prefetch(2).map(lambda pair: np.full((64, 1024), pair[1].sum()))
    with dataset.loader() as plain:
        expected = [[(item, json.dumps(plain.state_dict())) for item in plain] for _ in range(3)]
    with dataset.loader(workers=ps.Ray(2)) as loader:
        assert same([(item, json.dumps(loader.state_dict())) for item in loader], expected[0])
        first = [item for item, _ in expected[1]]
        assert same(list(itertools.islice(loader, 3)), first[:3])
        saved = loader.state_dict()
        assert same(list(loader), [item for item, _ in expected[2]])
        loader.load_state_dict(saved)
        assert same(list(loader), first[3:])


def test_errors(nodes):
    """A user's error comes at its place, as itself, with its notes, and the loader can go on."""
    executors.check_errors(ps.Ray(1))


def test_batches_stay_valid_and_can_be_changed(nodes):
    """Arrays may be written to, one does not change another, and closing leaves them as they are.

    Large ones lie in the object store itself: nothing was copied when they came.
    """
    dataset = ps.range(12).map(
        lambda x: {"large": np.full(1 << 18, x), "medium": np.full(4096, x), "small": np.full(8, x)}
    )
    loader = dataset.loader(workers=ps.Ray(1))
    kept = list(itertools.islice(loader, 6))
    assert all("plasma" in mapping(item["large"]) for item in kept)
    for item in kept:
        for array in item.values():
            np.add(array, 100, out=array)
    kept += list(itertools.islice(loader, 4))
    loader.close()
    values = [*range(100, 106), *range(4)]
    assert all((array == value).all() for item, value in zip(kept, values, strict=True) for array in item.values())


def mapping(array):
    """Return the line of this process's map of memory that an array begins in."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, end = (int(number, 16) for number in line.split()[0].split("-"))
        if first <= array.ctypes.data < end:
            return line
    return ""


@pytest.mark.skipif(
    hypothesis.settings.get_current_profile_name() != "thorough",
    reason="a minute and a half: HYPOTHESIS_PROFILE=thorough",
)
@pytest.mark.timeout(400)
def test_the_whole_contract(nodes, script):
    """The contract that every executor is held to. In a process of its own, so that Ray's own processes are not its."""
    done = script(
        f"""
        import warnings
        warnings.simplefilter("ignore")
        import ray, penstock as ps
        from penstock.testing import check_executor
        ray.init({nodes.address!r}, logging_level="error", log_to_driver=False)
        list(ps.range(3).map(str).loader(workers=ps.Ray(2)))
        check_executor(ps.Ray(2))
        print("kept")
        """,
        timeout=380,
    )
    assert "kept\n" in done.stdout, done.stderr  # beside what Ray says of those that were killed


# -- deaths


def test_killed_workers_are_replaced(nodes):
    """Workers that are killed at random change nothing in what comes."""
    dataset = ps.range(400).seed(1).shuffle().map(lambda x: np.full((64, 64), x))
    with dataset.loader(workers=ps.Ray(2)) as loader:
        iterator = iter(loader)
        first = next(iterator)
        with Killer(loader, kills=3):
            rest = list(iterator)
        assert same([first, *rest], list(dataset))


def test_an_item_that_kills_is_named(nodes, monkeypatch):
    """An item that ends its worker again and again is given up and named, though its ticket is a whole batch."""
    monkeypatch.setattr("penstock.executors.deaths.KILLED", 2)  # instead of 4: each costs the start of an actor

    def deadly(x):
        if x == 5:
            os._exit(3)
        return x

    with ps.range(8).map(deadly).batch(4).loader(workers=ps.Ray(1)) as loader:
        iterator = iter(loader)
        assert next(iterator).tolist() == [0, 1, 2, 3]
        with pytest.raises(
            WorkerDied, match=r"item 5 of map\(deadly\), epoch 0, ended \d worker processes(.|\n)*actor is dead"
        ):
            next(iterator)


def test_a_node_that_dies(nodes):
    """The actors of a node that is killed are replaced elsewhere, and what they were at comes from there."""
    nodes("add")
    dataset = ps.range(400).seed(2).shuffle().map(lambda x: (time.sleep(0.01), np.full((64, 1024), x))[1])
    with dataset.loader(workers=ps.Ray(2, num_cpus=2)) as loader:  # the whole of each node
        iterator = iter(loader)
        found = list(itertools.islice(iterator, 3))
        while len(loader.workers) < 2:
            found.append(next(iterator))
        nodes("kill")
        found += list(iterator)
        assert loader.report().replaced == 1
    assert same(found, list(dataset))


def test_a_stuck_item(nodes):
    """An item that exceeds the timeout is an error with the worker's stack, and the loader goes on behind it."""

    def stuck(x):
        if x == 3:
            time.sleep(1000)
        return x

    with ps.range(6).map(stuck).loader(workers=ps.Ray(1), timeout=0.4) as loader:
        found = []
        with pytest.raises(ItemTimeout, match=r"item 3 of map\(stuck\)(.|\n)*in stuck"):
            found.extend(loader)
        saved = loader.state_dict() | {"position": 4}
        loader.load_state_dict(saved)
        assert list(loader) == [4, 5]


def test_workers_that_cannot_start(nodes):
    """What on_start raises arrives as text; what the cluster has not is said, with what it has."""

    def broken(number):
        raise OSError(f"no licence for {number}")

    with (
        ps.range(4).loader(workers=ps.Ray(1, on_start=broken)) as loader,
        pytest.raises(WorkerNotStarted, match="no licence for 0"),
    ):
        list(loader)
    with (
        ps.range(4).loader(workers=ps.Ray(1, resources={"unobtainium": 1}, start_within=0.1), timeout=0.4) as loader,
        pytest.raises(WorkerNotStarted, match=r"1 CPU .*1 unobtainium \(free in the cluster: 0 of 0;.*start_within"),
    ):
        list(loader)
