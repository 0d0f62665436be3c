"""Ray: Ray Data's datasets as sources, pipelines as Ray Data's datasets, and servers of the data service as actors.

Workers on a Ray cluster need nothing from here: ``dataset.loader(workers=ps.Ray(8))``.

rows = ray.data.read_parquet("s3://bucket/train")
for batch in from_ray(rows).map(decode).batch(64).loader(workers=ps.Ray(8)):
    train(batch)
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import penstock as ps
from penstock.errors import ArgumentTypeError, WorkerNotStarted
from penstock.executors import ray_cluster
from penstock.graph.checking import short, whole

try:
    import ray
except ImportError as error:
    raise ImportError('penstock.adapters.ray needs Ray: pip install "penstock[ray]"') from error

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ray.data import Dataset

logger = logging.getLogger("penstock")

CLOSING = 10.0  # seconds that servers have to say goodbye
OVERDUE = 10.0  # seconds after which it is said what Ray was asked for
ROWS = 64  # rows that Ray Data is handed at a time


def from_ray(dataset: Dataset) -> ps.Stream[dict[str, Any]]:
    """Return the rows of a dataset of Ray Data, in its order: dicts of arrays, numbers and texts.

    The same as ``ps.stream(dataset)``. What stands before it is computed by Ray Data anew in each epoch, and its
    dataset is told to keep the order, so that a state fits: resuming reads the rows before again and drops them. A
    random step of Ray Data must have a seed, or it gives other rows each time. Its tasks need CPUs of the cluster: a
    loader whose actors take all of them would wait for it for ever.
    """
    import ray.data

    if not isinstance(dataset, ray.data.Dataset):
        raise ArgumentTypeError(f"from_ray(): a Dataset of Ray Data is read, not {short(dataset)}.")
    return ps.stream(dataset)


def to_ray(dataset: ps.Sequence[Any] | ps.Stream[Any], *, epoch: int = 0, blocks: int | None = None) -> Dataset:
    """Return an epoch of a pipeline as a dataset of Ray Data: lazy, computed by its tasks, in this order.

    Args:
        dataset: whose items become rows: dicts are rows as they are, others are the field ``"item"`` of one. Convert
            before ``batch``, for Ray Data makes batches itself.
        epoch: which epoch.
        blocks: into how many tasks a sequence is divided; by default as Ray Data thinks. A stream is one task, since it
            is read from the front.

    The description travels once, through Ray's object store.
    """
    import ray.data

    if not isinstance(dataset, (ps.Sequence, ps.Stream)):
        raise ArgumentTypeError(f"to_ray(): a Sequence or a Stream of Penstock is converted, not {short(dataset)}.")
    if blocks is not None:
        blocks = whole(blocks, "to_ray()", "blocks", least=1)
    front = isinstance(dataset, ps.Stream)  # what is read from the front only
    numbers = ray.data.range(1 if front else len(dataset), override_num_blocks=1 if front else blocks)
    made = numbers.map_batches(Rows(ray.put(dataset.epoch(epoch)), whole=front), batch_size=None)
    made.context.execution_options.preserve_order = True
    return made


class Rows:
    """What a task of Ray Data calls with the positions of its block."""

    def __init__(self, description: Any, *, whole: bool) -> None:
        self.description = description
        self.whole = whole

    def __call__(self, positions: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
        """Yield columns, some rows at a time."""
        dataset = ray.get(self.description)
        items = iter(dataset if self.whole else dataset.select(positions["id"]))
        while rows := [row_of(item) for _, item in zip(range(ROWS), items, strict=False)]:
            yield {name: [row[name] for row in rows] for name in rows[0]}


def row_of(item: Any) -> dict[str, Any]:
    """Return an item as a row."""
    return item if isinstance(item, dict) else {"item": item}


class Host:
    """An actor with a server in it."""

    def start(self, dataset: Any, options: dict[str, Any]) -> tuple[str, ...]:
        """Start it at a free port of this node."""
        place = f"tcp://{ray.util.get_node_ip_address()}:*"
        self.server = ps.serve(dataset, place, **options)
        return self.server.endpoints

    def close(self) -> None:
        """Close it."""
        self.server.close()


class Servers:
    """Servers of the data service in Ray actors; made by ``serve``. Close them, or use them as a context manager."""

    def __init__(self, actors: list[Any], endpoints: tuple[str, ...]) -> None:
        self.actors = actors
        self.endpoints = endpoints
        """Where they are: for ``ps.connect(servers.endpoints)``."""

    def close(self) -> None:
        """Stop serving, and end the actors."""
        actors, self.actors = self.actors, []
        try:
            if actors:
                ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=CLOSING)
        finally:
            for actor in actors:
                ray.kill(actor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(
    dataset: ps.Sequence[Any] | ps.Stream[Any],
    servers: int = 1,
    *,
    num_cpus: float = 1,
    resources: dict[str, float] | None = None,
    start_within: float = 600.0,
    **options: Any,
) -> Servers:
    """Start servers of the data service in Ray actors, on as many nodes as possible; return where they are.

    Args:
        dataset: what is served.
        servers: how many actors; ``ps.connect(endpoints)`` gives each its share of the one order.
        num_cpus: of each, as Ray counts them; with ``workers=ps.Processes(4)``, four and one for the server.
        resources: others of the cluster's resources that each needs.
        start_within: seconds that all of them may take until they serve.
        options: those of ``penstock.serve``: ``mode``, ``workers``, ``keys`` …

    Each listens at the address of its node; without ``keys``, whoever reaches that may read the data. A server that
    dies is not started again, since a new one would be elsewhere: the others take over its share.
    """
    if not isinstance(dataset, (ps.Sequence, ps.Stream)):
        raise ArgumentTypeError(f"serve(): a Sequence or a Stream of Penstock is served, not {short(dataset)}.")
    servers = whole(servers, "serve()", "servers", least=1)
    wanted = ps.Ray(servers, num_cpus=num_cpus, resources=resources or {}, spread=True, start_within=start_within)
    ray_cluster.connected(0)
    asked = ray_cluster.asked(ray, wanted.options())
    actors = [ray.remote(**asked)(Host).remote() for _ in range(servers)]
    try:
        description = ray.put(dataset)
        answers = [actor.start.remote(description, options) for actor in actors]
        endpoints = tuple(endpoint for found in answered(answers, asked, start_within) for endpoint in found)
    except BaseException as error:
        for actor in actors:
            ray.kill(actor)
        if isinstance(error, ray.exceptions.RayTaskError):
            raise error.cause from error  # what was wrong with the options
        raise
    return Servers(actors, endpoints)


def answered(answers: list[Any], asked: dict[str, Any], seconds: float) -> list[tuple[str, ...]]:
    """Return what actors answer; say what they wait for where that takes long, and give up after some seconds."""
    try:
        return ray.get(answers, timeout=min(seconds, OVERDUE))  # type: ignore[no-any-return]
    except ray.exceptions.GetTimeoutError:
        words = f"serve(): not all of {len(answers)} servers serve yet. {ray_cluster.room(ray, asked)}."
    if seconds > OVERDUE:
        logger.warning("%s Still waiting.", words)
        with contextlib.suppress(ray.exceptions.GetTimeoutError):
            return ray.get(answers, timeout=seconds - OVERDUE)  # type: ignore[no-any-return]
    raise WorkerNotStarted(f"{words} Ask for less, or wait longer: serve(…, start_within=seconds).")
