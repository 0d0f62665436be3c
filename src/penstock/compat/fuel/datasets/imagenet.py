"""Where Fuel has ``ILSVRC2010``."""

from penstock.compat.fuel.datasets.converted import ILSVRC2010

__all__ = ["ILSVRC2010"]
