"""A copy of a file on a local disk, for jobs that read the same one over a network."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile

from penstock.compat.fuel.config_parser import config

logger = logging.getLogger("penstock")
FULL = 0.9  # of the disk: what a copy would take beyond that is not taken


def cache_file(filename: str) -> str:
    """Return the path of a file's copy in ``config.local_data_path``, which is made where it is not there.

    Where there is no such folder, no room, or the file is not below the data path, the file itself is returned. A copy
    appears when it is whole: any number of processes may ask at once.
    """
    local = config.local_data_path
    root = next((one for one in config.data_path if is_below(filename, one)), None) if local else None
    if root is None or not os.path.isfile(filename):
        return filename
    copy = os.path.join(os.path.expanduser(local), os.path.relpath(filename, os.path.expanduser(root)))
    try:
        if is_current(copy, filename):
            return copy
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        total, used, _ = shutil.disk_usage(os.path.dirname(copy))
        if used + os.path.getsize(filename) >= total * FULL:
            logger.warning("%s is not copied to %s: the disk would be full.", filename, local)
            return filename
        place(filename, copy)
    except OSError as error:
        logger.warning("%s is not copied to %s: %s", filename, local, error)
        return filename
    return copy


def place(filename: str, copy: str) -> None:
    """Make a copy appear whole."""
    handle, unfinished = tempfile.mkstemp(dir=os.path.dirname(copy), prefix=".fuel-")
    os.close(handle)
    try:
        shutil.copy2(filename, unfinished)
        os.replace(unfinished, copy)
    except BaseException:
        os.unlink(unfinished)
        raise


def is_current(copy: str, filename: str) -> bool:
    """Tell whether a copy is as large as the file and not older."""
    if not os.path.isfile(copy):
        return False
    ours, theirs = os.stat(copy), os.stat(filename)
    return ours.st_size == theirs.st_size and ours.st_mtime >= theirs.st_mtime


def is_below(filename: str, folder: str) -> bool:
    """Tell whether a file is in a folder, however deep."""
    folder = os.path.realpath(os.path.expanduser(folder))
    return os.path.commonpath([folder, os.path.realpath(filename)]) == folder
