"""Keys: who may connect. CURVE encrypts and proves who is there; the list of clients says who is welcome.

    keys/server.json           the server's own: public and secret
    keys/clients/alice.public  one file for each client that is welcome; remove it, and alice is not any more
    keys/alice.json            what alice gets: her keys, and the server's public one

CURVE alone admits everybody who has the server's public key. Files with secrets are readable by their owner only, and
are refused otherwise.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import ArgumentError
from penstock.graph.checking import short
from penstock.service.library import zmq

SERVER = "server.json"
CLIENTS = "clients"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85


@dataclass(frozen=True, repr=False)
class Pair:
    """A public and a secret key, and for clients the server's public one."""

    public: str
    secret: str
    server: str = ""

    def __repr__(self) -> str:
        return f"Pair(public={self.public!r})"


@dataclass(frozen=True)
class Guards:
    """What a server needs: its keys, and the folder that says who is welcome."""

    pair: Pair
    folder: str

    def name_of(self, key: bytes) -> str | None:
        """Return who has a public key; None for nobody who is welcome. Looked up anew each time."""
        text = zmq().utils.z85.encode(key).decode()
        for path in Path(self.folder, CLIENTS).glob("*.public"):
            try:
                if path.read_text(encoding="ascii").strip() == text:
                    return path.stem
            except (OSError, ValueError):
                continue
        return None


def make_server(folder: str) -> str:
    """Make a folder and a server's keys in it, unless they are there; return the public key."""
    os.makedirs(os.path.join(folder, CLIENTS), mode=0o700, exist_ok=True)
    path = os.path.join(folder, SERVER)
    if not os.path.exists(path):
        public, secret = zmq().curve_keypair()
        write(path, {"public": public.decode(), "secret": secret.decode()})
    return read(path, "keys").public


def make_client(folder: str, name: str) -> str:
    """Make a client's keys, and put it on the list; return the path of what it gets.

    Raises:
        ArgumentError: there is such a client already, or the name cannot be one of a file.
    """
    if not NAME.fullmatch(name) or name == Path(SERVER).stem:
        raise ArgumentError(f"keys: {short(name)} cannot be a client's name: use letters, digits, '_', '.' and '-'.")
    server = make_server(folder)
    path = os.path.join(folder, f"{name}.json")
    if os.path.exists(path):
        raise ArgumentError(f"keys: there is a client {name!r} already: {path}. Remove the file to make it anew.")
    public, secret = zmq().curve_keypair()
    write(path, {"public": public.decode(), "secret": secret.decode(), "server": server})
    Path(folder, CLIENTS, f"{name}.public").write_text(public.decode() + "\n", encoding="ascii")
    return path


def write(path: str, fields: dict[str, str]) -> None:
    """Write a file that only its owner can read, and never over another."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(fields, file)


def read(path: str, where: str) -> Pair:
    """Return the keys in a file.

    Raises:
        ArgumentError: it is none, or others can read it.
    """
    try:
        status = os.stat(path)
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{where}: {path} cannot be read as keys: {error}. Make keys by: penstock keys") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ArgumentError(f"{where}: {path} can be read by others than its owner. Say: chmod 600 {path}")
    parts = [str(fields.get(name, "")) for name in ("public", "secret", "server")] if isinstance(fields, dict) else [""]
    if not all(KEY.fullmatch(part) for part in parts[:2]):
        raise ArgumentError(f"{where}: {path} does not hold keys. Make some by: penstock keys")
    return Pair(*parts)


def for_server(keys: str | os.PathLike[str]) -> Guards:
    """Return a server's keys, of the folder that ``penstock keys`` made."""
    folder = os.fspath(keys)
    path = os.path.join(folder, SERVER)
    if not os.path.isfile(path):
        raise ArgumentError(f"serve(): keys must be the folder that `penstock keys` made, and {folder} is none.")
    return Guards(read(path, "serve()"), folder)


def for_client(keys: str | os.PathLike[str]) -> Pair:
    """Return a client's keys."""
    pair = read(os.fspath(keys), "connect()")
    if not KEY.fullmatch(pair.server):
        raise ArgumentError(f"connect(): {os.fspath(keys)} is not a client's file: it lacks the server's public key.")
    return pair
