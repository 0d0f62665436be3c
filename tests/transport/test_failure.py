"""Failures: whatever a user raises, something arrives, and as much of it as possible."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import pytest

from penstock.errors import RemoteError
from penstock.transport.failure import pack_error, unpack_error


class TwoArguments(Exception):
    """Cannot be called with its own args."""

    def __init__(self, item: int, reason: str) -> None:
        super().__init__(f"item {item}: {reason}")
        self.item = item


class KeywordOnly(ValueError):
    """Has a constructor that pickle cannot serve."""

    def __init__(self, *, code: int) -> None:
        super().__init__(code)
        self.code = code


class BrokenStr(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class BrokenReduce(Exception):
    """Cannot be pickled as it wishes."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


class BadReduce(Exception):
    """Pickles into something else."""

    def __reduce__(self) -> Any:
        return (str, ("not an exception",))


class Explosive(Exception):
    """Pickles, and fails when it is rebuilt."""

    def __reduce__(self) -> Any:
        return (int, ("no number",))


class Slotted(Exception):
    """Keeps values in slots."""

    __slots__ = ("extra",)


def raised(error: BaseException) -> BaseException:
    """Return an exception with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def through(error: BaseException) -> BaseException:
    """Send an exception that was raised."""
    return unpack_error(pack_error(raised(error)))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 1, None),
        ValueError(),
        KeyError("missing"),
        StopIteration(3),
        KeyboardInterrupt("now"),
        SystemExit(3),
        GeneratorExit(),
        MemoryError(),
        AssertionError(),
        TwoArguments(3, "bad"),
        KeywordOnly(code=7),
        BrokenStr("x", 1),
        BrokenReduce("x", 2),
        BadReduce("y"),
        Explosive("z"),
        Slotted("s"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ExceptionGroup("several", [ValueError(1), TypeError(2)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_type_and_arguments(error):
    """The exception arrives with its own type and its own arguments."""
    back = through(error)
    assert type(back) is type(error)
    if isinstance(error, ExceptionGroup):
        assert back.message == error.message
        assert [type(e) for e in back.exceptions] == [ValueError, TypeError]
    else:
        assert back.args == error.args


def test_os_error():
    """An OSError keeps number, text and filename, and its subclass."""
    try:
        open("/nowhere/at/all")  # noqa: SIM115  it does not open
    except OSError as error:
        back = unpack_error(pack_error(error))
    assert type(back) is FileNotFoundError
    assert back.errno == 2
    assert back.filename == "/nowhere/at/all"
    assert str(back) == "[Errno 2] No such file or directory: '/nowhere/at/all'"


def test_attributes():
    """Attributes travel; those that cannot are left behind, and the rest still arrives."""
    error = ValueError("x")
    error.item = 3
    error.lock = threading.Lock()
    back = through(error)
    assert type(back) is ValueError
    assert back.args == ("x",)
    assert back.item == 3
    assert not hasattr(back, "lock")


def test_arguments_that_cannot_travel():
    """An argument that cannot travel arrives as its text; the type and the other arguments stay."""
    back = through(ValueError("kept", threading.Lock()))
    assert type(back) is ValueError
    assert back.args[0] == "kept"
    assert "lock" in back.args[1]


def test_constructor_attributes():
    """What a constructor of the user had set on the exception is there again."""
    assert through(TwoArguments(3, "bad")).item == 3
    assert through(KeywordOnly(code=7)).code == 7


@pytest.mark.parametrize("kind", [ValueError, TwoArguments, BrokenReduce, Explosive])
def test_notes(kind):
    """Notes arrive, whichever way the exception had to travel."""
    error = kind(1, "x") if kind is TwoArguments else kind("x")
    error.add_note("written by the user")
    error.add_note("and another")
    assert through(error).__notes__ == ["written by the user", "and another"]


def test_local_class():
    """A class defined inside a function travels by value, with its name and its base."""

    class Local(LookupError):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(a)
            self.b = b

    back = through(Local(1, 2))
    assert type(back).__name__ == "Local"
    assert isinstance(back, LookupError)
    assert back.args == (1,)
    assert back.b == 2


def test_class_that_cannot_travel():
    """An exception whose class holds what cannot travel arrives as a RemoteError with its name, text and notes."""

    class Stuck(Exception):
        lock = threading.Lock()

    error = Stuck("the text")
    error.add_note("a note")
    back = through(error)
    assert type(back) is RemoteError
    assert "Stuck" in str(back)
    assert "the text" in str(back)
    assert "a note" in back.__notes__


def test_stuck_without_text():
    """Even one that cannot travel and cannot be printed arrives as something."""

    class Stuck(Exception):
        lock = threading.Lock()

        def __str__(self) -> str:
            raise RuntimeError("no text")

    back = through(Stuck())
    assert type(back) is RemoteError
    assert "Stuck" in str(back)


def test_traceback_and_causes():
    """The traceback over there, its causes and contexts included, is printed above the exception here."""

    def inner() -> None:
        raise KeyError("first")

    try:
        try:
            inner()
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        back = unpack_error(pack_error(error))
    text = "".join(traceback.format_exception(back))
    assert "in inner" in text
    assert "KeyError: 'first'" in text
    assert "direct cause" in text
    assert __file__ in text


def test_garbage():
    """Bytes that cannot be read become a RemoteError, not a failure of the transport."""
    for data in (b"", b"garbage", pack_error(ValueError(1))[:-3]):
        assert type(unpack_error(data)) is RemoteError
