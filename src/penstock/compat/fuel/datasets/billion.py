"""Where Fuel has ``OneBillionWord``."""

from penstock.compat.fuel.datasets.text import OneBillionWord

__all__ = ["OneBillionWord"]
