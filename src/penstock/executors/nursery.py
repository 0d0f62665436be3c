"""The nursery: a small process that worker processes are forked from.

    trainer ══control══> nursery ──fork──> worker 0, worker 1, …
       ║                    ║
       ╚═════lifeline═══════╝   one per worker. From above: a signal to send, or EOF for "end it"; from below: its end

Forking the trainer would copy its threads' locks and its CUDA state in the middle of things, and starting each worker
as a new program would import NumPy in each. The nursery has one thread and has imported what workers need, so a fork of
it is safe and takes milliseconds. It is the standard library's forkserver with three differences: workers never import
the trainer's ``__main__`` (functions defined there travel by value), so a script needs no ``if __name__`` guard; it
reports how a worker ended; and it goes when it is no longer needed.

Rules of its shutdown, which the code must obey:

1. Nobody survives the trainer. The nursery watches the trainer's pidfd and each worker dies with the nursery
   (PR_SET_PDEATHSIG), so that even a worker stuck in a user's function goes when the trainer is killed.
2. Only the nursery signals workers: it is their parent, so their numbers cannot have been given to others.
3. It ends a second after the last session has closed: the next loader often comes at once.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from typing import Any, NamedTuple

from penstock.graph.context import teach_malloc

LINGER = 1.0  # seconds
ATTEMPTS = 5  # nurseries in a row that may be killed before they have taken a request
STATUS = struct.Struct("<i")
BOOT = os.path.join(os.path.dirname(__file__), "boot.py")
# One thread per worker for libraries that would otherwise start one per core in each; what the user has set, stays.
THREADS = (
    "OMP_NUM_THREADS",  # OpenMP, and with it PyTorch, MKL and most others
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "RAYON_NUM_THREADS",  # what is written in Rust: tokenizers, for one
    "POLARS_MAX_THREADS",
)
LARGEST = 1 << 18  # bytes of a request
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
PR_SET_PDEATHSIG = 1


class Nursery:
    """The trainer's side."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * LARGEST)
        environment = dict(os.environ)
        for name in THREADS:
            environment.setdefault(name, "1")
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001
        command = [sys.executable, *flags, "-P", BOOT, str(theirs.fileno()), str(os.getpid()), *search_path()]
        process = None
        # It is born with these blocked, and blocks them until it ignores them: a Ctrl-C while it starts is not for it.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
        try:
            try:
                process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment
                )
            finally:
                theirs.close()
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)  # a Ctrl-C of meanwhile comes here
        except BaseException:
            ours.close()
            if process is not None:
                process.wait()
            raise
        self.process = process

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is ours: a fork of the trainer must not use its parent's."""
        return self.owner == os.getpid() and self.process.poll() is None

    def fork(self, request: dict[str, Any], fds: list[int]) -> None:
        """Ask for a worker. ``fds[0]`` is the nursery's end of its lifeline, the rest goes to the worker."""
        request = request | {"cwd": here(), "path": search_path()}
        socket.send_fds(self.control, [pickle.dumps(request)], fds)

    def end(self) -> None:
        """End it and all that it has started; wait until it is gone."""
        self.control.close()
        if self.owner != os.getpid():
            return
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def search_path() -> list[str]:
    """Return where this process looks for modules, in a form that another one understands."""
    return [name for entry in sys.path if (name := os.fspath(entry) or here())]


def here() -> str:
    """Return the working directory; nothing where it has been removed, which stops no program either."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


class Registry:
    """The one nursery of this process, and how many sessions use it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.nursery: Nursery | None = None
        self.users = 0
        self.timer: threading.Timer | None = None

    def hire(self) -> Nursery:
        """Return the nursery, started if need be, and count a user."""
        with self.lock:
            self.stop_timer()
            self.users += 1
            return self.living()

    def living(self) -> Nursery:
        """Return the nursery; a dead one is replaced."""
        with self.lock:
            if self.nursery is not None and not self.nursery.alive:
                self.nursery.end()
                self.nursery = None
            if self.nursery is None:
                self.nursery = Nursery()
            return self.nursery

    def fork(self, request: dict[str, Any], fds: list[int]) -> None:
        """Ask the nursery for a worker; one that is just being killed, which takes it a moment, is replaced."""
        with self.lock:
            for _ in range(ATTEMPTS):
                try:
                    self.living().fork(request, fds)
                except ConnectionError as problem:
                    error = problem
                    if self.nursery is not None:
                        self.nursery.end()
                        self.nursery = None
                else:
                    return
            raise error

    def release(self) -> None:
        """Count a user less; after the last, the nursery goes in a moment."""
        with self.lock:
            self.users -= 1
            if self.users == 0 and self.nursery is not None and not sys.is_finalizing():
                self.stop_timer()
                self.timer = threading.Timer(LINGER, self.retire)
                self.timer.daemon = True
                self.timer.name = "penstock-linger"
                try:
                    self.timer.start()
                except RuntimeError:  # the interpreter is shutting down and starts no threads any more
                    self.retire()

    def retire(self) -> None:
        """End the nursery now, unless somebody uses it."""
        with self.lock:
            self.stop_timer()
            if self.users == 0 and self.nursery is not None:
                self.nursery.end()
                self.nursery = None

    def stop_timer(self) -> None:
        """Forget about going. The timer's thread ends by itself: it may be waiting for our lock, so no joining."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    def forget(self) -> None:
        """In a fork of the trainer: the nursery is the parent's."""
        self.lock = threading.RLock()
        if self.nursery is not None:
            self.nursery.control.close()
        self.nursery, self.users, self.timer = None, 0, None


