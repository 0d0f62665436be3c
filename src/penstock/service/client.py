"""The consumer's end of the data service, as a source: a stream of what a server sends."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, LedgerError, StateError
from penstock.graph.amounts import nbytes_of
from penstock.graph.checking import flag, short, whole
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.progress import Mark
from penstock.service.arguments import places, rank_of, seconds
from penstock.service.holding import Holding
from penstock.service.inlets import Wishes
from penstock.service.lanes import Where
from penstock.service.link import Link
from penstock.service.talk import WINDOW
from penstock.stream import Stream
from penstock.surface.hinting import hinted
from penstock.transport.wire import opened

if TYPE_CHECKING:
    import os

    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

logger = logging.getLogger("penstock")


@operation
class Connect(Node):
    """What servers send. It is read in the caller; what is behind it runs in workers.

    A position is [the next batch's number, the position of the server's pipeline there, a check sum of that pipeline];
    where batches of several servers come as they come, the first is a list of pairs, one for each server.
    """

    heeds = True

    wishes: Wishes

    @property
    def positional(self) -> bool:
        """Never: it is read from the front."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Connect when the first batch is asked for."""
        return Receiving(self, read, position)

    def label(self) -> str:
        """Return where the servers are, and what was said."""
        wishes = self.wishes
        ends = repr(wishes.endpoints[0]) if len(wishes.endpoints) == 1 else repr(list(wishes.endpoints))
        shard = "" if wishes.shard is None else f", shard={wishes.shard}"
        servers = "" if wishes.servers in (None, 1) else f", bind=True, servers={wishes.servers}"
        return f"connect({ends}{servers}{shard}{'' if wishes.ordered else ', ordered=False'})"

    def fingerprint(self) -> str:
        """Leave the place out: a state belongs to what is served, whoever serves it, and fits every rank."""
        return f"connect({'' if self.wishes.ordered else 'ordered=False'})"


