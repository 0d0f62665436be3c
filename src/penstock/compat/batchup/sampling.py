"""Samplers: which samples make up each batch. They draw from a ``RandomState`` what BatchUp's draw, in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[Any]


def num_batches(n: int, batch_size: int) -> int:
    """Return how many batches ``n`` samples make; the last may be short.

    >>> from penstock.compat.batchup.sampling import num_batches
    >>> num_batches(10, 4)
    3
    """
    return -(-n // batch_size)


def missing(owner: object, method: str) -> NotImplementedError:
    """Return the error of a method that a subclass leaves out: of the call only, since these classes can be made."""
    return NotImplementedError(f"{type(owner).__name__} does not override {method}.")


class AbstractSampler:
    """Says which samples are drawn, a batch of indices at a time."""

    def num_indices_generated(self) -> float:
        """Return how many samples are drawn: a whole number, or ``np.inf``."""
        raise missing(self, "num_indices_generated")

    def map_indices(self, indices: Any) -> Any:
        """Return the indices in the data of positions in what is drawn from."""
        return indices

    def in_order_indices_batch_iterator(self, batch_size: int) -> Iterator[Indices]:
        """Return the batches of indices in order."""
        raise missing(self, "in_order_indices_batch_iterator")

    def shuffled_indices_batch_iterator(self, batch_size: int, shuffle_rng: Any) -> Iterator[Indices]:
        """Return the batches of indices in random order."""
        raise missing(self, "shuffled_indices_batch_iterator")


class Rounds(AbstractSampler):
    """Goes through something once, several times, or without end. Batches go on across the border of two rounds."""

    def __init__(self, length: int, repeats: int) -> None:
        if repeats == 0 or repeats < -1:
            raise ValueError(f"repeats must be at least 1, or -1 for no end, not {repeats}.")
        self.length = length
        self.repeats = repeats

    def num_indices_generated(self) -> float:
        """Return the length times the repeats."""
        return np.inf if self.repeats == -1 else self.length * self.repeats

    def batches(self, batch_size: int, draw: Callable[[], Any]) -> Iterator[Indices]:
        """Yield batches of the rounds that ``draw`` gives.

        A round is drawn when a batch needs it or comes to the end of the one before, and one more behind the last: so
        what a generator draws afterwards is what it would draw behind BatchUp's. A single round is an exception there,
        and here.
        """
        order, at, left = draw(), 0, self.repeats
        if self.repeats == 1 or not self.length:
            for start in range(0, self.length, batch_size):
                yield as_array(order[start : start + batch_size])
            return
        while left:
            if at + batch_size <= self.length:
                yield as_array(order[at : at + batch_size])
                at += batch_size
                continue
            parts, wanted = [], batch_size
            while wanted and left:
                parts.append(as_array(order[at : at + wanted]))
                wanted -= len(parts[-1])
                at += len(parts[-1])
                if at == self.length:
                    order, at, left = draw(), 0, left - 1
            if wanted < batch_size:
                yield np.concatenate(parts)


def as_array(indices: Any) -> Indices:
    """Return indices as an array."""
    return np.arange(indices.start, indices.stop) if isinstance(indices, range) else np.asarray(indices)


class StandardSampler(Rounds):
    """All samples: in order, or each round in a new random order.

    >>> import numpy as np
    >>> from penstock.compat.batchup.sampling import StandardSampler
    >>> [batch.tolist() for batch in StandardSampler(5, repeats=2).in_order_indices_batch_iterator(4)]
    [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4]]
    """

    def __init__(self, length: int, repeats: int = 1) -> None:
        super().__init__(length, repeats)

    def in_order_indices_batch_iterator(self, batch_size: int) -> Iterator[Indices]:
        """Yield 0, 1, 2 and so on."""
        return self.batches(batch_size, lambda: range(self.length))

    def shuffled_indices_batch_iterator(self, batch_size: int, shuffle_rng: Any) -> Iterator[Indices]:
        """Yield permutations that ``shuffle_rng`` draws, one for each round."""
        return self.batches(batch_size, lambda: shuffle_rng.permutation(self.length))


class SubsetSampler(Rounds):
    """Some samples, by their indices."""

    def __init__(self, indices: Any, repeats: int = 1) -> None:
        self.indices = np.asarray(indices)
        super().__init__(len(self.indices), repeats)

    def map_indices(self, indices: Any) -> Any:
        """Return the indices in the data of positions in the subset."""
        return self.indices[indices]

    def in_order_indices_batch_iterator(self, batch_size: int) -> Iterator[Indices]:
        """Yield the indices in the order in which they were given."""
        return self.batches(batch_size, lambda: self.indices)

    def shuffled_indices_batch_iterator(self, batch_size: int, shuffle_rng: Any) -> Iterator[Indices]:
        """Yield permutations of the indices that ``shuffle_rng`` draws, one for each round."""
        return self.batches(batch_size, lambda: shuffle_rng.permutation(self.indices))


class WeightedSampler(AbstractSampler):
    """Draws samples with replacement, without end, each as often as its weight says.

    >>> import numpy as np
    >>> from penstock.compat.batchup.sampling import WeightedSampler
    >>> sampler = WeightedSampler.class_balancing_sampler(np.array([0, 0, 0, 1]))
    >>> sampler.weights.round(2).tolist()
    [0.17, 0.17, 0.17, 0.5]
    """

    def __init__(self, weights: Any) -> None:
        self.weights = shares(weights, "weights")
        self.length = len(self.weights)

    def num_indices_generated(self) -> float:
        """Return ``np.inf``."""
        return np.inf

    def in_order_indices_batch_iterator(self, batch_size: int) -> Iterator[Indices]:
        """Refuse: a draw has no order."""
        raise NotImplementedError("WeightedSampler draws at random: give shuffle=np.random.RandomState(seed).")

    def shuffled_indices_batch_iterator(self, batch_size: int, shuffle_rng: Any) -> Iterator[Indices]:
        """Yield batches that ``shuffle_rng`` draws."""
        while True:
            yield shuffle_rng.choice(self.length, size=(batch_size,), p=self.weights)

    @staticmethod
    def class_balancing_sample_weights(y: Any, n_classes: Any = None) -> NDArray[np.float64]:  # noqa: ARG004
        """Return weights with which all classes that there are become equally likely.

        Args:
            y: the class of each sample, from 0 up.
            n_classes: how many there are; taken for compatibility, since absent ones have no samples to weigh.
        """
        y = np.asarray(y)
        counts = np.bincount(y)
        each = np.zeros(len(counts))
        present = counts > 0
        each[present] = 1.0 / (counts[present] * np.count_nonzero(present))
        weights: NDArray[np.float64] = each[y]
        return weights

    @staticmethod
    def class_balancing_sampler(y: Any, n_classes: Any = None) -> WeightedSampler:  # noqa: ARG004  documented there
        """Return a sampler that draws all classes equally often; ``n_classes`` is taken for compatibility."""
        return WeightedSampler(WeightedSampler.class_balancing_sample_weights(y))


class WeightedSubsetSampler(AbstractSampler):
    """Draws some samples, by their indices, with replacement, without end, each as often as its weight says."""

    def __init__(self, sub_weights: Any, indices: Any) -> None:
        if len(sub_weights) != len(indices):
            raise ValueError(
                f"sub_weights and indices must be of equal length, not {len(sub_weights)} and {len(indices)}."
            )
        self.sub_weights = shares(sub_weights, "sub_weights")
        self.indices = np.asarray(indices)
        self.length = len(self.indices)

    def num_indices_generated(self) -> float:
        """Return ``np.inf``."""
        return np.inf

    def map_indices(self, indices: Any) -> Any:
        """Return the indices in the data of positions in the subset."""
        return self.indices[indices]

    def in_order_indices_batch_iterator(self, batch_size: int) -> Iterator[Indices]:
        """Refuse: a draw has no order."""
        raise NotImplementedError("WeightedSubsetSampler draws at random: give shuffle=np.random.RandomState(seed).")

    def shuffled_indices_batch_iterator(self, batch_size: int, shuffle_rng: Any) -> Iterator[Indices]:
        """Yield batches that ``shuffle_rng`` draws."""
        while True:
            yield shuffle_rng.choice(self.indices, size=(batch_size,), p=self.sub_weights)

    @staticmethod
    def class_balancing_sampler(
        y: Any,
        indices: Any,
        n_classes: Any = None,  # noqa: ARG004  documented there
    ) -> WeightedSubsetSampler:
        """Return a sampler that draws all classes of the subset equally often."""
        chosen = np.asarray(y)[np.asarray(indices)]
        return WeightedSubsetSampler(WeightedSampler.class_balancing_sample_weights(chosen), indices)


def shares(weights: Any, name: str) -> NDArray[np.float64]:
    """Return weights that sum to 1."""
    given = np.asarray(weights, np.float64)
    total = given.sum()
    if total == 0.0:
        raise ValueError(f"{name} must not sum to 0.")
    return np.asarray(given / total)
