"""What servers and consumers say to each other.

A message is one ZeroMQ message: a frame that begins with four bytes (``b"PS"``, the version, the kind) and goes on in
JSON, and with some kinds frames of records (``transport/wire``). A server has a ROUTER socket, a consumer a DEALER for
each server, or a ROUTER that servers come to (``reception``).

**Frames.** ZeroMQ ends the process ("Assertion failed: !_more") where a socket with its option IMMEDIATE has taken a
part of a message and its connection is lost in this moment. So consumers' sockets do without that option, and what a
server that connects is told has one frame.

    consumer                                             server
    ── hello   version, name                         ──►            new connection, or the server said "again"
    ◄── welcome token, instance, mode, pipeline, …    ──            or: refuse, with the reason
    ── open    token, route, where, window, bytes    ──►            a route: one subscription to one epoch
    ◄── data    route, seq, numbers, sizes, positions ──            as long as the route's credit lasts
    ◄── lent    the same, where it lies, the lease    ──            or so, on the same host (``local``)
    ── beat    token, clock, [[route, finished], …]  ──►            credit comes back; says "I am here", too
    ◄── pulse   clock, [[route, sent, kept], …]       ──            what must have arrived by now
    ◄── end     route, seq, total                     ──            or: fail, with the error as text
    ◄── void    route, numbers                        ──            held, but somebody else has them by now
    ── close   token, route                          ──►
    ── bye     token                                 ──►

**Numbers.** Whatever goes down a route has a sequence number. A beat says up to which one everything is *finished*,
that is, the consumer has come back for more. So a route's credit needs no bookkeeping of messages: at most ``window``
batches and ``bytes`` bytes are sent and not finished, and one batch is always allowed. A beat goes out when half of
that is finished; the server keeps what is not, so the half is at most half of what it says in its welcome that it may
have at hand. Beats and pulses repeat what they say, so none of them matters; each side sends one a second when it has
nothing else to say.

**Losses.** ZeroMQ reconnects by itself, and what was on the way is gone. A consumer sees that a number is missing: the
next one is too high, or a pulse says that more was sent than arrived. It opens the route anew, under a new key, where
it lacks the first batch. Whatever still comes under an old key is thrown away.

**Where** a route begins is an epoch, a batch's number within it, and the position of the server's own pipeline there,
which the consumer has from the batch before. So servers remember nothing that matters in the modes *mirror* and
*shard*: one that is started again, or another one, goes on where it is told. Several servers deal by number: with n of
them, route i is for the numbers i, i + n, i + 2n, …, whoever serves it.

**Share.** In this mode the server decides who gets which batch, and keeps an account of it (``ledger.Share``).
``open`` then says which batches the consumer still holds, and which it has finished since the server last wrote its
account down (``kept`` in pulses); everything else that had been sent to it goes to others.

What a consumer holds is its own for ``patience`` seconds (the welcome says how many) after the server has heard of it.
So opens and beats carry the consumer's clock, and pulses the last one that was heard: a consumer knows by its own clock
alone until when nobody else is given what it has. Behind that it uses nothing before a pulse has come, and what others
were given comes as *void* in front of that.

**On one host** large batches come through a Unix socket instead (``local``), which also carries back what is finished,
with whatever memory nobody looks at any more. The numbers are the same: what is ahead of its turn waits for ZeroMQ.

**Nonsense.** Each field is checked before it is used, and the socket takes no message above 64 KB from a consumer. A
peer that says what cannot be meant is dropped: nothing of it is heard any more. A token belongs to a connection, so a
message that was recorded on one is nonsense on another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

VERSION = 4
MAGIC = b"PS"
WORDS = 1 << 16  # bytes that a consumer's message, and the JSON of any, may have
NUMBERS = 1 << 53  # above all whole numbers
ROUTES = 256  # that one message may name
RUNS = 2048  # stretches of numbers that one message may name …
RUNNING = 1 << 16  # … and numbers in them

BUSY = 500  # ZAP's answer to who may come again later; after 300 the connection would stay open until its time-out
BEAT = 1.0  # seconds between two beats when there is nothing else to say


class Nonsense(Exception):
    """A peer said what cannot be meant. Never reaches a user: the peer is dropped."""


class Message(NamedTuple):
    """What was said."""

    kind: str
    fields: dict[str, Any]
    frames: Sequence[Any] = ()


def whole(value: Any) -> bool:
    """Tell whether this is a whole number from 0 on."""
    return type(value) is int and 0 <= value < NUMBERS


def positive(value: Any) -> bool:
    """Tell whether this is a whole number from 1 on."""
    return whole(value) and value > 0


def text(most: int) -> Callable[[Any], bool]:
    """Return a check of a text's length."""
    return lambda value: isinstance(value, str) and len(value) <= most


def word(value: Any) -> bool:
    """Tell whether this is a short name: what can be encoded, printed and compared without a second thought."""
    return isinstance(value, str) and len(value) <= 64 and value.isascii() and value.isprintable() and '"' not in value


def maybe(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check that lets None pass."""
    return lambda value: value is None or check(value)


def listed(check: Callable[[Any], bool], most: int) -> Callable[[Any], bool]:
    """Return a check of a list's entries."""
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(check, value))


def part(value: Any) -> bool:
    """Tell whether this is [which, of how many]."""
    return isinstance(value, list) and len(value) == 2 and all(map(whole, value)) and value[0] < value[1] <= 1 << 16


def run(value: Any) -> bool:
    """Tell whether this is [from, to] with something between."""
    return isinstance(value, list) and len(value) == 2 and all(map(whole, value)) and value[0] < value[1]


