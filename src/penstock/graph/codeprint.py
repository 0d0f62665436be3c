"""Codeprint: a key that stands for a description with all that its functions do.

Two descriptions with one key give the same items; a changed function, default, closure, constant or helper function
gives another key. What pickle writes is not fit for that: cloudpickle's bytes differ between equal functions, and say
nothing of functions that can be imported. So everything that a function can reach is gone through:

    a function     its byte code, constants, defaults, closure, and the globals that its code names, their own likewise
    a class        its bases and what its body defined
    an object      its class, and what pickle would keep of it
    a library      its name and version: of what is installed, nobody changes a line and keeps the version
    a store        its content, wherever it lies
    a file's name  the name. Whoever replaces files under the same names removes the cache, or says ``key``

What cannot be gone through (an open session of another library) is refused by name: it might change without being seen.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import sys
import threading
import types
from functools import cache
from typing import Any

import numpy as np

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.node import Node, Site, ordered
from penstock.graph.storing import Handle

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range)
# What is not part of what a class does.
NOISE = {
    *("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__annotate__", "__annotate_func__"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__static_attributes__", "__firstlineno__"),
    *("__abstractmethods__", "_abc_impl", "__parameters__", "__orig_bases__", "__annotations_cache__", "__hash__"),
    *("__qualname__", "__type_params__", "__slotnames__"),
}
BLANK = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.local)


def description_key(node: Node, key: str | None = None, extra: str = "") -> str:
    """Return the key of a description.

    Args:
        node: its last step.
        key: what stands for the functions in place of their code, where their user says so.
        extra: anything more that it depends on.

    Raises:
        ArgumentTypeError: something in it cannot be gone through; names the step.
    """
    nodes = ordered(node)
    prints = Print(functions=key is None)
    done = hashlib.blake2b(digest_size=16)
    done.update(f"1 {key!r} {extra} {version_of('penstock')} {node.length()}".encode())
    for one in nodes:
        try:
            done.update(prints.of_step(one, [nodes.index_of(source) for source in one.sources]))
        except Unprintable as error:
            raise ArgumentTypeError(
                f"cache(): nobody can tell whether {one.label()} will be the same again: it holds {error}. Say "
                'cache(path, key="…"), another key whenever one of the functions changes.'
            ) from None
    return done.hexdigest()


class Unprintable(TypeError):
    """A value that cannot be gone through."""


class Print:
    """Digests of values, made of those of their parts: the same in every process."""

    def __init__(self, *, functions: bool) -> None:
        self.functions = functions
        self.known: dict[int, bytes] = {}
        self.alive: list[Any] = []  # what is known by its id must not be freed
        self.under: dict[int, int] = {}  # what is being gone through, and how deep

    def of_step(self, node: Node, sources: list[int]) -> bytes:
        """Return the digest of one step without its inputs."""
        parts = [mixed("step", type(node).__qualname__, sources), self.of(type(node))]
        for name, value in node.settings():
            if name not in node.aside:
                parts += [name.encode(), self.of(value)]
        return mixed("settings", *parts)

    def of(self, value: Any) -> bytes:
        """Return the digest of a value."""
        if type(value) in PLAIN:
            return mixed("plain", type(value).__name__, repr(value))
        number = id(value)
        done = self.known.get(number)
        if done is not None:
            return done
        if number in self.under:
            return mixed("again", self.under[number])
        self.under[number] = len(self.under)
        try:
            done = self.made(value)
        except RecursionError:
            raise Unprintable(f"{short(value)}, which goes too deep") from None
        finally:
            del self.under[number]
        self.known[number] = done
        self.alive.append(value)
        return done

    def made(self, value: Any) -> bytes:
        """Return the digest of a value that is not plain."""
        if type(value) in (list, tuple, dict, set, frozenset):
            return self.of_container(value)
        if isinstance(value, np.ndarray):
            return self.of_array(value)
        if isinstance(value, (np.generic, np.dtype)):
            return mixed(str(getattr(value, "dtype", value)), value.tobytes() if isinstance(value, np.generic) else b"")
        if isinstance(value, Node):
            nodes = ordered(value)
            return mixed(
                "steps", *[self.of_step(one, [nodes.index_of(below) for below in one.sources]) for one in nodes]
            )
        if isinstance(value, Handle):
            return mixed("store", value.tag, self.of(value.opener), self.of(value.options))
        if isinstance(value, types.ModuleType):
            return self.of_module(value, ())
        if isinstance(value, type):
            return self.of_class(value)
        return self.of_callable(value) or self.of_object(value)

    def of_container(self, value: Any) -> bytes:
        """Return the digest of a list, tuple, dict or set."""
        kind = type(value)
        if kind is dict:
            return mixed("dict", *[part for pair in value.items() for part in map(self.of, pair)])
        if kind in (set, frozenset):
            return mixed("set", *sorted(map(self.of, value)))
        if set(map(type, value)) <= set(PLAIN):
            return mixed(kind.__name__, repr(value))
        return mixed(kind.__name__, *map(self.of, value))

    def of_array(self, array: Any) -> bytes:
        """Return the digest of an array's type, shape and content; of a mapped file, of which one it is."""
        if array.dtype.hasobject:
            return mixed("objects", array.shape, *map(self.of, array.ravel().tolist()))
        base = array
        while isinstance(base, np.ndarray) and not (isinstance(base, np.memmap) and base.filename):
            base = base.base
        if isinstance(base, np.memmap) and base.nbytes >= 1 << 26:
            status = os.stat(str(base.filename))
            where = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            about = (str(base.filename), status.st_size, status.st_mtime_ns, base.offset, where, array.strides)
            return mixed("mapped", about, array.dtype.str, array.shape)
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.size else b""
        return mixed("array", str(array.dtype), array.shape, content)

    def of_callable(self, value: Any) -> bytes | None:
        """Return the digest of a function or method, or None."""
        if isinstance(value, types.FunctionType):
            return self.of_function(value) if self.functions else mixed("function", value.__qualname__)
        if isinstance(value, types.MethodType):
            return mixed("method", self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, types.CodeType):
            return self.of_code(value)
        if isinstance(value, (staticmethod, classmethod)):
            return mixed(type(value).__name__, self.of(value.__func__))
        if isinstance(value, property):
            return mixed("property", *map(self.of, (value.fget, value.fset, value.fdel)))
        if isinstance(value, types.BuiltinFunctionType) and not isinstance(value.__self__, types.ModuleType | None):
            return mixed("bound", value.__name__, self.of(value.__self__))
        if isinstance(value, BUILT_IN):
            of = getattr(value, "__objclass__", None)
            return mixed("built in", getattr(of, "__qualname__", ""), value.__name__, self.home(value))
        return None

    def of_function(self, function: types.FunctionType) -> bytes:
        """Return the digest of a function and of all that it can reach."""
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(self.of(cell.cell_contents))
            except ValueError:  # not filled yet
                cells.append(b"empty")
        kept = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        own = [*cells, self.of(function.__defaults__), self.of(function.__kwdefaults__), self.of(kept)]
        if hasattr(function, "__wrapped__"):
            own.append(self.of(function.__wrapped__))
        if is_library(function.__module__):
            return mixed("library", self.home(function), function.__qualname__, *own)
        reached = []
        for name in sorted(names_of(function.__code__)):
            if name in function.__globals__:
                found = function.__globals__[name]
                module = isinstance(found, types.ModuleType)
                reached += [name.encode(), self.of_named(found, function.__code__) if module else self.of(found)]
            elif name in sys.modules or name.partition(".")[0] in sys.modules:  # imported within the function
                reached += [name.encode(), self.of_import(name, function.__code__)]
        return mixed("function", self.of_code(function.__code__), *own, *reached)

    def of_named(self, module: types.ModuleType, code: types.CodeType) -> bytes:
        """Return the digest of what a function's code may use of a module."""
        return self.of_module(module, tuple(sorted(names_of(code))))

    def of_import(self, name: str, code: types.CodeType) -> bytes:
        """Return the digest of a module that is imported within a function; many names are no modules at all."""
        module = sys.modules.get(name)
        return b"" if module is None else self.of_named(module, code)

    def of_module(self, module: types.ModuleType, names: tuple[str, ...]) -> bytes:
        """Return the digest of a library, or of what is used of a module of the user's."""
        name = module.__name__
        if is_library(name):
            return mixed("library", self.version(name))
        mark = hash((id(module), names))
        if mark in self.under:
            return mixed("again", name)
        self.under[mark] = len(self.under)
        try:
            parts = []
            for word in names:
                found = vars(module).get(word, self)
                if found is not self:
                    inner = isinstance(found, types.ModuleType)
                    parts += [word.encode(), self.of_module(found, names) if inner else self.of(found)]
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and not file.endswith(
                (".py", ".pyc")
            ):  # compiled: its code cannot be gone through
                status = os.stat(file)
                parts.append(mixed(status.st_size, status.st_mtime_ns))
            return mixed("module", *parts)
        finally:
            del self.under[mark]

    def of_code(self, code: types.CodeType) -> bytes:
        """Return the digest of byte code; not of its lines' numbers, names of files, or comments."""
        numbers = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        words = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        constants = [self.of(constant) for constant in code.co_consts]
        return mixed(
            "code",
            sys.implementation.cache_tag,
            sys.hexversion >> 16,
            code.co_code,
            numbers,
            words,
            code.co_exceptiontable,
            *constants,
        )

    def of_class(self, kind: type) -> bytes:
        """Return the digest of a class."""
        if is_library(kind.__module__):
            return mixed("library", self.home(kind), kind.__qualname__)
        if not self.functions:
            return mixed("class", kind.__qualname__)
        body = [(name, value) for name, value in sorted(vars(kind).items()) if name not in NOISE]
        slots = types.MemberDescriptorType, types.GetSetDescriptorType
        parts = [part for name, value in body if not isinstance(value, slots) for part in (name, self.of(value))]
        return mixed("class", kind.__qualname__, *map(self.of, kind.__bases__), *parts)

    def of_object(self, value: Any) -> bytes:
        """Return the digest of an object: of its class, and of what pickle would keep of it."""
        kind = type(value)
        if isinstance(value, (*BLANK, logging.Logger)) or any(value is one for one in (sys.stdout, sys.stderr)):
            return mixed("blank", kind.__qualname__)
        if kind.__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):  # its pickles tell addresses
            return mixed("tensor", str(value.dtype), self.of(value.detach().cpu().float().numpy()))
        if isinstance(value, Site):
            return b""
        own = self.of(kind)
        wrapped = getattr(value, "__wrapped__", None)  # a function that remembers its results, say
        own += b"" if wrapped is None else self.of(wrapped)
        stated = getattr(kind, "__codeprint__", None)
        if stated is not None:
            return mixed("stated", own, self.of(stated(value)))
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001  whatever a class raises that cannot be pickled
            raise Unprintable(short(value)) from None
        if isinstance(reduced, str):
            return mixed("global", own, reduced)
        call, arguments, *more = reduced
        state, entries, pairs = (*more, None, None, None)[:3]
        if state is None and dataclasses.is_dataclass(value):
            state = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        parts = [self.of(call), self.of(arguments), self.of(state)]
        parts += [self.of(list(entries or ())), self.of(list(pairs or ()))]
        return mixed("object", own, *parts)

    def home(self, value: Any) -> str:
        """Return the module that something is of, with the version of its library."""
        return f"{value.__module__} {self.version(value.__module__ or 'builtins')}"

    @staticmethod
    def version(name: str) -> str:
        """Return a library's name and version."""
        return version_of(name.partition(".")[0])


BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    np.ufunc,
)


def mixed(*parts: Any) -> bytes:
    """Return one digest of several texts, byte strings and plain values; where each ends counts, too."""
    done = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, (bytes, np.ndarray)) else str(part).encode(errors="surrogatepass")
        done.update(f"{len(data)}:".encode())
        done.update(data)  # type: ignore[arg-type]  # an array of bytes has a buffer
    return done.digest()


def names_of(code: types.CodeType) -> set[str]:
    """Return the names that a function's code, and that of the functions within it, may look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_of(constant)
    return found


@cache
def libraries() -> tuple[str, ...]:
    """Return the folders of what is installed."""
    import sysconfig

    return tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@cache
def is_library(name: str | None) -> bool:
    """Tell whether a module is installed, or Python's own, so that its version stands for its code."""
    if name is None or name == "__main__":
        return False
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == "penstock":
        return True
    module = sys.modules.get(name) or sys.modules.get(top)
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file is not None and os.path.abspath(file).startswith(libraries())


@cache
def version_of(top: str) -> str:
    """Return a top-level package's name and version."""
    if top in sys.stdlib_module_names or top == "builtins":
        return f"{top} {sys.version_info[:2]}"
    found = getattr(sys.modules.get(top), "__version__", None)
    if not isinstance(found, str):
        import importlib.metadata

        try:
            found = importlib.metadata.version(top)
        except importlib.metadata.PackageNotFoundError:
            found = ""
    return f"{top} {found}"
