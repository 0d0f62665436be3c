"""Starting a server of the data service."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.amounts import nbytes_of
from penstock.graph.checking import choice, flag, short, whole
from penstock.graph.execution import Executor
from penstock.service.arguments import places, seconds
from penstock.service.keys import for_server
from penstock.service.server import Server
from penstock.service.terms import Terms
from penstock.surface.dataset import node_of
from penstock.surface.hinting import hinted

if TYPE_CHECKING:
    from penstock.surface.dataset import Dataset

MODES = ("mirror", "share", "shard")
LOCAL = ("127.", "localhost", "[::1]", "::1")


@hinted
def serve(  # noqa: PLR0913  each is a decision of its own, and most calls make one or two
    dataset: Dataset[Any],
    endpoint: str | Iterable[str],
    *,
    mode: str = Terms.mode,
    workers: Executor | None = None,
    state_file: str | os.PathLike[str] | None = None,
    keys: str | os.PathLike[str] | None = None,
    window: int = Terms.window,
    window_bytes: int | str = Terms.window_bytes,
    patience: float = Terms.patience,
    lanes: int = Terms.lanes,
    guests: int = Terms.guests,
    bind: bool = True,
    metrics: str | None = None,
) -> Server:
    """Start a server that reads a dataset and sends its batches to whoever connects; return it.

    Args:
        dataset: what is served, usually batches. What it consists of: arrays, numbers, texts, byte strings, None, and
            dicts, lists and tuples of such: nothing else can be sent, and nothing that is sent is executed.
        endpoint: ``"tcp://host:5557"``, ``"ipc:///tmp/batches"``, or several of them. Port ``*`` takes a free one.
        mode: ``"mirror"``: every consumer gets every batch, each computed once as long as consumers stay near one
            another. ``"share"``: each batch goes to exactly one consumer, whoever has room first. ``"shard"``: each
            rank gets its part of every batch, as by ``loader(shard=(rank, world))``; ranks divide the workers.
        workers: ``Inline()`` (the default), ``Threads(n)`` or ``Processes(n)``.
        state_file: where, in mode share, the account of what is finished is kept, so that a server that is started
            again goes on where its consumers are. The other modes need none: consumers know where they are.
        keys: the folder that ``penstock keys`` made: traffic is encrypted, and only clients on its list get in.
        window: how many batches may be read ahead of the slowest consumer.
        window_bytes: how many bytes these may have, such as ``"256MB"``; the workers are up to a quarter of that
            further ahead.
        patience: seconds that a consumer may be silent. Then what it holds goes to others (share), or it is not waited
            for any more. It can still come back.
        lanes: how many different places of the stream are read at once, for consumers that are far apart.
        guests: how many consumers there may be.
        bind: False connects to a consumer that waits (``connect(…, bind=True)``).
        metrics: ``"host:port"`` where Prometheus is answered.

    Runs in threads of this process until it is closed; ``serve(…).wait()`` serves until Ctrl-C.

    Raises:
        ServiceError: the endpoint cannot be bound.

    >>> import penstock as ps
    >>> with ps.serve(ps.range(4), "tcp://127.0.0.1:*") as server:
    ...     list(ps.connect(server.endpoint).map(lambda x: 10 * x))
    [0, 10, 20, 30]
    """
    where = "serve()"
    node_of(dataset, where)
    endpoints = places(endpoint, where, 'serve(dataset, "tcp://127.0.0.1:5557")')
    choice(mode, MODES, where, "mode")
    flag(bind, where, "bind")
    executor: Any = workers
    if executor is not None and not isinstance(executor, Executor):
        raise ArgumentTypeError(
            f"{where}: workers must say where work runs, for example Processes(4), not {short(workers)}."
        )
    if state_file is not None and mode != "share":
        raise ArgumentError(
            f'{where}: only mode="share" keeps a state file; in mode "{mode}" consumers know where they are.'
        )
    file = None if state_file is None else os.path.abspath(os.fspath(state_file))
    if file is not None and not os.access(os.path.dirname(file), os.W_OK):
        raise ArgumentError(f"{where}: the state file {short(file)} cannot be written: there is no such folder for us.")
    guards = None if keys is None else for_server(keys)
    exposed = [one for one in endpoints if is_exposed(one)]
    if guards is None and exposed:
        warnings.warn(
            f"serve(): {', '.join(exposed)} can be reached by others, and without keys whoever reaches it may read the "
            "data. Make keys by: penstock keys FOLDER, and say keys=FOLDER; or bind to 127.0.0.1.",
            stacklevel=3,  # this function is wrapped
        )
    terms = Terms(
        mode=mode,
        workers=workers,
        window=whole(window, where, "window", least=1),
        window_bytes=nbytes_of(window_bytes, where, "window_bytes"),
        patience=seconds(patience, where, "patience"),
        lanes=whole(lanes, where, "lanes", least=1),
        guests=whole(guests, where, "guests", least=1),
        state_file=file,
        keys=guards,
        bind=bind,
    )
    return Server(dataset, endpoints, terms, metrics)


def is_exposed(endpoint: str) -> bool:
    """Tell whether others than this host can reach an endpoint."""
    parts = urlsplit(endpoint)
    return parts.scheme not in ("ipc", "inproc") and not parts.netloc.startswith(LOCAL)