def stretches(value: Any) -> bool:
    """Tell whether these are stretches of numbers, and not more than one end can have at hand."""
    return listed(run, RUNS)(value) and sum(stop - start for start, stop in value) <= RUNNING


def flag(value: Any) -> bool:
    """Tell whether this is a boolean."""
    return isinstance(value, bool)


def seconds(value: Any) -> bool:
    """Tell whether this is a number of seconds above 0."""
    return type(value) in {int, float} and 0 < value < math.inf


def pair(value: Any) -> bool:
    """Tell whether this is a route and a number."""
    return isinstance(value, list) and len(value) == 2 and all(map(whole, value))


def triple(value: Any) -> bool:
    """Tell whether this is a route and two numbers."""
    return isinstance(value, list) and len(value) == 3 and all(map(whole, value))


def piece(value: Any) -> bool:
    """Tell whether this is an arena, an offset and a number of bytes."""
    return isinstance(value, list) and len(value) == 3 and all(map(whole, value))


def position(value: Any, depth: int = 8) -> bool:
    """Tell whether this may be a position: plain JSON, small and flat. Its pipeline looks at it more closely."""
    if isinstance(value, (list, dict)):
        parts = value if isinstance(value, list) else [*value.values()]
        return depth > 0 and len(parts) <= 1024 and all(position(p, depth - 1) for p in parts)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (int, str))


Schema = Mapping[str, Callable[[Any], bool]]
WANTS: dict[str, Schema] = {  # from consumers
    "hello": {"version": word, "name": word},
    "open": {
        "token": word,
        "clock": whole,
        "route": positive,
        "epoch": lambda value: whole(value) and value < 1 << 32,
        "number": whole,
        "below": position,
        "digest": maybe(whole),
        "share": part,
        "shard": maybe(part),
        "window": lambda value: positive(value) and value <= 1 << 16,
        "bytes": positive,
        "held": stretches,
        "done": stretches,
    },
    "beat": {"token": word, "clock": whole, "routes": listed(pair, ROUTES)},
    "close": {"token": word, "route": positive, "finished": whole},
    "bye": {"token": word},
    "status": {},
}
BATCHES: Schema = {
    "route": positive,
    "seq": whole,
    "numbers": listed(whole, 4096),
    "sizes": listed(whole, 4096),
    "after": maybe(listed(position, 4096)),
}
SAYS: dict[str, Schema] = {  # from servers
    "welcome": {
        "version": word,
        "token": word,
        "instance": word,
        "mode": word,
        "pipeline": listed(text(64), 64),
        "digest": whole,
        "kept": flag,
        "patience": seconds,
        "window": positive,
        "bytes": positive,
        "local": maybe(word),
    },
    "refuse": {"reason": text(4096), "route": whole},
    "again": {},
    "data": BATCHES,
    "lent": {**BATCHES, "pieces": listed(piece, 4096), "lease": positive},
    "end": {"route": positive, "seq": whole, "total": maybe(whole), "late": flag},
    "fail": {
        "route": positive,
        "seq": whole,
        "type": text(256),
        "text": text(1 << 14),
        "notes": listed(text(1 << 12), 16),
        "trace": text(1 << 15),
    },
    "void": {"route": positive, "numbers": stretches},
    "pulse": {"clock": whole, "routes": listed(triple, 1 << 12)},
    "figures": {"figures": lambda value: isinstance(value, dict)},
}
ENCODE = json.JSONEncoder(separators=(",", ":")).encode  # one for all: `dumps` makes one each time
HEADS = {name: MAGIC + bytes([VERSION, number]) for number, name in enumerate([*WANTS, *SAYS], 1)}
NAMES = {head: name for name, head in HEADS.items()}


def packed(kind: str, **fields: Any) -> list[bytes]:
    """Return the frame that begins a message, in a list."""
    return [HEADS[kind] + ENCODE(fields).encode()]


def version_of(head: bytes) -> int | None:
    """Return the version that a peer speaks; None where it speaks something else."""
    return head[2] if len(head) == 4 and head[:2] == MAGIC else None


def opened(frames: Sequence[Any], schemas: Mapping[str, Schema]) -> Message:
    """Return what was said, every field checked.

    Raises:
        Nonsense: it is no message, or not one of these.
    """
    if not frames:
        raise Nonsense("no frames")
    head, body = bytes(frames[0][:4]), frames[0][4:]
    kind = NAMES.get(head)
    if kind is None or kind not in schemas:
        raise Nonsense(f"a message that begins with {head!r}")
    schema = schemas[kind]
    if len(body) > WORDS and schemas is WANTS:
        raise Nonsense(f"{kind}: {len(body)} bytes of JSON")
    try:
        fields = json.loads(str(body, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"{kind}: {type(error).__name__}") from None
    if not isinstance(fields, dict) or fields.keys() != schema.keys():
        raise Nonsense(f"{kind}: fields that are none")
    for name, check in schema.items():
        if not check(fields[name]):
            raise Nonsense(f"{kind}: an impossible {name}")
    if len(frames) > 1 and kind not in {"data", "lent"}:
        raise Nonsense(f"{kind}: {len(frames)} frames")
    return Message(kind, fields, frames[1:])


def runs(numbers: Sequence[int]) -> list[list[int]]:
    """Return sorted numbers as stretches.

    >>> runs([1, 2, 3, 7])
    [[1, 4], [7, 8]]
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1][1] += 1
        else:
            found.append([number, number + 1])
    return found
