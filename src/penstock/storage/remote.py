"""Objects by URL: fetched through fsspec into a folder on the local disk (``remote_folder``), which processes share.

Reading is by whole objects. A network's time is hidden by fetching several at once: those that come next are known.
"""

from __future__ import annotations

import contextlib
import glob
import os
import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import ArgumentError, ArgumentTypeError, MissingExtra, StoreError
from penstock.graph.amounts import nbytes_of, said
from penstock.graph.checking import short, whole
from penstock.graph.storing import Format, Reader, Tape, require
from penstock.storage.patterns import expanded, joined
from penstock.storage.remote_folder import Arriving, Folder, touch

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
PATIENCE = 100  # times that an object may vanish before it is read
LONGEST_WAIT = 10.0  # seconds between two attempts, at the most
FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError, ValueError, TypeError)
VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "size")
HTTP = {"http", "https"}
DEFAULT = "10GB"

systems: dict[Any, Any] = {}  # file systems of this process


def is_url(path: object) -> bool:
    """Tell whether a path has a protocol in front."""
    return isinstance(path, str) and URL.match(path) is not None


@dataclass(frozen=True)
class Remote:
    """How objects are fetched from elsewhere, and where they are kept.

    Args:
        cache: a folder on a local disk, shared by all processes; ``$PENSTOCK_CACHE``, or ``~/.cache/penstock``.
        limit: bytes that it may hold; what was used longest ago goes first.
        retries: how often an object is tried again where it fails for a reason that may pass.
        wait: seconds before the first of these; twice as many before each next, up to ten, drawn from around that.
        ahead: how many objects a process fetches at once, ahead of the one that is asked for.
        storage_options: what fsspec's file system is told, such as ``{"anon": True}``. It may hold secrets, so it
            is not printed.

    An object is taken to be the same for ever under its name: what replaces it should have another, or the folder be
    removed. Only ``open`` asks each time whether it is still the same.
    """

    cache: str | os.PathLike[str] | None = None
    limit: int | str = DEFAULT
    retries: int = 5
    wait: float = 0.2
    ahead: int = 16
    storage_options: dict[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        where = "Remote()"
        given: Any = self.cache
        if given is None:
            home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
            given = os.environ.get("PENSTOCK_CACHE") or os.path.join(home, "penstock")
        if not isinstance(given, (str, os.PathLike)):
            raise ArgumentTypeError(f"{where}: cache must be a folder, not {short(given)}.")
        object.__setattr__(self, "cache", os.path.abspath(os.path.expanduser(os.fsdecode(given))))
        object.__setattr__(self, "limit", nbytes_of(self.limit, where, "limit"))
        whole(self.retries, where, "retries")
        whole(self.ahead, where, "ahead")
        wait: Any = self.wait
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not wait >= 0:
            raise ArgumentError(f"{where}: wait must be a number of seconds, not {short(wait)}.")
        if self.storage_options is not None and not isinstance(self.storage_options, dict):
            raise ArgumentTypeError(f"{where}: storage_options must be a dict, not {short(self.storage_options)}.")

    # -- what users of this module ask for

    def read(self, url: str) -> bytes:
        """Return an object's content."""
        for _ in range(PATIENCE):
            try:
                with open(self.fetch(url), "rb") as file:
                    return file.read()
            except FileNotFoundError:
                continue  # thrown out between the two lines above, by a process that needed room
        raise StoreError(f"{url} is thrown out before it can be read, again and again: the cache is too small.")

    def has(self, url: str) -> bool:
        """Tell whether an object is in the cache."""
        return os.path.exists(self.folder.place(url))

    def fetch(self, url: str, version: str = "") -> str:
        """Return the path of an object on the local disk; fetch it first, where it is not there.

        Raises:
            StoreError: it does not exist, may not be read, is larger than the cache, or could not be fetched in
                several attempts.
            MissingExtra: the library for its protocol is not installed.
        """
        folder = self.folder
        path = folder.place(url, version)
        with contextlib.suppress(FileNotFoundError):
            touch(path)
            return path
        folder.prepare()
        with folder.fetching(path):
            with contextlib.suppress(FileNotFoundError):
                touch(path)
                return path
            self.patiently(url, lambda url: self.once(url, path))
        return path

    def version(self, url: str) -> str:
        """Return what tells an object from another one of this name."""
        about: Any = self.patiently(url, self.info)
        return repr([about.get(name) for name in VERSIONS])

    # -- how

    @property
    def folder(self) -> Folder:
        """Where objects are kept."""
        return Folder(os.path.join(str(self.cache), "remote"), int(self.limit))

    def system(self, url: str) -> tuple[Any, str]:
        """Return the file system of a URL in this process, and what it calls the object."""
        library = require("fsspec", "remote", url)
        protocol = url.partition("://")[0]
        options = dict(self.storage_options or {})
        if protocol in HTTP:
            timeout = require("aiohttp", "remote", url).ClientTimeout(total=None, sock_connect=30, sock_read=60)
            options["client_kwargs"] = {"timeout": timeout, **options.get("client_kwargs", {})}
        key = (os.getpid(), protocol, repr(sorted((self.storage_options or {}).items())))
        try:
            if key not in systems:
                systems[key] = library.core.url_to_fs(url, skip_instance_cache=True, **options)[0]
            system = systems[key]
            return system, system._strip_protocol(url)  # noqa: SLF001  its public form wants options again
        except ImportError as error:
            raise MissingExtra(f"{url} needs a library for {protocol}:// that is not installed: {error}.") from error

    def info(self, url: str) -> Any:
        """Return what a file system knows of an object, now."""
        system, name = self.system(url)
        system.invalidate_cache()
        return system.info(name)

    def patiently(self, url: str, work: Any) -> Any:
        """Do something with an object, again where it fails for a reason that may pass."""
        for number in range(self.retries + 1):
            try:
                return work(url)
            except (MissingExtra, StoreError):
                raise
            except Exception as problem:  # noqa: BLE001  raised again where it is not tried again
                error = meant(problem)
                if isinstance(error, FileNotFoundError):
                    raise StoreError(f"{url} does not exist.") from error
                words = f"{type(error).__name__}: {error}".strip(": ")
                if final(error):
                    raise StoreError(f"{url} cannot be fetched: {words}.") from error
                if number == self.retries:
                    message = f"{url} could not be fetched in {number + 1} attempts; the last: {words}."
                    raise StoreError(message) from error
            time.sleep(min(LONGEST_WAIT, self.wait * 2**number) * random.uniform(0.5, 1.5))  # noqa: S311  no secret
        raise AssertionError

    def once(self, url: str, path: str) -> None:
        """Fetch an object in one attempt."""
        system, name = self.system(url)
        expected = system.info(name).get("size")
        if expected is not None and expected > int(self.limit):
            raise StoreError(
                f"{url} has {said(expected)}, and the cache holds {said(int(self.limit))}: Remote(limit=…)."
            )
        with self.folder.arriving(path) as arriving:
            arriving.grow(expected or 0)
            system.get_file(name, arriving.path, callback=growing(arriving))
            size = os.path.getsize(arriving.path)
            if expected is not None and size != expected:
                raise OSError(f"{size} bytes came, of {expected}")
            arriving.grow(size)  # some file systems tell nothing meanwhile


def meant(error: BaseException) -> BaseException:
    """Return what happened: fsspec says of whatever an HTTP server answers, or does not, that there is no such file."""
    cause = error.__cause__
    http = type(cause).__module__.partition(".")[0] in {"aiohttp", "asyncio"} or isinstance(cause, TimeoutError)
    missing = getattr(cause, "status", None) in {404, 410}
    return cause if isinstance(error, FileNotFoundError) and cause is not None and http and not missing else error


def final(error: BaseException) -> bool:
    """Tell whether it would be useless to try again."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in {408, 425, 429}
    return isinstance(error, FINAL)


def growing(arriving: Arriving) -> Any:
    """Return fsspec's callback that makes room for what comes, while it comes: not every server tells a size."""

    class Growing(require("fsspec", "remote", "").callbacks.Callback):  # type: ignore[misc]
        """Takes room for every piece."""

        came = 0

        def relative_update(self, inc: int = 1) -> None:
            """Note that some bytes came."""
            self.came += int(inc)
            arriving.grow(self.came)

    return Growing()


class Ahead:
    """Objects that are being fetched in the background. A thread for each, which ends with it: none is left over."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.pending: dict[str, threading.Thread] = {}
        self.owner = os.getpid()

    def begin(self, url: str) -> bool:
        """Begin to fetch an object, if there is room for one more; tell whether nothing more is to be done."""
        if url in self.pending or self.remote.has(url):
            return True
        if len(self.pending) >= self.remote.ahead:
            return False
        thread = self.pending[url] = threading.Thread(target=self.work, args=(url,), name="penstock-fetch", daemon=True)
        thread.start()
        return True

    def work(self, url: str) -> None:
        """Fetch an object; what goes wrong will go wrong again where it is asked for."""
        try:
            self.remote.fetch(url)
        except Exception:  # noqa: BLE001
            return
        finally:
            self.pending.pop(url, None)

    def read(self, url: str) -> bytes:
        """Return an object; wait for it, where it is on its way."""
        thread = self.pending.get(url)
        if thread is not None:
            thread.join()
        return self.remote.read(url)


# ------------------------------------------------------------------------------------------------------ what is public


def find(patterns: tuple[Any, ...], remote: Remote) -> list[bytes]:
    """Return the URLs that match patterns, each once, in the order of their bytes.

    Raises:
        ArgumentError: a pattern matches nothing, or has no protocol.
    """
    found: set[bytes] = set()
    for pattern in patterns:
        if not is_url(pattern):
            raise ArgumentError(f"files(): {short(pattern)} has no protocol, and others have. Make two datasets of it.")
        hits = [url for one in expanded(pattern) for url in matches(one, remote)]
        if not hits:
            raise ArgumentError(f"files(): nothing matches {pattern!r}.")
        found.update(map(os.fsencode, hits))
    return sorted(found)


def matches(url: str, remote: Remote) -> list[str]:
    """Return the URLs that a pattern stands for."""

    def look(url: str) -> list[str]:
        system, name = remote.system(url)
        names = system.glob(name) if glob.has_magic(name.partition("?")[0]) else [name] if system.exists(name) else []
        return [name if is_url(name) else system.unstrip_protocol(name) for name in names]

    protocol = url.partition("://")[0]
    if protocol in HTTP and not glob.has_magic(url.partition("?")[0]):
        return [url]  # whether it is there shows when it is fetched; asking for each would take long
    return sorted(remote.patiently(url, look))


def open_remote(urls: str, *, format: Format, remote: Remote, options: dict[str, Any]) -> Reader | Tape:
    """Fetch a store, and open it on the local disk: what a ``Handle`` does in each process; mostly it is there."""
    wanted = [url for one in expanded(urls) for url in ([one] if not glob.has_magic(one) else matches(one, remote))]
    if not wanted:
        raise StoreError(f"nothing matches {urls!r}.")

    from concurrent.futures import ThreadPoolExecutor

    def fetched(url: str) -> str:
        return remote.fetch(url, remote.version(url))

    for last in (False, False, True):
        if len(wanted) == 1:
            paths = [fetched(wanted[0])]
        else:
            with ThreadPoolExecutor(max(1, min(remote.ahead, len(wanted)))) as threads:
                paths = list(threads.map(fetched, wanted))
        if last or all(map(os.path.exists, paths)):  # else one was thrown out for another
            break
    missing = [url for url, path in zip(wanted, paths, strict=True) if not os.path.exists(path)]
    if missing:
        raise StoreError(f"{missing[0]} does not fit into the cache beside the others: Remote(limit=…).")
    try:
        return format.open(joined(paths), **options)
    except StoreError as error:
        error.add_note(f"penstock: it was fetched from {wanted[0] if len(wanted) == 1 else urls}")
        raise
