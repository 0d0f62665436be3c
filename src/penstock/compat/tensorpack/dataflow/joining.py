"""Several flows as one: in turns, by chance, one after the other, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import DataFlow, RNGDataFlow, size_of
from penstock.compat.tensorpack.utils import logger

__all__ = ["ConcatData", "JoinData", "RandomChooseData", "RandomMixData"]


class Several(DataFlow):
    """Flows of several others."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        self.df_lists = df_lists

    def members(self) -> Iterable[DataFlow]:
        """Return the flows."""
        return self.df_lists

    def reset_state(self) -> None:
        super().reset_state()
        for flow in dict.fromkeys(self.members()):  # each once, should one stand there twice
            flow.reset_state()


class RandomChooseData(Several, RNGDataFlow):
    """Each datapoint from a flow that is drawn; a pass ends where the drawn one has.

    Args:
        df_lists: flows, all equally likely; or pairs of (flow, probability), which sum to 1.
    """

    def __init__(self, df_lists: Sequence[Any]) -> None:
        if isinstance(df_lists[0], (tuple, list)):
            assert np.isclose(sum(pair[1] for pair in df_lists), 1.0), "probabilities must sum to 1"
        else:
            df_lists = [(flow, 1.0 / len(df_lists)) for flow in df_lists]
        super().__init__(df_lists)

    def members(self) -> Iterable[DataFlow]:
        return [pair[0] for pair in self.df_lists]

    def __iter__(self) -> Iterator[Any]:
        readers = [iter(flow) for flow in self.members()]
        bounds = np.cumsum([float(pair[1]) for pair in self.df_lists])
        bounds /= bounds[-1]
        while True:
            # The draw that RandomState.choice makes, without its checks.
            reader = readers[int(bounds.searchsorted(self.rng.random_sample(), side="right"))]
            try:
                dp = next(reader)
            except StopIteration:
                return
            yield dp


class RandomMixData(Several, RNGDataFlow):
    """All datapoints of several flows, in a random order of whose turn it is. All must have a length."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        super().__init__(df_lists)
        self.sizes = [len(flow) for flow in df_lists]

    def __len__(self) -> int:
        return sum(self.sizes)

    def __iter__(self) -> Iterator[Any]:
        turns = np.arange(len(self))
        self.rng.shuffle(turns)
        owners = np.searchsorted(np.cumsum(self.sizes), turns, "right").tolist()
        readers = [iter(flow) for flow in self.df_lists]
        for owner in owners:
            yield next(readers[owner])


class ConcatData(Several):
    """All of the first flow, then all of the second, and so on."""

    def __len__(self) -> int:
        return sum(len(flow) for flow in self.df_lists)

    def __iter__(self) -> Iterator[Any]:
        for flow in self.df_lists:
            yield from flow


class JoinData(Several):
    """Datapoints side by side: the components of all flows in one; as long as the shortest."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        super().__init__(df_lists)
        sizes = [size_of(flow) for flow in df_lists]
        if None in sizes or len(set(sizes)) > 1:
            logger.info("[JoinData] Size check failed for the list of dataflow to be joined!")

    def __len__(self) -> int:
        return min(len(flow) for flow in self.df_lists)

    def __iter__(self) -> Iterator[Any]:
        for parts in zip(*self.df_lists, strict=False):
            if isinstance(parts[0], (list, tuple)):
                yield list(itertools.chain(*parts))
            else:
                yield {key: value for part in parts for key, value in part.items()}
