"""Processes that live and die with `tiendo up`.

Invariant: none of them outlives this process, however it ends, and none gets the terminal's Ctrl-C: they are told to stop
in order. Of several alike the names are `catalog-1`, `catalog-2`: they are of one kind.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 9.0
_STEP_SECONDS = 2.5
_POLL_SECONDS = 0.02
# A program of its own, not a function that runs between fork and exec: this process has threads, gRPC's among them.
_ENDING_WITH_US = """\
import ctypes, os, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sys.argv[1]))
if os.getppid() == int(sys.argv[2]):
    os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True, slots=True)
class Child:
    """One running part and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    command: Sequence[str]
    environ: Mapping[str, str]
    stop_signal: signal.Signals

    def last_lines(self, count: int = 15) -> list[str]:
        """Give the end of its log."""
        with contextlib.suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return []


class EndedError(Exception):
    """A part ended by itself."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.name)
        self.child = child


def kind_of(name: str) -> str:
    """Give what a part is one of: `catalog` of `catalog-2`."""
    return name.partition("-")[0]


def ending_with_us(command: Sequence[str], stop_signal: signal.Signals = signal.SIGTERM) -> list[str]:
    """Give a command that is told to stop once the thread which starts it is gone; only Linux knows how."""
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _ENDING_WITH_US, str(int(stop_signal)), str(os.getpid()), *command]


class Children:
    """Starts the parts, notices one that ends, and stops all of them in order."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        self._logs, self._environ = logs, dict(environ)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: list[Child] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        log_name: str = "",
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """Start a part, with further settings and the signal that stops it.

        Its output goes to its log, and the log of the start before is kept beside it. Call it from the main thread: the
        part ends with the thread that started it.
        """
        log = self._logs / f"{log_name or name}.log"
        with contextlib.suppress(FileNotFoundError):
            log.replace(log.with_suffix(".log.1"))
        return self._spawn(name, command, log, environ or {}, stop_signal)

    def restart(self, child: Child) -> Child:
        """Start one again that ended and was forgotten; its log goes on."""
        return self._spawn(child.name, child.command, child.log, child.environ, child.stop_signal)

    def _spawn(
        self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str], stop_signal: signal.Signals
    ) -> Child:
        with log.open("ab") as output:
            process = subprocess.Popen(
                ending_with_us(command, stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environ, **environ},
                start_new_session=True,
            )
        child = Child(name, process, log, command, environ, stop_signal)
        self._running.append(child)
        return child

    def forget(self, child: Child) -> None:
        """Expect the end of one that had a task to finish."""
        self._running.remove(child)

    @property
    def running(self) -> list[Child]:
        """Those that were started and neither forgotten nor stopped."""
        return list(self._running)

    def ended(self) -> Child | None:
        """Give one that ended by itself."""
        return next((child for child in self._running if child.process.poll() is not None), None)

    def stop(self, order: Sequence[str]) -> None:
        """Stop all, one kind after the other in `order`, within STOP_SECONDS; what is left then is killed."""
        deadline = time.monotonic() + STOP_SECONDS
        places = {kind: place for place, kind in enumerate(order)}
        for place in range(-1, len(order)):
            group = [child for child in self._running if places.get(kind_of(child.name), -1) == place]
            step_deadline = min(deadline, time.monotonic() + _STEP_SECONDS)
            for child in group:
                if child.process.poll() is None:
                    child.process.send_signal(child.stop_signal)
            for child in group:
                _wait(child, step_deadline)
        for child in self._running:
            _wait(child, deadline)
        for child in self._running:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()
        self._running.clear()


def _wait(child: Child, deadline: float) -> None:
    while child.process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
