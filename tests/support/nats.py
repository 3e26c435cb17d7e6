"""A real nats-server with JetStream for tests: started on a free port, stopped, killed and started again in place."""

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from nats.js import JetStreamContext

from services.common.broker import Broker


class NatsServer:
    """One server with a store of its own; port and store stay the same over a restart."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tiendo-nats-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = -1

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def store(self) -> Path:
        """The JetStream folder."""
        return self._folder / "store"

    async def start(self, *, max_payload: int = 1 << 20) -> None:
        """Start it and return when it takes connections."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        config = self._folder / "nats.conf"
        config.write_text(f"max_payload: {max_payload}\njetstream {{ store_dir: '{self.store}' }}\n")
        program = Path(sysconfig.get_path("scripts")) / "nats-server"
        arguments = ["-c", str(config), "-a", "127.0.0.1", "-p", str(self._port), "--ports_file_dir", str(ports)]
        self._process = self._spawn([str(program), *arguments])
        async with asyncio.timeout(10):
            while self._process.poll() is None:
                for file in ports.glob("*.ports"):
                    with contextlib.suppress(ValueError):
                        self._port = int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
                        return
                await asyncio.sleep(0.01)
        raise AssertionError("nats-server ended at once")

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it stand still with its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its store."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None


@contextlib.asynccontextmanager
async def running_nats() -> AsyncIterator[NatsServer]:
    """Run a server for one test."""
    server = NatsServer()
    try:
        await server.start()
        yield server
    finally:
        server.close()


@contextlib.asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Broker]:
    """Keep a broker client connected to it."""
    broker = Broker(server.url, name="test", retry_seconds=(0.05, 0.2))
    broker.start()
    try:
        await asyncio.wait_for(broker.wait_connected(), 10)
        yield broker
    finally:
        await broker.close()


async def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Return when it holds; for what is done by another process or a task that tells nobody."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def jetstream(broker: Broker) -> JetStreamContext:
    """Return JetStream as any user of the library has it."""
    return broker.client().jetstream()
