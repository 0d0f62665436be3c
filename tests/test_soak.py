"""The soak itself: its rounds can be played, and a round that fails, hangs or leaves a process is told as such."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_one_round_of_some_kinds():
    """A short soak passes, and prints a line for each kind."""
    command = [
        sys.executable,
        "-m",
        "tests.soak",
        "--rounds",
        "1",
        "--sizes",
        "1024",
        "--only",
        "kill",
        "errors",
        "resume",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert done.stdout.endswith("all passed\n"), done.stdout + done.stderr
    assert done.stdout.count("1/1") == 3


def test_what_a_round_can_come_to():
    """A round that raises fails, one that never ends hangs, one that leaves a process says so; none is taken for passed."""
    source = f"""
        import os, subprocess, sys, time
        sys.path.insert(0, {str(ROOT)!r})
        import tests.soak.__main__ as soak
        soak.LIMIT, soak.GRACE = 3.0, 0.2
        real = subprocess.Popen
        def script(command, **options):
            return real([sys.executable, "-X", "faulthandler", "-c", body], **options)
        soak.subprocess.Popen = script
        for body in ("pass", "1 / 0", "print(1)", "import time; time.sleep(1000)",
                     "import subprocess as s; s.Popen(['sleep', '1000'], stdout=s.DEVNULL, stderr=s.DEVNULL)"):
            print(soak.play("kill", 1, 1).verdict)
    """
    lines = "\n".join(line[8:] for line in source.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=55, check=False)
    assert done.stdout.split() == ["pass", "fail", "fail", "hang", "left"], done.stderr
