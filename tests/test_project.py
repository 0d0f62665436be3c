"""The project itself: the public names, what is shipped, why each dependency is there, and the guard against leaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import types
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import penstock

if TYPE_CHECKING:
    from conftest import RunScript

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# ------------------------------------------------------------------------------------------------- public names


def test_public_names_are_sorted_and_unique():
    """The list of public names can be read: sorted, each once, so that two changes to it meet in one place."""
    assert list(penstock.__all__) == sorted(set(penstock.__all__))


@pytest.mark.parametrize("name", penstock.__all__)
def test_public_name_can_be_used(name):
    """Each promised name is there, is ours or a plain value, and was not replaced by the submodule of the same name."""
    assert not isinstance(getattr(penstock, name), types.ModuleType)


def test_nothing_public_is_unlisted(script: RunScript):
    """What tab completion offers after `import penstock`, in a fresh process, is the list, apart from submodules."""
    run = script("""
        import json, types, penstock
        print(json.dumps([n for n, v in vars(penstock).items() if not isinstance(v, types.ModuleType)]))
    """)
    assert run.returncode == 0, run.stderr
    offered = {name for name in json.loads(run.stdout) if not name.startswith("_")}
    assert offered == {name for name in penstock.__all__ if not name.startswith("_")}


# ----------------------------------------------------------------------------------------------- what is shipped


def test_wheel_carries_the_whole_package(tmp_path):
    """The wheel has every module, the marker that says the types are meant for users, and the licence."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert modules | {"penstock/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_dependency_says_why():
    """Beside each dependency, on its own line, stands the reason for it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    wanted = [*PROJECT["dependencies"], *(d for extra in PROJECT["optional-dependencies"].values() for d in extra)]
    for dependency in wanted:
        beside = [line.strip() for line in lines if line.strip().startswith(f'"{dependency}"')]
        assert beside, f"{dependency} does not stand on a line of its own"
        for line in beside:
            assert re.fullmatch(r'"[^"]+",  # \S.{10,}', line), f"{dependency} has no reason beside it"


# ----------------------------------------------------------------------------------------------- the leak guard

# Each is a test that leaves one thing behind. All of it ends with the pytest that runs it.
LEAKS = {
    "thread": """
        import threading
        def test_it():
            threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
    """,
    "process": """
        import subprocess, sys
        kept = []
        def test_it():
            # Ends when its standard input does, that is with its parent.
            kept.append(subprocess.Popen([sys.executable, "-c", "input('forgotten')"], stdin=-1, stdout=-3, stderr=-3))
    """,
    "orphan": """
        import os, subprocess, sys
        read, write = os.pipe()
        def test_it():
            # The child ends at once and leaves a grandchild behind, which ends when the pipe's other end does.
            again = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input(1234)'])"
            subprocess.run([sys.executable, "-c", again], stdin=read, stdout=-3, stderr=-3, check=True)
    """,
    "descriptor": """
        import os
        def test_it(tmp_path):
            os.open(tmp_path / "forgotten", os.O_CREAT)
    """,
    "pipe": """
        import os
        def test_it():
            os.pipe()
    """,
    "mapping": """
        import mmap, os
        kept = []
        def test_it():
            memory = os.memfd_create("penstock-forgotten")
            os.truncate(memory, 4096)
            kept.append(mmap.mmap(memory, 4096))
            os.close(memory)
    """,
}
NAMED = {
    "thread": "thread 'forgotten', daemon",
    "process": r"process \d+: .*forgotten",
    "orphan": r"process \d+: .*1234",
    "descriptor": r"descriptor \d+: .*/forgotten",
    "pipe": r"descriptor \d+: pipe:",
    "mapping": "shared memory, mapped .* times and .* before: /memfd:penstock-forgotten",
}
CLEAN = """
    import asyncio, multiprocessing, os, secrets, subprocess, sys, tempfile, threading, weakref
    import pytest

    def test_everything_closed(tmp_path, capfd):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        threading.Thread(target=print).start()
        with tempfile.TemporaryFile() as file, open(tmp_path / "a", "w") as other:
            file.write(secrets.token_bytes(8))
        asyncio.run(asyncio.sleep(0))
        process = multiprocessing.get_context("spawn").Process(target=print)  # brings the standard library's tracker
        process.start(), process.join()

    def test_late(tmp_path):
        '''A thread that ends a moment after the test.'''
        threading.Timer(0.2, print).start()

    def test_cycle(tmp_path):
        '''What only the garbage collector can close is closed before the verdict.'''
        class Holder:
            pass
        holder = Holder()
        holder.itself, fd = holder, os.open(tmp_path / "a", os.O_CREAT)
        weakref.finalize(holder, os.close, fd)

    @pytest.fixture(scope="module")
    def shared():
        read, write = os.pipe()
        yield read
        os.close(read), os.close(write)

    def test_module_fixture(shared):
        '''What a wider fixture holds is not the test's.'''

    @pytest.mark.leaks("to show that a test can be let off")
    def test_let_off():
        os.pipe()

    def test_after_it():
        '''An earlier test's leak is not blamed on this one.'''
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester):
    """Run files of tests in a pytest of their own, under the guard of this project with less patience."""
    guard = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    pytester.makeconftest(f"{guard}\nGRACE = 1.0\n")

    def run(**files: str) -> pytest.RunResult:
        pytester.makepyfile(**files)
        return pytester.runpytest_subprocess("--strict-markers", "--doctest-modules", timeout=50)

    return run


