"""Where Fuel has ``Iris``."""

from penstock.compat.fuel.datasets.converted import Iris

__all__ = ["Iris"]