registry = Registry()
retire = registry.retire
atexit.register(retire)
os.register_at_fork(after_in_child=registry.forget)


# ---- the nursery's own process ----------------------------------------------------------------------------------


class Child(NamedTuple):
    """A worker, as its parent knows it."""

    pid: int
    pidfd: int
    lifeline: socket.socket


def serve(control_fd: int, trainer: int) -> None:
    """Fork workers on request until the trainer closes the control socket or dies. The body of the nursery."""
    from penstock.executors import worker

    gc.freeze()  # nor will workers look there, which would copy the memory that they share
    gc.enable()
    leave_signals()
    teach_malloc()
    control = socket.socket(fileno=control_fd)
    control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * LARGEST)
    children: dict[int, Child] = {}  # by both of their descriptors
    watch = select.epoll()
    watched = pidfd_of_parent(trainer)
    watch.register(watched, select.EPOLLIN)
    watch.register(control, select.EPOLLIN)
    while True:
        # Requests come last: a worker that is forked now must not inherit what another event is about to close.
        for fd in sorted((fd for fd, _ in watch.poll()), key=lambda fd: fd == control.fileno()):
            if fd == watched:
                end_all(children)
            elif fd == control.fileno():
                message, fds, _, _ = socket.recv_fds(control, LARGEST, 16)
                if not message:
                    end_all(children)
                inherited = [watched, watch.fileno(), control.fileno(), *children]
                child = fork(worker.main, message, fds, inherited)
                for known in (child.pidfd, child.lifeline.fileno()):
                    children[known] = child
                    watch.register(known, select.EPOLLIN)
            elif fd in children and fd == children[fd].pidfd:
                bury(children[fd], children, watch)
                from penstock.graph import generators  # noqa: F401  who comes in its place has that at once
            elif fd in children:
                number = children[fd].lifeline.recv(1)
                if not number:
                    watch.unregister(fd)  # the trainer wants it gone; its pidfd will say when it is
                os.kill(children[fd].pid, number[0] if number else signal.SIGKILL)


def pidfd_of_parent(trainer: int) -> int:
    """Return a descriptor that becomes readable when the trainer ends; end at once if it already has."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(trainer)
        if os.getppid() == trainer:
            return fd
    os._exit(0)


def leave_signals() -> None:
    """Ignore what is sent to the whole group, Ctrl-C first of all: it is for the trainer to decide about."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)


def fork(body: Any, message: bytes, fds: list[int], inherited: list[int]) -> Child:
    """Fork a worker; the parent keeps the lifeline and nothing else."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for fd in [*inherited, fds[0]]:
                os.close(fd)
            body(pickle.loads(message), fds[1:])  # noqa: S301  from the trainer that started us
            code = 0
        except BaseException:  # noqa: BLE001  a fork must never return into its parent's code
            sys.excepthook(*sys.exc_info())
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # nobody may be listening any more
                    stream.flush()
            os._exit(code)
    for fd in fds[1:]:
        os.close(fd)
    return Child(pid, os.pidfd_open(pid), socket.socket(fileno=fds[0]))


def bury(child: Child, children: dict[int, Child], watch: select.epoll) -> None:
    """Reap a worker and tell the trainer how it ended."""
    _, status = os.waitpid(child.pid, 0)
    for fd in (child.pidfd, child.lifeline.fileno()):
        children.pop(fd, None)
        with contextlib.suppress(OSError):  # closing is not enough: a fork may still hold a copy for a moment
            watch.unregister(fd)
    with contextlib.suppress(OSError):  # the trainer may have gone, or no longer care
        child.lifeline.send(STATUS.pack(os.waitstatus_to_exitcode(status)), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    os.close(child.pidfd)
    child.lifeline.close()


def end_all(children: dict[int, Child]) -> None:
    """End every worker, then this process."""
    for child in set(children.values()):
        os.kill(child.pid, signal.SIGKILL)
    for child in set(children.values()):
        os.waitpid(child.pid, 0)
    os._exit(0)
