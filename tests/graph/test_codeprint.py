"""Codeprint: the same key for the same description in every process; another one for any change that matters."""

from __future__ import annotations

import functools
import importlib.util
import logging
import re
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError
from penstock.graph.codeprint import description_key

logger = logging.getLogger("x")
lock = threading.Lock()


def key(function):
    """Return the key of a map of a function."""
    return description_key(ps.range(4).map(function).node)


def load(tmp_path, source, name="written"):
    """Import a module that is written here, as a user's own."""
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


BASE = """
import math
import numpy as np
TABLE = {"a": [1, 2], "b": {3, "x", (4, 5)}}
ARRAY = np.arange(6).reshape(2, 3)

class Base:
    scale = 2
    def scaled(self, x):
        return x * self.scale

class Decoder(Base):
    '''Decodes.'''
    def __init__(self, k):
        self.k = k
    @property
    def twice(self):
        return self.k * 2
    @staticmethod
    def plain(x):
        return x
    def __call__(self, x):
        return self.scaled(x) + self.twice + helper(x)

def helper(x, more=(1, 2), *, kind="a"):
    return x + len(TABLE[kind]) + recursive(x % 3) + sum(v for v in more)

def recursive(n):
    return 0 if n <= 0 else other(n - 1)

def other(n):
    return recursive(n)

def decode(x):
    # a comment
    def inner(y):
        return math.sqrt(y) + 1.5
    return inner(helper(x)) + ARRAY.sum()

def make(k):
    return lambda x: decode(x) * k

function = make(7)
decoder = Decoder(3)
"""

CHANGES = [
    ("math.sqrt(y) + 1.5", "math.sqrt(y) + 1.25"),
    ("math.sqrt(y)", "math.exp(y)"),
    ("[1, 2]", "[1, 3]"),
    ("(4, 5)", "(4, 6)"),
    ("np.arange(6)", "np.arange(1, 7)"),
    ("reshape(2, 3)", "reshape(3, 2)"),
    ("more=(1, 2)", "more=(1, 3)"),
    ('kind="a"', 'kind="b"'),
    ("return 0 if n <= 0", "return 1 if n <= 0"),
    ("decode(x) * k", "decode(x) + k"),
    ("make(7)", "make(8)"),
]
CLASS_CHANGES = [
    ("scale = 2", "scale = 3"),
    ("return x * self.scale", "return self.scale"),
    ("self.k * 2", "self.k * 3"),
    ("Decoder(3)", "Decoder(4)"),
    ("class Decoder(Base)", "class Decoder(Base, dict)"),
    ("def plain(x):\n        return x", "def plain(x):\n        return -x"),
    ("x + len(TABLE", "x - len(TABLE"),
]


def test_what_does_not_matter(tmp_path):
    """Comments, empty lines, places in a file, the file's name, and unused names change nothing."""
    first = load(tmp_path, BASE)
    changed = "\n\n# more\nUNUSED = 3\n" + BASE.replace("# a comment", "# another\n")
    second = load(tmp_path, changed, "elsewhere")
    assert key(first.function) == key(second.function)
    assert key(first.decoder) == key(second.decoder)


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_any_change_that_a_function_can_reach(tmp_path, old, new):
    """Constants, helpers of helpers, defaults, closures, global values: each makes another key."""
    assert BASE.count(old) >= 1
    first, second = load(tmp_path, BASE), load(tmp_path, BASE.replace(old, new, 1))
    assert key(first.function) != key(second.function)


@pytest.mark.parametrize(("old", "new"), CLASS_CHANGES)
def test_any_change_of_a_class_or_an_object(tmp_path, old, new):
    """Methods, properties, class attributes, base classes, the object's own state."""
    assert BASE.count(old) == 1
    first, second = load(tmp_path, BASE), load(tmp_path, BASE.replace(old, new, 1))
    assert key(first.decoder) != key(second.decoder)


def test_modules_of_the_user(tmp_path):
    """A function of another module of the user's is followed, by attribute and by import within a function."""
    keys = []
    for constant in (1, 1, 2):
        helpers = load(tmp_path, f"K = {constant}\ndef f(x):\n    return x + K\n", "helpers_of_mine")
        user = load(tmp_path, "import helpers_of_mine as h\ndef g(x):\n    return h.f(x)\n", "user_of_mine")
        late = load(
            tmp_path, "def g(x):\n    import helpers_of_mine\n    return helpers_of_mine.f(x)\n", "late_of_mine"
        )
        del helpers
        keys.append((key(user.g), key(late.g)))
    assert keys[0] == keys[1]
    assert keys[0][0] != keys[2][0]
    assert keys[0][1] != keys[2][1]


