"""Where Fuel has ``CalTech101Silhouettes``."""

from penstock.compat.fuel.datasets.converted import CalTech101Silhouettes

__all__ = ["CalTech101Silhouettes"]
