"""Where Fuel has ``BinarizedMNIST``."""

from penstock.compat.fuel.datasets.converted import BinarizedMNIST

__all__ = ["BinarizedMNIST"]
