"""Where Fuel 0.2.0 has ``NGrams``."""

from penstock.compat.fuel.transformers.sequences import NGrams

__all__ = ["NGrams"]
