"""Fuel's exceptions."""

from collections.abc import Sequence


class AxisLabelsMismatchError(ValueError):
    """The axis labels of a source are others than a transformer needs."""


class ConfigurationError(Exception):
    """A setting was asked for that nobody has made and that has no default."""


class MissingInputFiles(Exception):
    """Files that a conversion needs are not there; ``filenames`` lists them."""

    def __init__(self, message: str, filenames: Sequence[str]) -> None:
        super().__init__(message, filenames)
        self.filenames = filenames


class NeedURLPrefix(Exception):
    """A file has no address."""
