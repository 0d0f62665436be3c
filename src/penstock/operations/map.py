"""map: every item, or some fields of every item, through a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from operator import length_hint
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import flag, function, name_of, short
from penstock.graph.fields import Field, OnFields, checked_fields, replaced
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Map(Node):
    """Each item becomes ``function(item)``, or ``function(item, rng=generator)``; behind ``batch``, each batch does.

    What else may be said (``at``, ``p``, ``star``) is made into one function once, so that a plain map pays nothing for
    it: ``call`` where nothing is drawn, else ``drawn``.
    """

    rereads = False

    input: Node
    function: Callable[..., Any]
    rng: bool = False
    at: Field | tuple[Field, ...] | None = None
    p: float | None = None
    star: bool = False

    elementwise = True

    # Worked out from the fields once, in check(): every item needs them, and a cached property costs each a look-up.
    call: ClassVar[Callable[..., Any]]
    """The function of a whole item, apart from all draws."""
    random: ClassVar[bool]
    """Whether anything is drawn for an item."""

    def check(self) -> None:
        """Refuse what is no function, no field or no probability."""
        where = f"{self.word}()"
        function(self.function, where, "function", f"dataset.{self.word}(decode)")
        flag(self.rng, where, "rng")
        if self.at is not None:
            self.normalise(at=checked_fields(self.at, where, "at"))
        if self.p is not None:
            if isinstance(self.p, bool) or not isinstance(self.p, (int, float, np.floating, np.integer)):
                raise ArgumentTypeError(f"{where}: p must be a probability from 0 to 1, not {short(self.p)}.")
            if not 0 <= self.p <= 1:
                raise ArgumentError(f"{where}: p must be a probability from 0 to 1, not {self.p}.")
            self.normalise(p=float(self.p))
        if not self.rng and demands_rng(self.function, by_name=self.star):
            raise ArgumentTypeError(
                f"{where}: {name_of(self.function)} asks for rng, the item's own generator. "
                f"Hand it over: {self.word}({name_of(self.function)}, rng=True)."
            )
        if not self.star and (wanted := demanded(self.function)) > 1:
            raise ArgumentTypeError(
                f"{where}: {name_of(self.function)} takes {wanted} arguments, and an item is one. "
                f"For the entries of an item: starmap({name_of(self.function)})."
            )
        call = Starred(self.function) if self.star else self.function
        call = call if self.at is None or self.rng else OnFields(call, self.at)
        self.normalise(call=call, random=self.rng or self.p is not None)

    @property
    def word(self) -> str:
        """The method's name."""
        return "starmap" if self.star else "map"

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Compute one item: the whole run of maps in one loop, which is the least that a chain can cost per item."""
        if read.stepwise:
            value = read.item(self.input, index)
            return self.drawn(value, place=Place(index), read=read) if self.random else self.call(value)
        run = self.run
        value = read.item(run[0].input, index)
        left = iter(self.calls or self.drawing_calls(index, read))
        try:
            for call in left:
                value = call(value)
        except StopIteration as error:
            raise read.quiet(run[-1 - length_hint(left)], index) from error
        except BaseException as error:
            read.blame(error, run[-1 - length_hint(left)], index)
            raise
        return value

    @cached_property
    def calls(self) -> tuple[Callable[[Any], Any], ...] | None:
        """The functions of the run, where none of them draws."""
        return None if any(node.random for node in self.run) else tuple(node.call for node in self.run)

    def drawing_calls(self, index: int, read: Reading) -> list[Callable[[Any], Any]]:
        """Return the functions of the run, those that draw with the item's generator."""
        place = Place(index)
        return [partial(node.drawn, place=place, read=read) if node.random else node.call for node in self.run]

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items; what stands before the last run of maps is gathered at once.

        Consecutive maps go item by item, not map by map, so that what one function leaves in the cache is still there
        for the next. Chained ``map`` objects do that without a line of Python in between, and ``list.extend`` over
        them is the least that CPython can spend per call; on an exception the list has as many items as succeeded,
        which tells which item failed.
        """
        run = self.run
        values = read.gather(run[0].input, indices)
        if len(run) == 1 and not self.random:
            flow: Iterator[Any] = map(self.call, values)
        else:
            flow = iter(values)
            for node in run:
                flow = map(node.drawing(read), flow, indices) if node.random else map(node.call, flow)
        done: list[Any] = []
        read.meter.at = (self, indices, done)
        try:
            done.extend(flow)
        except Exception as error:
            if len(run) == 1:
                read.blame(error, self, int(indices[len(done)]))
                raise
        except BaseException as error:
            read.blame(error, self, int(indices[len(done)]))
            raise
        if len(done) < len(values):
            # Of several functions, or of a StopIteration, nothing says where it came from: ask again, step by step.
            index = int(indices[len(done)])
            done.append(read.item(self, index))
            rest = [int(index) for index in indices[len(done) :]]
            done.extend([read.item(self, index) for index in rest])
        return done

    @cached_property
    def run(self) -> list[Map]:
        """The maps that stand directly before this one, and this one, in order."""
        run = [self]
        while isinstance(run[-1].input, Map):
            run.append(run[-1].input)
        return run[::-1]

    def drawing(self, read: Reading) -> Callable[[Any, int], Any]:
        """Return the function of an item and its index that hands over the item's generator."""
        if self.at is None and self.p is None:
            call, rng = self.call, read.rng
            return lambda value, index: call(value, rng=rng(self, Place(int(index))))
        return lambda value, index: self.drawn(value, Place(int(index)), read)

    def drawn(self, value: Any, place: Place, read: Reading) -> Any:
        """Compute an item with its generator: first whether at all, then the function draws.

        Of several fields, each is given a generator of its own that draws the same: what is cut out of an image is cut
        out of its mask.
        """
        rng = read.rng(self, place)
        if self.p is not None and rng.random() >= self.p:
            return value
        call = self.call
        if not self.rng:
            return call(value)
        if self.at is None:
            return call(value, rng=rng)
        fresh = [rng]

        def one(field: Any) -> Any:
            generator = fresh.pop() if fresh else self.again(place, read)
            return call(field, rng=generator)

        return replaced(value, self.at, one)

    def again(self, place: Place, read: Reading) -> np.random.Generator:
        """Return an item's generator once more, as it is when the function is called."""
        rng = read.rng(self, place)
        if self.p is not None:
            rng.random()
        return rng

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Compute the one item that an element becomes."""
        return (self.drawn(value, place, read) if self.random else self.call(value),)

    def label(self) -> str:
        """Return the function's name and what was said beside it."""
        at = "" if self.at is None else f", at={self.at!r}"
        p = "" if self.p is None else f", p={self.p:g}"
        return f"{self.word}({name_of(self.function)}{at}{p}{', rng=True' if self.rng else ''})"


class Starred:
    """Calls a function with the entries of an item as its arguments, those of a dict by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, item: Any, **options: Any) -> Any:
        if isinstance(item, Mapping):  # its names are no entries
            return self.function(**item, **options)
        return self.function(*item, **options)


def demanded(function: Callable[..., Any]) -> int:
    """Return how many arguments a function cannot do without that are handed over by place, apart from ``rng``."""
    try:  # of the outermost function: what one that decorates another says of itself holds for that other
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):
        return 0  # a built-in without a signature
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in by_place and p.default is p.empty and p.name != "rng" for p in parameters)


def demands_rng(function: Callable[..., Any], *, by_name: bool) -> bool:
    """Tell whether a function cannot be called with an item alone, because it asks for ``rng`` as well.

    With ``by_name``, only a parameter that an item's entries cannot fill counts.
    """
    said = getattr(function, "needs_rng", None)  # of a value that knows better than its signature
    if isinstance(said, bool):
        return said
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False  # a built-in without a signature
    for number, p in enumerate(parameters):
        if p.name == "rng" and p.default is p.empty and p.kind is not p.VAR_KEYWORD:
            return p.kind is p.KEYWORD_ONLY or (number > 0 and not by_name and p.kind is not p.VAR_POSITIONAL)
    return False
