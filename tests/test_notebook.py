"""Notebooks: functions and classes of cells reach worker processes, and a kernel's end is the workers' end.

Runs where jupyter_client and ipykernel are installed; nothing else of the project needs them.
"""

from __future__ import annotations

import queue
import time
from pathlib import Path

import pytest

manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")


class Notebook:
    """A kernel that cells are sent to."""

    def __init__(self) -> None:
        self.kernel = manager.KernelManager(kernel_name="python3")
        self.kernel.start_kernel(extra_arguments=["--IPKernelApp.log_level=ERROR"])
        self.connect()

    def connect(self) -> None:
        """Wait for the kernel."""
        self.client = self.kernel.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=40)

    def run(self, cell: str, *, interrupt_at: str = "") -> tuple[str, str]:
        """Run a cell; return what it printed and the name of its error. Interrupt it when it has printed a word."""
        request, text, error = self.client.execute(cell), "", ""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            text += content["text"] if kind == "stream" else ""
            error = content["ename"] if kind == "error" else error
            if kind == "status" and content["execution_state"] == "idle":
                return text, error
            if interrupt_at and interrupt_at in text:
                self.kernel.interrupt_kernel()
                interrupt_at = ""
        raise AssertionError(f"the cell did not end: {text}")

    def below(self) -> list[int]:
        """The nursery, where the kernel has one."""
        pid = self.kernel.provisioner.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.kernel.shutdown_kernel(now=True)
        self.kernel.cleanup_resources()


@pytest.fixture
def notebook():
    """A fresh kernel."""
    notebook = Notebook()
    yield notebook
    notebook.close()


def alive(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    """Wait until processes have ended; tell whether they have."""
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


@pytest.mark.leaks("the client's sockets are closed by its own garbage collection")
def test_a_session_at_a_notebook(notebook):
    """Cells that define, redefine, break, are interrupted and read on get the right items; a restart leaves no process."""
    define = "import time\nimport penstock as ps\nclass Thing:\n    def __init__(self, x): self.x = x\ndef f(x): return Thing(x * {})"
    load = "with ps.range(50).map(f).loader(workers=ps.Processes(2)) as loader: print(sum(t.x for t in loader), end='')"
    for factor in (2, 3):
        notebook.run(define.format(factor))
        assert notebook.run(load) == (str(factor * 1225), "")
    assert notebook.run("for thing in ps.range(50).map(f).loader(workers=ps.Processes(2)):\n    break") == ("", "")
    slow = "def slow(x):\n    time.sleep(0.02)\n    return x\nseen = []\nloader = ps.range(9999).map(slow).loader(workers=ps.Processes(2))\n"
    text, error = notebook.run(
        slow + "for x in loader:\n    seen.append(x); print('on', flush=True)", interrupt_at="on"
    )
    assert error == "KeyboardInterrupt", text
    read_on = "loader.load_state_dict(loader.state_dict()); print(next(iter(loader)) == len(seen), end='')"
    assert notebook.run(read_on) == ("True", "")
    pids = notebook.below()
    assert pids
    notebook.client.stop_channels()
    notebook.kernel.restart_kernel(now=True)
    notebook.connect()
    assert gone(pids)
    assert (
        notebook.run("import penstock as ps\nprint(list(ps.range(3).loader(workers=ps.Processes(1))), end='')")[0]
        == "[0, 1, 2]"
    )
