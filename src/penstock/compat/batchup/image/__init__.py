"""Images in arrays."""

from penstock.compat.batchup.image import utils

__all__ = ["utils"]
