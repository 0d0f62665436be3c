"""Evaluating: the results of a function over a whole dataset as one, and what its numbers look like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, CollateError, LengthError
from penstock.graph.checking import choice, function, short
from penstock.graph.cursors import weight
from penstock.graph.items import is_namedtuple
from penstock.surface.described import Described
from penstock.surface.progress import Progress, checked_progress, watched
from penstock.surface.summary import Statistics, Summarise, merged

if TYPE_CHECKING:
    from penstock.graph.execution import Executor
    from penstock.surface.dataset import Dataset

T_co = TypeVar("T_co", covariant=True)

COMBINE = ("concat", "mean", "sum")
CHUNK = 1 << 22  # bytes of items that are summarised at once, about
MOST = 256  # items that are


class Evaluating(Described[T_co]):
    """Methods that read a whole epoch and return something about it."""

    __slots__ = ()

    def evaluate(
        self,
        function: Callable[[T_co], Any],
        *,
        combine: str | Callable[[list[Any]], Any] = "concat",
        workers: Executor | None = None,
        progress: Progress = True,
    ) -> Any:
        """Call a function with every item of epoch 0, batches mostly, and combine what it returns.

        Args:
            function: called here, in the caller, where a model is. What should run in workers belongs into a ``map``.
            combine: ``"concat"``: arrays, tensors and lists are joined along their first axis; ``"mean"``: averages of
                batches are averaged, each weighted by the rows of its batch, padding included; ``"sum"``; or a function
                of the list of all results, such as ``list``. Dicts, tuples and dataclasses of results are combined
                field by field.
            workers: where the items are computed: ``Threads(n)``, ``Processes(n)``; in line by default.
            progress: show on a terminal how far it is, with tqdm where it is installed; or a function, called with the
                number that is done and that of all (None where it is not known), ten times a second and at the end.

        Results are brought to the host as they come, so that they do not fill an accelerator's memory. A function that
        returns None every time gives None.

        Raises:
            ArgumentError: there are no items, or the results cannot be combined.

        >>> import penstock as ps
        >>> batches = ps.range(5).batch(2)
        >>> batches.evaluate(lambda batch: batch * 10)
        array([ 0, 10, 20, 30, 40])
        >>> batches.evaluate(lambda batch: {"loss": batch.mean()}, combine="mean")
        {'loss': 2.0}
        """
        check_evaluation(function, combine, progress)
        results: list[Any] = []
        weights: list[int] = []
        for item in read(self, "evaluate()", workers, progress=progress):
            results.append(on_host(function(item)))
            weights.append(rows_of(item))
        if callable(combine):
            return combine(results)
        if not results:
            raise ArgumentError(f'evaluate(combine="{combine}"): the dataset has no items, so there is no result.')
        if all(result is None for result in results):
            return None
        return {"concat": concatenated, "mean": averaged, "sum": added}[combine](results, weights, "")

    def statistics(
        self, *, axis: int | None = None, workers: Executor | None = None, progress: Progress = True
    ) -> Statistics:
        """Return mean, standard deviation, minimum and maximum of every field of the items, over epoch 0.

        Args:
            axis: an axis of the arrays that is kept: ``-1`` gives a value for each channel of an image. By default all
                numbers of a field are taken together.
            workers: where the items are computed and summarised: ``Threads(n)``, ``Processes(n)``; in line by default.
            progress: as in ``evaluate``; what is counted are chunks of items.

        Chunks of items are summarised where they are computed, and merged in order, numerically stable: the result is
        the same, to the bit, on any workers. NaN are counted apart. Of texts, lists and arrays of different lengths,
        the lengths are counted. Printed, the result is a table.

        >>> import numpy as np, penstock as ps
        >>> rows = ps.arrays(x=np.array([1.0, 2.0, 3.0, 6.0]), name=np.array([7, 7, 8, 8]))
        >>> found = rows.statistics()
        >>> found["x"].mean, found["name"].max
        (3.0, 8)
        >>> print(found)
        4 items
        field  type     values  mean    std  min  max
        x      float64       4     3  1.871    1    6
        name   int64         4   7.5    0.5    7    8
        """
        checked_progress(progress, "statistics()")
        dataset = cast("Dataset[Any]", self)
        length = self.node.length()
        if length is None and self.node.positional:
            raise endless("statistics()", self)
        size = 16  # of a stream, no item can be looked at beforehand without taking it away
        if length and self.node.positional:
            size = min(max(1, CHUNK // (weight(dataset[0]) + 64)), MOST)  # type: ignore[index]
        chunks = dataset.batch(size, collate=Summarise(axis))  # type: ignore[misc]
        return merged(read(chunks, "statistics()", workers, progress=progress))


def read(dataset: Described[Any], where: str, workers: Executor | None, *, progress: Progress) -> Iterator[Any]:
    """Yield the items of epoch 0."""
    length = dataset.node.length()
    if length is None and dataset.node.positional:
        raise endless(where, dataset)
    with cast("Dataset[Any]", dataset).loader(workers=workers) as loader:
        yield from watched(loader, length, where.removesuffix("()"), progress=progress)


def endless(where: str, dataset: object) -> LengthError:
    """Return the error for a dataset that would be read for ever."""
    return LengthError(f"{where}: this sequence has no end: {dataset!r}. Take a part of it first: dataset[:1000].")


def check_evaluation(call: Any, combine: Any, progress: Any) -> None:
    """Refuse what is no function, and words that mean nothing."""
    function(call, "evaluate()", "function", "dataset.evaluate(model)")
    if not callable(combine):
        choice(combine, COMBINE, "evaluate()", "combine")
    checked_progress(progress, "evaluate()")


def on_host(result: Any) -> Any:
    """Return a result with all tensors as NumPy arrays."""
    if hasattr(result, "detach"):  # torch, on whatever device
        return result.detach().cpu().numpy()
    if isinstance(result, (np.ndarray, np.generic, str, bytes, int, float, complex, type(None))):
        return result
    if isinstance(result, list):
        return [on_host(entry) for entry in result]
    if has_fields(result):
        return rebuilt(result, [on_host(value) for _, value in fields_of(result)])
    return np.asarray(result) if hasattr(result, "__array__") else result


def has_fields(value: Any) -> bool:
    """Tell whether results are combined field by field."""
    return isinstance(value, (Mapping, tuple)) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def fields_of(value: Any) -> list[tuple[Any, Any]]:
    """Return the fields of a dict, tuple or dataclass, with their names."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple):
        return list(enumerate(value))
    return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]


