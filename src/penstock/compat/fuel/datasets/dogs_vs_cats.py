"""Where Fuel has ``DogsVsCats``."""

from penstock.compat.fuel.datasets.converted import DogsVsCats

__all__ = ["DogsVsCats"]
