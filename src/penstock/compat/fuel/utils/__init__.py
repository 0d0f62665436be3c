"""Fuel's tools: subsets, files in the data path, attributes that are not pickled."""

from penstock.compat.fuel.utils.lazy import do_not_pickle_attributes, find_in_data_path, remember_cwd
from penstock.compat.fuel.utils.subset import Subset, iterable_fancy_indexing

__all__ = ["Subset", "do_not_pickle_attributes", "find_in_data_path", "iterable_fancy_indexing", "remember_cwd"]
