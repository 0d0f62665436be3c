"""Adapters to other frameworks, one each: import the one that is used, ``import penstock.adapters.torch``."""