class Receiving(Cursor):
    """Reads what comes over a link, which begins with the first batch."""

    def __init__(self, node: Connect, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        count = len(node.wishes.places)
        self.mixed = not node.wishes.ordered and count > 1
        self.digest: int | None
        number, below, self.digest = (0, None, None) if position is None else self.checked(position)
        if isinstance(number, list):
            self.mixed = True
            self.wheres = [Where(read.epoch, *where) for where in number]
        else:
            self.wheres = [Where(read.epoch, number, below)] * count
        if len(self.wheres) != count:
            raise StateError(
                f"{node.label()}: the state was saved with {len(self.wheres)} servers whose batches came as they came; "
                f"here are {count}. Name as many, or read in order."
            )
        self.place = Place(max(0, self.wheres[0].number - 1))
        self.link: Link | None = None
        self.ending: weakref.finalize[[], Any] | None = None
        self.holding: Holding | None = None
        self.closed = False

    def checked(self, position: Position) -> Position:
        """Return a position, or refuse what is none."""
        if not isinstance(position, list) or len(position) != 3:
            raise TypeError(f"a position of {self.node.label()} has three parts, not {short(position)}")
        return position

    def __next__(self) -> Any:
        link = self.link or self.begin()
        number = self.wheres[0].number
        inlets = link.inlets if self.mixed else [link.inlets[number % len(link.inlets)]]
        assert self.holding is not None
        try:
            taken = link.take(inlets, self.holding)
        except BaseException:  # whoever asks again connects again, where this stands
            self.drop()
            raise
        if taken is None:
            self.end(link, number)
            raise StopIteration
        inlet, arrival = taken
        if link.talk.mode == "share" and len(link.inlets) > 1:
            self.mixed = True
        elif link.talk.mode != "share" and not self.mixed and arrival.number != number:
            raise LedgerError(
                f"batch {arrival.number} came where {number} was due: a fault of Penstock. Please report it."
            )
        item = opened(arrival.record)
        where = Where(self.read.epoch, arrival.number + 1, arrival.after)
        if self.mixed:
            self.wheres[inlet.share] = where
        else:
            self.wheres = [where] * len(self.wheres)
        self.digest = link.talk.digest
        self.place = Place(arrival.number)
        return item

    def begin(self) -> Link:
        """Connect."""
        if self.closed:
            raise StopIteration
        link = self.link = Link(self.node.wishes, self.read.epoch, self.wheres, self.digest)
        self.holding = Holding(link, self.read.progress)
        self.ending = weakref.finalize(self, link.close)
        return link

    def end(self, link: Link, number: int) -> None:
        """Check the account."""
        for inlet in link.inlets:
            if inlet.late:
                logger.warning(
                    "%s: epoch %d was over before this consumer came; it goes on with the next.",
                    self.node.label(),
                    self.read.epoch,
                )
            if inlet.total is not None and inlet.total != number and not self.mixed and link.talk.mode != "share":
                raise LedgerError(
                    f"the epoch ended at batch {number} of {inlet.total}: a fault of Penstock. Please report it."
                )

    def position(self) -> Position:
        """Return where the next batch comes from, there."""
        if self.digest is None and not self.wheres[0].number:
            return None
        _, number, below = self.wheres[0]
        position: list[Any] = [number, below, self.digest]
        if self.mixed:
            position = [[[where.number, where.below] for where in self.wheres], None, self.digest]
        holding = self.holding
        return Mark(position, holding, holding.count) if holding is not None and holding.ahead else position

    def starved(self) -> bool:
        """Tell whether nothing has arrived."""
        return self.link is not None and not any(inlet.buffer or inlet.ended for inlet in self.link.inlets)

    def interrupt(self) -> None:
        """Stop waiting."""
        self.close()

    def close(self) -> None:
        """Say good-bye."""
        self.closed = True
        self.drop()

    def drop(self) -> None:
        """End the link, and have nobody remember it: its error knows these lines, and through them all of the loop."""
        if self.holding is not None:
            self.holding.end()
        self.holding = self.link = None
        if self.ending is not None:
            self.ending()


@hinted
def connect(  # noqa: PLR0913  each is a decision of its own, and most calls make none
    endpoint: str | Iterable[str],
    *,
    shard: tuple[int, int] | None = None,
    ordered: bool = True,
    window: int | None = None,
    window_bytes: int | str = Wishes.window_bytes,
    timeout: float = Wishes.timeout,
    keys: str | os.PathLike[str] | None = None,
    bind: bool = False,
    servers: int | None = None,
    largest: int = Wishes.largest,
    local: bool = True,
) -> Stream[Any]:
    """Return the batches of a server, or of several, as a stream: map it, prefetch it, resume it.

    Args:
        endpoint: where the server is: ``"tcp://host:5557"``, ``"ipc:///tmp/batches"``; or a list of servers of the same
            dataset. Each of them computes its share of the batches, which come in the order of the dataset.
        shard: ``(rank, world size)``, where the server's mode is ``"shard"``: this rank's part of every batch.
        ordered: False takes the batches of several servers as they come.
        window: how many batches may be here, or on the way, and not finished: a batch is finished when the next one is
            asked for. By default 1,024, and 16 where the server's mode is ``"share"``; never more than the server
            keeps (``serve(…, window=…)``).
        window_bytes: how many bytes these may have, also as ``"256MB"``; one batch is always allowed.
        timeout: seconds that a server may be silent. Then, of several, the others take over its share; else it is an
            error. Allow for more than one batch takes on a slow network.
        keys: the file that ``penstock keys`` made for this client.
        bind: wait here for a server that connects (``serve(…, bind=False)``).
        servers: with ``bind``, how many servers come to this place, 1 by default: each computes a share of the
            batches, as with a list. Who comes when all are there waits, and takes the place of one that is lost.
        largest: bytes that an array of a batch may have; a server that sends more is not heard.
        local: whether to read shared memory where the server is on this host.

    A state holds the next batch's number and the server's own position there; it loads wherever the same pipeline is
    served, by any number of servers. Epoch e is the server's epoch e.

    Raises:
        ServerLost: when reading, that a server is not there, or not any more.
        ServerRefused: when reading, that it does not let us in, or cannot do this.
        StateError: when reading, that the state is of another pipeline.
        RemoteError: when reading, what the server's pipeline raised, with its notes and traceback.

    >>> import penstock as ps
    >>> with ps.serve(ps.range(6).batch(2), "tcp://127.0.0.1:*") as server:
    ...     [batch.tolist() for batch in ps.connect(server.endpoint)]
    [[0, 1], [2, 3], [4, 5]]
    """
    where = "connect()"
    flag(ordered, where, "ordered")
    flag(bind, where, "bind")
    flag(local, where, "local")
    ends = places(endpoint, where, 'connect("tcp://host:5557")')
    if servers is not None and not bind:
        raise ArgumentError(
            f"{where}: servers says how many come here, with bind=True. Name those to connect to in a list."
        )
    wishes = Wishes(
        endpoints=ends,
        shard=None if shard is None else rank_of(shard, where),
        ordered=ordered,
        window=None if window is None else min(whole(window, where, "window", least=1), WINDOW),
        window_bytes=nbytes_of(window_bytes, where, "window_bytes"),
        timeout=seconds(timeout, where, "timeout"),
        largest=whole(largest, where, "largest", least=1),
        keys=None if keys is None else str(keys),
        bind=bind,
        servers=whole(len(ends) if servers is None else servers, where, "servers", least=1) if bind else None,
        local=local,
    )
    return Stream(Connect(wishes))
