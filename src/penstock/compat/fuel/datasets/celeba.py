"""Where Fuel has ``CelebA``."""

from penstock.compat.fuel.datasets.converted import CelebA

__all__ = ["CelebA"]
