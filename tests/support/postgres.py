"""A real PostgreSQL for tests, the one that `tiendo up --engine production` runs.

It is started once a test process, and may be killed and started again in place.
"""

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from services.cli.children import ending_with_us
from services.cli.postgres import STOP_SIGNAL, Postgres, PostgresFailedError, PostgresMissingError

_START_SECONDS = 60.0
_MEMORY_BYTES = 8 << 30
# Only a machine that loses its power tells the difference, and no test does that to it.
_UNSYNCED = ("-c", "fsync=off")


class PostgresServer:
    """One server; its folder stays the same over a restart. Raises PostgresMissingError."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "postgres.log"
        self._postgres = Postgres(folder)
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it."""
        self._postgres.prepare()
        with self._log.open("ab") as log:
            command = ending_with_us([*self._postgres.command, *_UNSYNCED], STOP_SIGNAL)
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def start(self) -> None:
        """Start it and return when it takes connections, again where processes of a killed one still held its memory."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._postgres.ready():
            assert time.monotonic() < deadline, self._log.read_text()[-4000:]
            if self._process is None or self._process.poll() is not None:
                self.spawn()
            time.sleep(0.05)

    async def restart(self) -> None:
        """Start a killed one again, as `start` does, while the event loop goes on."""
        async with asyncio.timeout(_START_SECONDS):
            while not self._postgres.ready():
                if self._process is None or self._process.poll() is not None:
                    self.spawn()
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(STOP_SIGNAL)

    def end(self) -> None:
        """End it at once, for good: nothing is written out, and its shared memory is given back."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def make(self, *names: str) -> list[str]:
        """Make databases; give their URLs."""
        self._postgres.make(names)
        return [self._postgres.url(name) for name in names]

    def admin_url(self) -> str:
        """The URL for whoever may do everything."""
        return self._postgres.url("postgres")


def _memory() -> str | None:
    """Give a folder in memory where the machine has plenty: hundreds of databases are made, and written whole each time."""
    folder = "/dev/shm"
    roomy = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _MEMORY_BYTES
    return folder if roomy else None


def _remove_with_us(folder: Path) -> Callable[[], object]:
    """Give what removes a folder at the end of this process, which is removed as well should that end come by a kill -9."""
    # A server that is about to end may still be writing there.
    command = ["sh", "-c", 'read _; rm -rf "$0" || { sleep 2; rm -rf "$0"; }', str(folder)]
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    return waiting.communicate


@cache
def shared_postgres() -> PostgresServer:
    """Start one, once a process; it ends with it. A missing part skips on a laptop and fails in CI."""
    folder = Path(tempfile.mkdtemp(prefix="tiendo-pg-", dir=_memory()))
    try:
        server = PostgresServer(folder)
        server.start()
    except (PostgresMissingError, PostgresFailedError) as failure:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {failure}")
    atexit.register(_remove_with_us(folder))
    atexit.register(server.end)
    return server
