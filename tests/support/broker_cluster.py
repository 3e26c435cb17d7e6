"""Three real NATS servers with the configuration that is shipped: only ports and folders differ."""

import asyncio
import contextlib
import signal
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import nats
from nats.aio.client import Client

from services.cli.children import ending_with_us
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy" / "nats.conf"
USERS = ("admin", "catalog", "integration", "status", "operator", "reader")
_START_SECONDS = 30.0


def server_program() -> str:
    """The nats-server of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / "nats-server")


def secrets() -> dict[str, str]:
    """What the configuration takes from the environment, with passwords for tests."""
    return {f"NATS_{user.upper()}_PASSWORD": f"of-{user}" for user in (*USERS, "route")}


class BrokerCluster:
    """Three servers; ports and stores stay the same over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = [free_port() for _ in range(9)]
        self.ports, self._routes, self._monitors = ports[:3], ports[3:6], ports[6:]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def url(self, user: str) -> str:
        """The three servers, as TIENDO_NATS_URL names them, with a user's credentials."""
        return ",".join(f"nats://{user}:of-{user}@127.0.0.1:{port}" for port in self.ports)

    def spawn(self, number: int) -> None:
        """Start one of the servers; it ends with the tests, however these end."""
        command, environ = self._command(number)
        with self._log(number).open("ab") as log:
            self._processes[number] = subprocess.Popen(ending_with_us(command), env=environ, stdout=log, stderr=log)

    def _command(self, number: int) -> tuple[list[str], dict[str, str]]:
        routes = ", ".join(f"nats://route:of-route@127.0.0.1:{port}" for port in self._routes)
        name = f"nats-{number + 1}"
        environ = secrets() | {"HOSTNAME": name, "NATS_STORE": str(self._folder / name), "NATS_ROUTES": f"[{routes}]"}
        command = [server_program(), "-c", str(CONFIG), "-a", "127.0.0.1", "-p", str(self.ports[number])]
        command += ["--cluster_listen", f"nats://127.0.0.1:{self._routes[number]}", "-m", str(self._monitors[number])]
        return command, environ

    def kill(self, number: int) -> None:
        """End one as a crash would (kill -9)."""
        process = self._processes.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def log(self) -> str:
        """What all of them have said."""
        return "".join(self._log(number).read_text() for number in range(3) if self._log(number).exists())

    def _log(self, number: int) -> Path:
        return self._folder / f"nats-{number + 1}.log"

    async def start(self) -> None:
        """Start all three; return when they have chosen a leader."""
        for number in range(3):
            self.spawn(number)
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Return when they have a leader."""
        async with asyncio.timeout(_START_SECONDS):
            while not await self._ready():
                assert all(process.poll() is None for process in self._processes.values()), self.log()
                await asyncio.sleep(0.1)

    async def _ready(self) -> bool:
        try:
            async with self.connected("operator") as client:
                await client.jetstream().account_info()
        except (nats.errors.Error, nats.js.errors.Error, OSError):
            return False
        return True

    @contextlib.asynccontextmanager
    async def connected(self, user: str, complaints: list[str] | None = None) -> AsyncIterator[Client]:
        """A client with a user's credentials; what the servers refuse it is added to `complaints`."""

        async def complain(problem: Exception) -> None:
            if complaints is not None:
                complaints.append(str(problem))

        client = await nats.connect(
            self.url(user).split(","), error_cb=complain, connect_timeout=2, allow_reconnect=False
        )
        try:
            yield client
        finally:
            await client.close()

    def close(self) -> None:
        """End all of them."""
        for number in list(self._processes):
            self.kill(number)
