"""Made-up datasets for trying things out."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.fuel.config_parser import config
from penstock.compat.fuel.datasets.base import IndexableDataset


class Spiral(IndexableDataset):
    """Points on the arms of a spiral: ``features`` (x, y), ``position`` along the arm, ``label`` of the arm.

    Args:
        num_examples: how many.
        classes: how many arms.
        cycles: turns of an arm.
        noise: standard deviation of what is added to the points.
        kwargs: ``seed``, and what ``IndexableDataset`` takes.
    """

    def __init__(
        self, num_examples: int = 1000, classes: int = 1, cycles: float = 1.0, noise: float = 0.0, **kwargs: Any
    ) -> None:
        rng = np.random.RandomState(kwargs.pop("seed", config.default_seed))
        position = rng.uniform(0, cycles, num_examples)
        label = rng.randint(0, classes, num_examples)
        angle = 2 * np.pi * position + label * (2 * np.pi) / classes
        radius = (2 * position + 1) / 3
        features = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).astype(np.float32)
        features += noise * rng.normal(size=(num_examples, 2))
        super().__init__({"features": features, "position": position, "label": label}, **kwargs)


class SwissRoll(IndexableDataset):
    """Points on a rolled-up sheet: ``features`` (x, y, z), and ``position`` on the sheet.

    Args:
        num_examples: how many.
        noise: standard deviation of what is added to the points.
        kwargs: ``seed``, and what ``IndexableDataset`` takes.
    """

    def __init__(self, num_examples: int = 1000, noise: float = 0.0, **kwargs: Any) -> None:
        rng = np.random.RandomState(kwargs.pop("seed", config.default_seed))
        along = rng.uniform(0, 1, num_examples)
        angle = 1.5 * np.pi * (1 + 2 * along)
        radius = (1 + 2 * along) / 3
        across = rng.uniform(-1, 1, num_examples)
        points = [radius * np.cos(angle), radius * np.sin(angle), across]
        features = np.stack(points, axis=1).astype(np.float32)
        features += noise * rng.normal(size=(num_examples, 3))
        position = np.stack([along, across], axis=1).astype(np.float32)
        super().__init__({"features": features, "position": position}, **kwargs)
