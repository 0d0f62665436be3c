"""Where Fuel has ``CIFAR100``."""

from penstock.compat.fuel.datasets.converted import CIFAR100

__all__ = ["CIFAR100"]