def test_wrapped_functions(tmp_path):
    """Partial, remembered, decorated and bound functions are looked through."""

    def variants(constant):
        m = load(tmp_path, f"def f(x, y=0):\n    return x + {constant}\n")

        @functools.wraps(m.f)
        def wrapped(x):
            return m.f(x)

        return [
            functools.partial(m.f, y=1),
            functools.lru_cache(m.f),
            wrapped,
            types.MethodType(m.f, 3),
            ps.Compose(m.f, m.f),
            np.vectorize(m.f),
        ]

    for same, again, other in zip(variants(1), variants(1), variants(2), strict=True):
        assert key(same) == key(again), same
        assert key(same) != key(other), same
    assert key(functools.partial(len)) != key(functools.partial(max))
    assert key([1, 2].count) != key([1, 3].count)


def test_sources_count():
    """Another source, order of steps, length or option is another description; paths of stores are not."""
    f = int
    descriptions = [
        ps.range(4).map(f),
        ps.range(5).map(f),
        ps.range(4).map(f).map(f),
        ps.range(4).batch(2).map(f),
        ps.range(4).batch(2, last="drop").map(f),
        ps.items([1, 2, 3, 4]).map(f),
        ps.items([1, 2, 3, (4,)]).map(f),
        ps.arrays(np.arange(4)).map(f),
        ps.arrays(np.arange(4.0)).map(f),
        ps.arrays(np.arange(4).reshape(4, 1)).map(f),
        ps.range(4).map(str),
        ps.zip(ps.range(4), ps.range(4)),
        ps.concat(ps.range(4), ps.range(4)),
    ]
    keys = [description_key(d.node) for d in descriptions]
    assert len(set(keys)) == len(keys)
    assert keys == [description_key(d.node) for d in descriptions]


def test_stores_are_known_by_content(tmp_path):
    """A store that was moved is the same, one that was replaced is another."""
    ps.range(5).save(tmp_path / "a.npy")
    first = description_key(ps.open(tmp_path / "a.npy").node)
    (tmp_path / "a.npy").rename(tmp_path / "b.npy")
    moved = ps.open(tmp_path / "b.npy").node
    assert description_key(moved) == first
    ps.range(6).save(tmp_path / "a.npy")
    assert description_key(ps.open(tmp_path / "a.npy").node) != first


def test_what_cannot_be_told(tmp_path):
    """Locks and loggers say nothing; what holds a state that nobody can see is refused, and ``key`` helps."""

    def harmless(x):
        with lock:
            logger.info("x")
        return re.compile("a").match(str(x))

    assert key(harmless) == key(harmless)
    stuck = (x for x in range(3))
    dataset = ps.range(3).map(lambda x: next(stuck))
    with pytest.raises(ArgumentTypeError, match=r"(?s)map\(lambda\).*generator.*key="):
        description_key(dataset.node)
    assert description_key(dataset.node, "v1") != description_key(dataset.node, "v2")


def test_tensors_and_datasets():
    """A tensor counts by its values, a dataset that a function holds by its steps, also where it holds that function."""
    first, other = ps.range(3).map(lambda x: x + 1), ps.range(3).map(lambda x: x + 2)
    assert key(lambda x: first[x]) != key(lambda x: other[x])
    held = []
    assert key(lambda x: held[0][x]) == key(lambda x: held[0][x])
    held.append(ps.range(3).map(lambda x: len(held)))
    assert description_key(held[0].node) == description_key(held[0].node)
    torch = pytest.importorskip("torch")
    keys = [key(functools.partial(torch.add, torch.tensor(values))) for values in ([1.0, 2.0], [1.0, 2.0], [1.0, 3.0])]
    assert keys[0] == keys[1] != keys[2]


def test_a_key_stands_for_the_code():
    """With a key, other code has the same key; other settings have not."""
    first, second = ps.range(3).map(lambda x: x), ps.range(3).map(lambda x: x + 1)
    assert description_key(first.node, "v1") == description_key(second.node, "v1")
    assert description_key(first.node, "v1") != description_key(ps.range(4).map(lambda x: x).node, "v1")


def test_the_same_in_every_process(tmp_path):
    """Orders of sets and addresses in memory have no part in it."""
    script = tmp_path / "s.py"
    script.write_text(
        BASE + "import penstock as ps\nfrom penstock.graph.codeprint import description_key\n"
        "print(description_key(ps.range(3).map(function).map(decoder).node))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
