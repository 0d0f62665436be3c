"""Where Fuel has ``ILSVRC2010`` and ``ILSVRC2012``."""

from penstock.compat.fuel.datasets.converted import ILSVRC2010, ILSVRC2012

__all__ = ["ILSVRC2010", "ILSVRC2012"]
