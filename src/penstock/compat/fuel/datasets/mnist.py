"""Where Fuel has ``MNIST``."""

from penstock.compat.fuel.datasets.converted import MNIST

__all__ = ["MNIST"]
