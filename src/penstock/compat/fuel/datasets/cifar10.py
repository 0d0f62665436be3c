"""Where Fuel has ``CIFAR10``."""

from penstock.compat.fuel.datasets.converted import CIFAR10

__all__ = ["CIFAR10"]