@pytest.mark.skipif(sys.platform != "linux", reason="the guard sees descriptors, mappings and orphans on Linux only")
def test_guard_names_each_kind_of_leak(guarded):
    """A test that leaves a thread, process, orphan, descriptor or mapping behind fails, and the left-over is named."""
    result = guarded(**{f"test_{kind}": source for kind, source in LEAKS.items()})
    result.assert_outcomes(passed=len(LEAKS), errors=len(LEAKS))
    for line in NAMED.values():
        result.stdout.re_match_lines([f".*{line}.*"])


def test_guard_lets_clean_tests_pass(guarded):
    """What is closed, late, collected, shared with other tests or excused does not fail a test."""
    guarded(test_clean=CLEAN).assert_outcomes(passed=6)


def test_guard_does_not_bury_a_failure(guarded):
    """A test that fails with something open shows its own failure and nothing else."""
    result = guarded(test_failing="def test_it():\n    import os\n    os.pipe()\n    assert 1 == 2")
    result.assert_outcomes(failed=1)


def test_guard_wants_a_reason(guarded):
    """A test cannot be let off without a reason."""
    result = guarded(test_mute="import pytest\n@pytest.mark.leaks\ndef test_it():\n    pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*wants a reason*"])


def test_guard_watches_examples_in_documents(guarded):
    """An example in a docstring that leaves something behind fails as a test would."""
    result = guarded(example='''"""An example.\n\n>>> import os\n>>> len(os.pipe())\n2\n"""''')
    result.assert_outcomes(passed=1, errors=1)


def test_guard_ends_the_nursery_first(guarded):
    """Penstock's nursery, which lingers for the next loader on purpose, is ended before the guard looks."""
    result = guarded(
        test_nursery="""
            import os, sys, types
            def test_it():
                read, write = os.pipe()
                nursery = types.ModuleType("penstock.executors.nursery")
                nursery.retire = lambda: (os.close(read), os.close(write))
                sys.modules[nursery.__name__] = nursery
        """
    )
    result.assert_outcomes(passed=1)


def test_script_that_hangs_fails_with_its_stacks(guarded):
    """A script that never ends is killed with all that it started, and the failure shows where it stood."""
    result = guarded(
        test_hanging="""
            def test_it(script):
                script('''
                    import subprocess, sys, time
                    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
                    def stuck():
                        time.sleep(60)
                    stuck()
                ''', timeout=2)
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*took more than 2 s*", "*in stuck*"])


def test_script_gives_status_and_output(script: RunScript):
    """A script's exit status, output and added environment are what they would be in a shell."""
    run = script("import os, sys; print(os.environ['WORD']); sys.exit(3)", env={"WORD": "hello"})
    assert (run.returncode, run.stdout, run.stderr) == (3, "hello\n", "")
