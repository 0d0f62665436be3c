"""The command that serves: the scenario of two terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import penstock as ps

MODULE = """
import penstock as ps
dataset = ps.range(20).batch(3)
"""


def test_two_terminals(tmp_path):
    """A server in one process, a loop in another: everything comes; SIGTERM ends the server in good order."""
    (tmp_path / "train.py").write_text(MODULE)
    place = f"ipc://{tmp_path}/batches"
    command = [sys.executable, "-m", "penstock", "serve", "train:dataset", "--bind", place, "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "serving" in process.stdout.readline()
            assert sum(len(batch) for batch in ps.connect(place, timeout=20)) == 20
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert not os.path.exists(f"{tmp_path}/batches")


def test_a_signal_while_a_server_is_waited_for(script):
    """An exception from a signal's handler leaves a server that is closed in good order: its thread is waited for."""
    done = script("""
        import os, signal, threading
        import penstock as ps

        def ended(*_):
            raise SystemExit(3)

        signal.signal(signal.SIGTERM, ended)
        server = ps.serve(ps.range(10), "tcp://127.0.0.1:*")
        waiting = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
        waiting.start()
        try:
            server.wait()
        except SystemExit:
            print(server)
        server.close()
        print(server)
    """)
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.splitlines()
    assert "closed" not in before
    assert "closed" in after