def rebuilt(like: Any, values: list[Any]) -> Any:
    """Return a dict, tuple or dataclass like another, with other values."""
    if isinstance(like, Mapping):
        return dict(zip(like, values, strict=True))
    if isinstance(like, tuple):
        return type(like)(*values) if is_namedtuple(like) else tuple(values)
    return type(like)(**dict(zip([f.name for f in dataclasses.fields(like)], values, strict=True)))


def rows_of(batch: Any) -> int:
    """Return how many rows a batch has; 1 for what has none."""
    while has_fields(batch):
        fields = fields_of(batch)
        if not fields:
            return 1
        batch = fields[0][1]
    if isinstance(batch, (list, str, bytes)):
        return len(batch) if isinstance(batch, list) else 1
    shape = getattr(batch, "shape", ())
    return int(shape[0]) if shape else 1


Combining = Callable[[list[Any], list[int], str], Any]


def by_field(combine: Combining, results: list[Any], weights: list[int], field: str) -> Any:
    """Combine dicts, tuples and dataclasses field by field."""
    first = results[0]
    names = [name for name, _ in fields_of(first)]
    for other in results:
        if type(other) is not type(first) or [name for name, _ in fields_of(other)] != names:
            raise unlike(field, first, other)
    columns = zip(*([value for _, value in fields_of(result)] for result in results), strict=True)
    made = [combine(list(column), weights, f"{field}[{name!r}]") for name, column in zip(names, columns, strict=True)]
    return rebuilt(first, made)


def unlike(field: str, first: object, other: object) -> CollateError:
    """Return the error for results that differ in kind."""
    return CollateError(f"evaluate(){field}: results differ in structure: {short(first)} and {short(other)}.")


def concatenated(results: list[Any], weights: list[int], field: str) -> Any:
    """Join results along their first axis."""
    first = results[0]
    if has_fields(first):
        return by_field(concatenated, results, weights, field)
    if isinstance(first, list):
        return [entry for result in results for entry in result]
    if not isinstance(first, np.ndarray) or not first.ndim:
        raise ArgumentTypeError(
            f'evaluate(combine="concat"){field}: {short(first)} has no rows to join. Return a value for every row of a '
            'batch, or say combine="mean", combine="sum" or combine=list.'
        )
    try:
        return np.concatenate(results)
    except ValueError:
        other = next(r for r in results if not isinstance(r, np.ndarray) or r.shape[1:] != first.shape[1:])
        raise CollateError(
            f'evaluate(combine="concat"){field}: results of shapes {first.shape} and {np.shape(other)} cannot be '
            "joined along their first axis. Bring them to one shape, or say combine=list."
        ) from None


def averaged(results: list[Any], weights: list[int], field: str) -> Any:
    """Average results, weighted."""
    if has_fields(results[0]):
        return by_field(averaged, results, weights, field)
    count = sum(weights)
    if not count:
        raise ArgumentError('evaluate(combine="mean"): the batches have no rows.')
    return summed([number(result, field) * w for result, w in zip(results, weights, strict=True)], field) / count


def added(results: list[Any], weights: list[int], field: str) -> Any:
    """Add results up."""
    if has_fields(results[0]):
        return by_field(added, results, weights, field)
    return summed([number(result, field, np.asarray(result).dtype) for result in results], field)


def number(result: Any, field: str, dtype: Any = np.float64) -> Any:
    """Return a result as a number or an array of numbers."""
    array = np.asarray(result)
    if array.dtype.kind not in "biufc":
        raise ArgumentTypeError(f"evaluate(){field}: {short(result)} is no number that could be added up.")
    kind = np.result_type(array.dtype, np.float64) if dtype is np.float64 else np.result_type(array.dtype, np.int8)
    return array.astype(kind) if array.ndim else array.astype(kind)[()]


def summed(numbers: list[Any], field: str) -> Any:
    """Return a sum of numbers or arrays; one number as Python's own."""
    if len({np.shape(n) for n in numbers}) > 1:
        shapes = sorted({np.shape(n) for n in numbers})
        raise CollateError(f"evaluate(){field}: results of shapes {shapes[0]} and {shapes[1]} cannot be added up.")
    total = sum(numbers[1:], numbers[0])
    return total.item() if np.ndim(total) == 0 else total
