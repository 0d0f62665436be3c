"""The command line as such: commands are found, mistakes are explained, errors are one line, the exit status is right."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import penstock as ps
from penstock import cli
from penstock.cli import main
from penstock.errors import StoreError


def test_every_command_has_what_it_needs(capsys):
    """Each file in the folder is a command with a first line, arguments and a function; --help shows them all."""
    assert {"convert", "draw", "inspect", "speed"} <= set(cli.commands())
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.commands():
        module = cli.command(name)
        assert module.__doc__.splitlines()[0].endswith(".")
        assert module.__doc__.splitlines()[0] in text
        assert callable(module.run)
        assert main([name, "--help"]) == 0
        assert f"usage: penstock {name}" in capsys.readouterr().out


def test_version(capsys):
    """The version is that of the package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"penstock {ps.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convet"], "Did you mean convert?"),
        (["xyzzy"], "There are: "),
        (["draw"], "dataset"),
        (["convert", "a", "b", "--verfy", "none"], "Did you mean --verify?"),
        (["convert", "a", "b", "--verify", "nome"], "nome"),
        (["speed", "a", "--workers", "0"], "from 1 on"),
        (["convert", "a", "b", "--read", "x"], "name=value"),
    ],
)
def test_wrong_calls(words, said, capsys):
    """Whoever mistypes a command or an option is told which was meant, and the status is 2."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert not out


def test_nothing_said(capsys):
    """Without a command, there is help, and the status says that nothing was done."""
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


@pytest.fixture
def broken(monkeypatch):
    """Let a command end in an error."""

    def install(error):
        def run(options):
            raise error

        monkeypatch.setattr(cli.command("draw"), "run", run)

    return install


def test_errors_are_a_line(broken, capsys):
    """Our errors and the system's say their text; others their type as well; --debug shows where it was."""
    broken(StoreError("x.lmdb is truncated"))
    assert main(["draw", "x"]) == 1
    assert capsys.readouterr().err == "penstock: x.lmdb is truncated\n"
    error = KeyError("label")
    error.add_note("penstock: item 3 of map(decode), epoch 0")
    broken(error)
    assert main(["draw", "x"]) == 1
    text = capsys.readouterr().err
    assert "KeyError: 'label'" in text
    assert "item 3 of map(decode)" in text
    assert "--debug" in text
    assert main(["draw", "x", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    broken(KeyboardInterrupt())
    assert main(["draw", "x"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_targets(tmp_path, monkeypatch, capsys):
    """A dataset is found in a module, a file or a store, and may be what a function returns."""
    (tmp_path / "penstock_cli_target.py").write_text(
        "import penstock as ps\nnumbers = ps.range(5)\ndef made():\n    return numbers.batch(2)\nclass A:\n    inner = numbers\nx = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for target, said in (
        ("penstock_cli_target.py:numbers", "range(5)"),
        ("penstock_cli_target:made", "batch(2)"),
        ("penstock_cli_target:A.inner", "range(5)"),
    ):
        assert main(["draw", target]) == 0
        assert said in capsys.readouterr().out
    ps.range(3).save("a.lmdb")
    assert main(["draw", "a.lmdb"]) == 0
    assert "open('a.lmdb')" in capsys.readouterr().out
    for target, said in (
        ("penstock_cli_target:nothing", "There are: "),
        ("penstock_cli_nowhere:x", "no module"),
        ("penstock_cli_nowhere.py", "say which dataset of it, as in penstock_cli_nowhere.py:dataset"),
        ("penstock_cli_target:x", "int"),
        ("nowhere.py:x", "no file"),
        ("nowhere.lmdb", "no such file"),
    ):
        assert main(["draw", target]) == 1
        assert said in capsys.readouterr().err
    sys.modules.pop("penstock_cli_target", None)


def test_speed(tmp_path, monkeypatch, capsys):
    """The speed of a store is printed, with its steps."""
    monkeypatch.chdir(tmp_path)
    ps.range(30).save("a.lmdb")
    assert main(["speed", "a.lmdb", "--count", "5", "--batch", "3", "--threads", "2"]) == 0
    text = capsys.readouterr().out
    assert "Threads(count=2)" in text
    assert "5 batches in" in text


def test_the_installed_command_is_this():
    """The script that an installation makes is the function that these tests call."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"penstock": f"{main.__module__}:{main.__name__}"}


def test_as_a_program(tmp_path):
    """`python -m penstock` is the command line; who stops reading its output is no error to talk about."""
    run = [sys.executable, "-m", "penstock"]
    done = subprocess.run([*run, "--version"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"penstock {ps.__version__}\n")
    ps.range(300).save(str(tmp_path / "a.lmdb"))
    with subprocess.Popen(
        [*run, "inspect", "a.lmdb", "--show", "300"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert b"Traceback" not in error
    assert b"Exception ignored" not in error
