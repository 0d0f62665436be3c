"""Tensorpack's logger: the functions of one that ``logging`` has, under the name ``tensorpack``."""

from __future__ import annotations

import logging

_logger = logging.getLogger("tensorpack")

debug = _logger.debug
info = _logger.info
warning = warn = _logger.warning
error = _logger.error
exception = _logger.exception
critical = _logger.critical

__all__ = ["critical", "debug", "error", "exception", "info", "warn", "warning"]
