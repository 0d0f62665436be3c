"""Transforming: what becomes of each item."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from penstock.graph.fields import Field
from penstock.graph.policy import Policy
from penstock.operations.cache import Cache
from penstock.operations.enumerate import Enumerate
from penstock.operations.fetch import Fetch
from penstock.operations.filter import Filter
from penstock.operations.flat_map import FlatMap
from penstock.operations.map import Map
from penstock.operations.on_error import OnError
from penstock.storage.remote import Ahead, Remote
from penstock.surface.described import Described
from penstock.surface.keeping import keeper

if TYPE_CHECKING:
    import os
    from typing import Self

    from penstock.sequence import Sequence
    from penstock.stream import Stream

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Transforming(Described[T_co]):
    """Operations on single items."""

    __slots__ = ()

    @overload
    def map(  # type: ignore[misc]  # mypy wants a self type above Dataset; below it is what is meant
        self: Sequence[T_co],
        function: Callable[..., U],
        *,
        at: None = None,
        p: None = None,
        rng: bool = False,
        on_error: None = None,
    ) -> Sequence[U]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Sequence[T_co],
        function: Callable[..., Any],
        *,
        at: Field | tuple[Field, ...] | None = None,
        p: float | None = None,
        rng: bool = False,
        on_error: None = None,
    ) -> Sequence[Any]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Sequence[T_co],
        function: Callable[..., Any],
        *,
        at: Field | tuple[Field, ...] | None = None,
        p: float | None = None,
        rng: bool = False,
        on_error: Policy,
    ) -> Sequence[Any] | Stream[Any]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Stream[T_co],
        function: Callable[..., U],
        *,
        at: None = None,
        p: None = None,
        rng: bool = False,
        on_error: Policy | None = None,
    ) -> Stream[U]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Stream[T_co],
        function: Callable[..., Any],
        *,
        at: Field | tuple[Field, ...] | None = None,
        p: float | None = None,
        rng: bool = False,
        on_error: Policy | None = None,
    ) -> Stream[Any]: ...
    def map(
        self,
        function: Callable[..., Any],
        *,
        at: Field | tuple[Field, ...] | None = None,
        p: float | None = None,
        rng: bool = False,
        on_error: Policy | None = None,
    ) -> Any:
        """Send every item, or some fields of every item, through a function; behind ``batch``, every batch.

        Args:
            function: called with the item; its result takes the item's place.
            at: a field: a key of a dict, a number in a tuple or list, a name in a named tuple or dataclass; or a tuple
                of several. The function gets these, one by one, and the item is made anew around its results: same
                type, all else as it was, and nothing that was handed in is changed.
            p: apply it to an item only with this probability, from 0 to 1, and leave the others as they are.
            rng: call ``function(item, rng=generator)`` with a ``numpy.random.Generator`` that belongs to this item: it
                depends on the seed, the epoch, the position and this operation, and on nothing else. Of several fields,
                each gets a generator that draws the same: image and mask are cut alike.
            on_error: what becomes of an item for which this function fails; see the method ``on_error``.

        ``OneOf``, ``SomeOf``, ``Maybe`` and ``Compose`` make one function of several.

        Raises:
            ArgumentError: when an item is computed that lacks the field; names it, and those that are there.

        >>> import penstock as ps
        >>> list(ps.range(3).map(lambda x: 10 * x))
        [0, 10, 20]
        >>> pairs = ps.zip(name=ps.items(["a", "b"]), number=ps.range(2))
        >>> list(pairs.map(str.upper, at="name"))
        [{'name': 'A', 'number': 0}, {'name': 'B', 'number': 1}]
        """
        made = Map(self.node, function, rng, at, p)
        return self._wrap(made if on_error is None else OnError(made, on_error, own=True))

    @overload
    def starmap(  # type: ignore[misc]
        self: Sequence[T_co], function: Callable[..., U], *, rng: bool = False, on_error: None = None
    ) -> Sequence[U]: ...
    @overload
    def starmap(  # type: ignore[misc]
        self: Sequence[T_co], function: Callable[..., U], *, rng: bool = False, on_error: Policy
    ) -> Sequence[U] | Stream[U]: ...
    @overload
    def starmap(  # type: ignore[misc]
        self: Stream[T_co], function: Callable[..., U], *, rng: bool = False, on_error: Policy | None = None
    ) -> Stream[U]: ...
    def starmap(self, function: Callable[..., U], *, rng: bool = False, on_error: Policy | None = None) -> Any:
        """Send every item through a function that takes the item's entries as its arguments: ``function(*item)``.

        Args:
            function: its result takes the item's place. The entries of a dict are handed over by name,
                ``function(**item)``.
            rng: call ``function(*item, rng=generator)``, as for ``map``.
            on_error: what becomes of an item for which this function fails; see the method ``on_error``.

        >>> import penstock as ps
        >>> list(ps.zip(ps.range(3), ps.range(3)).starmap(lambda x, y: x + y))
        [0, 2, 4]
        >>> list(ps.zip(x=ps.range(3), y=ps.range(3)).starmap(lambda y, x: x - y))
        [0, 0, 0]
        """
        made = Map(self.node, function, rng, star=True)
        return self._wrap(made if on_error is None else OnError(made, on_error, own=True))

    def cache(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        memory: int | str | None = None,
        count: int | None = None,
        key: str | None = None,
    ) -> Self:
        """Keep the items, so that each is computed once: on disk, in memory that all workers share, or the last few.

        Args:
            path: a folder on disk. It is kept from run to run, under a key of all that stands before, the code of its
                functions included: what a function gave before it was changed is never read, and its folder can be
                removed. Items are what a store can hold.
            memory: bytes, such as ``"4GB"``, that all workers of this machine share. What does not fit is computed
                every time. It lasts as long as the dataset.
            count: so many items, those used last, in each worker for itself. What takes milliseconds to compute is
                computed by one worker, while others that want it wait, and is handed to them. What cannot be copied,
                such as a connection, is handed out itself; an iterator is computed every time.
            key: for ``path``: what stands for the functions in place of their code. Say another one whenever they
                change. For functions that hold what nobody can look into.

        The stream is the same with and without it, and so are the draws of later steps. Nothing that is read through
        it can change what it keeps. ``loader.report()`` says how often an item was there, and how much is in use.

        Files that are replaced under their old names are not noticed: remove the folder then.

        Raises:
            ArgumentError: something before it is random: put it in front. Or the dataset has no end.
            ArgumentTypeError: it is a Stream, or its functions hold what cannot be told from something else.

        >>> import penstock as ps
        >>> squares = ps.range(4).map(lambda x: print("computed", x) or x * x).cache(memory="1MB")
        >>> squares[2], squares[2]
        computed 2
        (4, 4)
        """
        return cast("Self", self._wrap(Cache(self.node, keeper(self.node, path, memory, count, key))))

    @overload
    def fetch(self: Sequence[T_co], remote: Remote | None = None) -> Sequence[bytes]: ...  # type: ignore[misc]
    @overload
    def fetch(self: Stream[T_co], remote: Remote | None = None) -> Stream[bytes]: ...  # type: ignore[misc]
    def fetch(self, remote: Remote | None = None) -> Any:
        """Fetch the object behind every URL: items become its ``bytes``.

        Args:
            remote: where objects are kept on the local disk and how they are fetched; ``Remote()`` by default: ten
                gigabytes in ``~/.cache/penstock``.

        Of a Sequence, each process fetches the objects that come next while it is at one, in the order that they come
        in, shuffled or not; a Stream's are fetched one by one in the workers. A failure that may pass is tried again,
        with growing pauses. All processes of a machine share what was fetched; nothing of it is in a state.

        Raises:
            StoreError: an object does not exist, may not be read, or could not be fetched in several attempts.

        >>> import penstock as ps, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "a.txt").write_text("hello")
        ...     list(ps.files(f"file://{folder}/*.txt").fetch(ps.Remote(cache=f"{folder}/cache")))
        [b'hello']
        """
        return self._wrap(Fetch(self.node, remote or Remote(), Ahead))

    @overload
    def enumerate(self: Sequence[T_co], start: int = 0) -> Sequence[tuple[int, T_co]]: ...  # type: ignore[misc]
    @overload
    def enumerate(self: Stream[T_co], start: int = 0) -> Stream[tuple[int, T_co]]: ...  # type: ignore[misc]
    def enumerate(self, start: int = 0) -> Any:
        """Put its number before every item: pairs of (number, item), counted from ``start``.

        The number is the place in the epoch, as far as it is known here: put it before ``shuffle`` for the number in
        the source. Of a stream, it is counted in the caller, and the count is part of the state.

        >>> import penstock as ps
        >>> list(ps.items(["a", "b"]).enumerate())
        [(0, 'a'), (1, 'b')]
        """
        return self._wrap(Enumerate(self.node, start))

    def on_error(self, policy: Policy) -> Any:
        """Say what becomes of items whose computation fails in a step before this one.

        Args:
            policy: ``"raise"`` the error (the default), ``"skip"`` the item, ``Skip(count=…, fraction=…)`` with a
                budget, ``Retry(times, wait=…, then=…)``, or a function of (error, source) whose result takes the item's
                place; ``source`` is what the source calls the item: a path, an index, an element of a stream.

        Where items may be left out, the result is a Stream: batches behind it keep their size, and what was left out is
        counted and listed in ``loader.report()``. It is part of the order: the same on any workers, and after a resume.

        >>> import penstock as ps
        >>> list(ps.items(["1", "x", "3"]).map(int).on_error("skip"))
        [1, 3]
        >>> list(ps.items(["1", "x", "3"]).map(int, on_error=lambda error, source: -1))
        [1, -1, 3]
        """
        return self._wrap(OnError(self.node, policy))

    def flat_map(self, function: Callable[..., Iterable[U]], *, rng: bool = False) -> Stream[U]:
        """Send every item through a function that makes several of it, or none. The result is a Stream.

        Args:
            function: returns a list of items, or yields them; finitely many. It runs in the workers.
            rng: call ``function(item, rng=generator)``, as for ``map``.

        The state is the input's position and how many items of the element in hand are gone.

        >>> import penstock as ps
        >>> list(ps.items(["to be", "", "or not"]).flat_map(str.split))
        ['to', 'be', 'or', 'not']
        """
        return cast("Stream[U]", self._wrap(FlatMap(self.node, function, rng)))

    def filter(self, predicate: Callable[[T_co], object]) -> Stream[T_co]:
        """Keep the items that a predicate is true for. The result is a Stream: its length shows when it is read.

        >>> import penstock as ps
        >>> list(ps.range(6).filter(lambda x: x % 2))
        [1, 3, 5]
        """
        return cast("Stream[T_co]", self._wrap(Filter(self.node, predicate)))
