"""The whole of Tiendo as real processes on free ports: three services and a real broker, to be used, killed and started again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import seeding
from services.cli.client import Client
from services.common.broker import Broker, ensure_stream, stream_specs
from services.common.config import Settings
from tests.support.nats import NatsServer
from tiendo.catalog.v1 import catalog_service_pb2_grpc
from tiendo.integration.v1 import integration_service_pb2_grpc
from tiendo.status.v1 import status_service_pb2, status_service_pb2_grpc

SERVICES = ("catalog", "integration", "status")
_START_SECONDS = 30.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """Three services and their broker, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nats = NatsServer()
        self.ports = {service: free_port() for service in SERVICES}
        self.metrics_ports = {service: free_port() for service in SERVICES}
        self.settings: dict[str, str] = {}
        """What a test sets besides."""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._channels: list[grpc.aio.Channel] = []

    @property
    def environ(self) -> dict[str, str]:
        """The settings of every part, on top of this process's environment."""
        settings = {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
        settings |= {
            "TIENDO_DATA_DIR": str(self.folder),
            "TIENDO_NATS_URL": self.nats.url,
            "TIENDO_LOG_FORMAT": "json",
            "TIENDO_COMPARE_SECONDS": "1",
            "TIENDO_TRACE_RATIO": "0",
        }
        for service, port in self.ports.items():
            settings[f"TIENDO_{service.upper()}_PORT"] = str(port)
            settings[f"TIENDO_{service.upper()}_ADDRESS"] = f"127.0.0.1:{port}"
            settings[f"TIENDO_{service.upper()}_METRICS_PORT"] = str(self.metrics_ports[service])
        return settings | self.settings

    def address(self, service: str) -> str:
        """Where a service listens."""
        return f"127.0.0.1:{self.ports[service]}"

    def log(self, service: str) -> str:
        """What a service has logged so far, over all its starts."""
        file = self.folder / f"{service}.log"
        return file.read_text() if file.exists() else ""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` with the stack's settings, to its end."""
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)

    async def start(self) -> None:
        """Migrate, make the streams, start everything, and wait until it serves."""
        await self.nats.start()
        done = await asyncio.gather(*(asyncio.to_thread(self.run, f"services.{name}", "migrate") for name in SERVICES))
        for migration in done:
            assert migration.returncode == 0, migration.stderr
        await self.ensure_streams()
        for service in SERVICES:
            self.spawn(service)
        for service in SERVICES:
            await self.wait_serving(service)

    async def ensure_streams(self) -> None:
        """Make the streams that are missing, as `tiendo migrate` does."""
        broker = Broker(self.nats.url, name="test")
        broker.start()
        try:
            async with asyncio.timeout(10):
                await broker.wait_connected()
                for spec in stream_specs(max_bytes=256 * 1024 * 1024):
                    await ensure_stream(broker.client().jetstream(), spec)
        finally:
            await broker.close()

    def spawn(self, service: str) -> None:
        """Start a service's process."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def wait_serving(self, service: str, part: str = "") -> None:
        """Return once the health of the service, or of one of its parts, is SERVING."""
        async with asyncio.timeout(_START_SECONDS), grpc.aio.insecure_channel(self.address(service)) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while True:
                assert self._processes[service].poll() is None, f"{service} ended:\n{self.log(service)[-4000:]}"
                try:
                    reply = await stub.Check(health_pb2.HealthCheckRequest(service=part), timeout=1)
                    if reply.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.aio.AioRpcError:
                    pass
                await asyncio.sleep(0.02)

    def pin(self, service: str, core: int) -> None:
        """Keep a service's process, all its threads, on one core, for measuring; where the machine has that core."""
        if (os.cpu_count() or 1) > core:
            for thread in Path(f"/proc/{self._processes[service].pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})

    def freeze(self, service: str) -> None:
        """Let a service stand still with its connections open."""
        self._processes[service].send_signal(signal.SIGSTOP)

    def thaw(self, service: str) -> None:
        """Let it go on."""
        self._processes[service].send_signal(signal.SIGCONT)

    def kill(self, service: str) -> None:
        """End a service as a crash would (kill -9)."""
        self._processes[service].send_signal(signal.SIGKILL)
        self._processes[service].wait()

    def terminate(self, service: str) -> subprocess.Popen[bytes]:
        """Ask a service to stop; wait for the process yourself."""
        self._processes[service].send_signal(signal.SIGTERM)
        return self._processes[service]

    def channel(self, service: str) -> grpc.aio.Channel:
        """A connection to a service that comes back quickly after a restart."""
        options = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))
        channel = grpc.aio.insecure_channel(self.address(service), options=options)
        self._channels.append(channel)
        return channel

    @cached_property
    def catalog_stub(self) -> "catalog_service_pb2_grpc.CatalogServiceAsyncStub":
        """A client of the catalog."""
        return catalog_service_pb2_grpc.CatalogServiceStub(self.channel("catalog"))

    @cached_property
    def integration_stub(self) -> "integration_service_pb2_grpc.IntegrationServiceAsyncStub":
        """A client of integration."""
        return integration_service_pb2_grpc.IntegrationServiceStub(self.channel("integration"))

    @cached_property
    def status_stub(self) -> "status_service_pb2_grpc.StatusServiceAsyncStub":
        """A client of status."""
        return status_service_pb2_grpc.StatusServiceStub(self.channel("status"))

    async def seed(self) -> str:
        """Send the first programme, as `tiendo seed` does, until status counts it; give the revision that includes it."""
        settings = Settings(
            catalog_address=self.address("catalog"),
            integration_address=self.address("integration"),
            status_address=self.address("status"),
        )
        revisions = await asyncio.to_thread(lambda: seeding.send(Client(settings, "tests")))
        request = status_service_pb2.GetCompletionRequest(at_least=revisions)
        await self.status_stub.GetCompletion(request, timeout=10)
        return revisions[-1]

    async def stop(self) -> None:
        """End everything at once."""
        for channel in self._channels:
            await channel.close()
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self.nats.close()


@asynccontextmanager
async def running_stack(*, seeded: bool = False, **settings: str) -> AsyncIterator[Stack]:
    """Start a stack, with further `TIENDO_…` settings, and end it after use."""
    with tempfile.TemporaryDirectory(prefix="tiendo-stack-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        stack.settings = settings
        try:
            await stack.start()
            if seeded:
                await stack.seed()
            yield stack
        finally:
            await stack.stop()
