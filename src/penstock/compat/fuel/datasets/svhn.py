"""Where Fuel has ``SVHN``."""

from penstock.compat.fuel.datasets.converted import SVHN

__all__ = ["SVHN"]
