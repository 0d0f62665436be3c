"""Tensorpack's logger: the functions of one that ``logging`` has, under the name ``tensorpack``."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from datetime import UTC, datetime

_logger = logging.getLogger("tensorpack")

debug = _logger.debug
info = _logger.info
warning = warn = _logger.warning
error = _logger.error
exception = _logger.exception
critical = _logger.critical

__all__ = [
    "auto_set_dir",
    "critical",
    "debug",
    "error",
    "exception",
    "get_logger_dir",
    "info",
    "set_logger_dir",
    "warn",
    "warning",
]

_file: logging.FileHandler | None = None


def set_logger_dir(dirname: str, action: str | None = None) -> None:
    """Write what is logged to ``log.log`` in a folder, which is made.

    Args:
        dirname: the folder.
        action: what to do where there is something in it: "k" keeps it, "b" moves it to another name, "d" deletes it,
            "n" takes another name for the folder.

    Raises:
        OSError: there is something in the folder, and no action was said.
    """
    global _file  # noqa: PLW0603  one of a process
    dirname = os.path.normpath(dirname)
    now = datetime.now(UTC).astimezone().strftime("%m%d-%H%M%S")
    if os.path.isdir(dirname) and os.listdir(dirname):
        if action == "b":
            shutil.move(dirname, f"{dirname}{now}")
        elif action == "d":
            shutil.rmtree(dirname)
        elif action == "n":
            dirname = f"{dirname}{now}"
        elif action != "k":
            raise OSError(f'set_logger_dir(): {dirname} is not empty: say action="k" (keep), "b", "d" or "n".')
    os.makedirs(dirname, exist_ok=True)
    if _file is not None:
        _logger.removeHandler(_file)
        _file.close()
    _file = logging.FileHandler(os.path.join(dirname, "log.log"), encoding="utf-8")
    _file.setFormatter(logging.Formatter("[%(asctime)s @%(filename)s:%(lineno)d] %(levelname)s %(message)s"))
    _logger.addHandler(_file)
    _logger.setLevel(logging.INFO)


def auto_set_dir(action: str | None = None, name: str | None = None) -> None:
    """``set_logger_dir`` of ``train_log/SCRIPT:NAME``."""
    script = os.path.basename(getattr(sys.modules["__main__"], "__file__", None) or "interactive")
    set_logger_dir(os.path.join("train_log", os.path.splitext(script)[0] + (f":{name}" if name else "")), action)


def get_logger_dir() -> str | None:
    """Return the folder, if one was set."""
    return None if _file is None else os.path.dirname(_file.baseFilename)
