"""Where Fuel has ``Adult``."""

from penstock.compat.fuel.datasets.converted import Adult

__all__ = ["Adult"]
