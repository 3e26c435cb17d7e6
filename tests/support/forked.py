"""`python -m …` for tests, as a fork of a process that has read the code already: each such start saves its reading.

Invariant: it is a process as any other, with its own session, environment, output and end; what a test sees differs in
nothing but the time it takes.
"""

import contextlib
import io
import multiprocessing
import multiprocessing.connection
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.read_ahead"])
# Whoever reads how a process ended must be alone: it is told once.
_ONE_AT_A_TIME = threading.Lock()


class Forked:
    """One process, to be used as a `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], *, env: Mapping[str, str], log: Path, errors: Path | None = None) -> None:
        """Start a module by its name, with arguments. What it prints is added to the log, its errors to theirs if told."""
        self.args = list(words)
        self._process = _CONTEXT.Process(
            target=_be,
            args=(self.args, dict(env), str(Path.cwd()), (os.devnull, str(log), str(errors or log))),
            daemon=True,  # one that a test left over keeps nobody from ending
        )
        with _ONE_AT_A_TIME:
            self._process.start()
        assert self._process.pid
        self.pid = self._process.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, the negative number of the signal that killed it, or None while it runs."""
        with _ONE_AT_A_TIME:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def run(*words: str, env: Mapping[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a module to its end, as `subprocess.run` with `text` does. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="tiendo-run-") as folder:
        log, errors = Path(folder) / "log", Path(folder) / "errors"
        process = Forked(words, env=env, log=log, errors=errors)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, code, log.read_text(), errors.read_text())


def _be(words: Sequence[str], env: Mapping[str, str], folder: str, files: tuple[str, str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    for number, path in enumerate(files):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "utf-8", "backslashreplace", line_buffering=True
    )
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv[1:] = words[1:]
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
