"""The whole of Tiendo as real processes on free ports: three services and a real broker, to be used, killed and started again."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import seeding
from services.cli.children import kind_of
from services.cli.client import connect
from services.client import Places
from services.common.broker import Broker
from services.common.config import ServiceSettings, Settings
from services.common.migrations import migrate_service
from services.common.stream_specs import ensure_stream, stream_specs
from tests.support.databases import journal_of
from tests.support.forked import Forked, run
from tests.support.nats import NatsServer
from tests.support.ports import free_port
from tests.support.production import Production
from tiendo.catalog.v1 import catalog_service_pb2_grpc
from tiendo.integration.v1 import integration_pb2, integration_service_pb2_grpc
from tiendo.status.v1 import events_pb2, status_service_pb2, status_service_pb2_grpc

SERVICES = ("catalog", "integration", "status")
ENGINES = ("embedded", "production")
_START_SECONDS = 30.0
_STAGES = [name.removeprefix("STAGE_") for name in integration_pb2.Stage.keys()[1:]]


class Stack:
    """Three services and their broker, in a folder of their own.

    As in production there are two replicas of each service, which share a port, on PostgreSQL and a cluster of brokers; both
    of these are shared by the stacks of a test process, one stack at a time.
    """

    def __init__(self, folder: Path, engine: str = "embedded") -> None:
        self.folder = folder
        self.nats = NatsServer()
        self.production = Production() if engine == "production" else None
        replicas = ("-1", "-2") if self.production else ("",)
        self.names = {service: [f"{service}{replica}" for replica in replicas] for service in SERVICES}
        """The processes of each service, by the names that `spawn`, `kill` and so on take."""
        self.ports = {service: free_port() for service in SERVICES}
        self.metrics_ports = {name: free_port() for names in self.names.values() for name in names}
        self.settings: dict[str, str] = {}
        """What a test sets besides."""
        self._processes: dict[str, Forked] = {}
        self._logged: dict[str, int] = {}
        self._channels: list[grpc.aio.Channel] = []

    @property
    def nats_url(self) -> str:
        """Where a client of the broker connects."""
        return self.production.cluster.url().split(",")[0] if self.production else self.nats.url

    @property
    def environ(self) -> dict[str, str]:
        """The settings of every part, on top of this process's environment."""
        settings = {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
        settings |= {
            "TIENDO_DATA_DIR": str(self.folder),
            "TIENDO_NATS_URL": self.nats.url,
            "TIENDO_LOG_FORMAT": "json",
            "TIENDO_COMPARE_SECONDS": "1",
            "TIENDO_STATUS_CALENDAR_SECONDS": "0.2",
            # What tests report is dated 2022: all of it would stall at once.
            "TIENDO_STATUS_STALLED_DAYS": ",".join(f"{stage}=3650" for stage in _STAGES),
            "TIENDO_TRACE_RATIO": "0",
            "TIENDO_STATUS_WEB_PORT": "",
            # No test asks a portal that it did not start itself.
            "TIENDO_INTEGRATION_PORTAL_CHECK_SECONDS": "0",
        }
        for service, port in self.ports.items():
            settings[f"TIENDO_{service.upper()}_PORT"] = str(port)
            settings[f"TIENDO_{service.upper()}_ADDRESS"] = f"127.0.0.1:{port}"
        return settings | (self.production.settings if self.production else {}) | self.settings

    def address(self, service: str) -> str:
        """Where a service listens."""
        return f"127.0.0.1:{self.ports[service]}"

    def places(self) -> Places:
        """Where a client finds the services."""
        return Places(**{service: self.address(service) for service in SERVICES})

    def log(self, service: str) -> str:
        """What a service, or one of its replicas, has logged so far, over all its starts."""
        files = [self.folder / f"{name}.log" for name in self.names.get(service, [service])]
        return "".join(file.read_text() for file in files if file.exists())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` with the stack's settings, to its end."""
        return run(*arguments, env=self.environ)

    async def start(self) -> None:
        """Migrate, make the streams, start everything, and wait until it serves."""
        if self.production:
            await self.production.start()
        else:
            await self.nats.start()
        for name in SERVICES:
            await asyncio.to_thread(self._migrate, name)
        await self.ensure_streams()
        for names in self.names.values():
            for name in names:
                self.spawn(name)
        for names in self.names.values():
            for name in names:
                await self.wait_serving(name)

    def _migrate(self, service: str) -> None:
        # Without a process of its own, which would take longer than all that it does.
        own = ServiceSettings(database_url=self.environ.get(f"TIENDO_{service.upper()}_DATABASE_URL", ""))
        migrate_service(service, Settings(data_dir=self.folder), own, journal_of(service))

    async def ensure_streams(self) -> None:
        """Make the streams that are missing, as `tiendo migrate` does."""
        if self.production:
            await self.production.cluster.make_streams()
            return
        broker = Broker(self.nats.url, name="test")
        broker.start()
        try:
            async with asyncio.timeout(10):
                await broker.wait_connected()
                for spec in stream_specs(max_bytes=256 * 1024 * 1024):
                    await ensure_stream(broker.client().jetstream(), spec)
        finally:
            await broker.close()

    def spawn(self, name: str) -> None:
        """Start a process of a service."""
        service = kind_of(name)
        environ = {f"TIENDO_{service.upper()}_METRICS_PORT": str(self.metrics_ports[name])} | self.environ
        log = self.folder / f"{name}.log"
        self._logged[name] = log.stat().st_size if log.exists() else 0
        self._processes[name] = Forked([f"services.{service}"], env=environ, log=log)

    async def wait_serving(self, name: str, part: str = "") -> None:
        """Return once the health of the process, or of one of its parts, is SERVING."""
        async with asyncio.timeout(_START_SECONDS), grpc.aio.insecure_channel(self.address(kind_of(name))) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while True:
                assert self._processes[name].poll() is None, f"{name} ended:\n{self.log(name)[-4000:]}"
                # Of two that share a port, who answers is for the system to choose: each one's log tells of itself.
                began = '"event": "serving"' in self.log(name)[self._logged[name] :]
                try:
                    reply = await stub.Check(health_pb2.HealthCheckRequest(service=part), timeout=1)
                    if began and reply.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.aio.AioRpcError:
                    pass
                await asyncio.sleep(0.02)

    def pin(self, name: str, core: int) -> None:
        """Keep a service's process, all its threads, on one core, for measuring; where the machine has that core."""
        if (os.cpu_count() or 1) > core:
            for thread in Path(f"/proc/{self._processes[name].pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})

    def freeze(self, name: str) -> None:
        """Let a service stand still with its connections open."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._processes[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a service as a crash would (kill -9)."""
        self._processes[name].send_signal(signal.SIGKILL)
        self._processes[name].wait()

    def terminate(self, name: str) -> Forked:
        """Ask a service to stop; wait for the process yourself."""
        self._processes[name].send_signal(signal.SIGTERM)
        return self._processes[name]

    def channel(self, service: str) -> grpc.aio.Channel:
        """A connection of its own to a service, to any of its replicas, that comes back quickly after a restart."""
        options = (
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.use_local_subchannel_pool", 1),
        )
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
        """Send the first programme, as `tiendo seed` does; give the revision that includes it.

        Returns once status counts it and has told that its target date has passed: what the clock makes is then behind.
        """
        settings = Settings(
            catalog_address=self.address("catalog"),
            integration_address=self.address("integration"),
            status_address=self.address("status"),
        )
        revisions = await asyncio.to_thread(lambda: seeding.send(connect(settings, "tests")))
        request = status_service_pb2.GetCompletionRequest(at_least=revisions)
        await self.status_stub.GetCompletion(request, timeout=10)
        passed = status_service_pb2.ListProgressEventsRequest(
            kinds=[events_pb2.PROGRESS_EVENT_KIND_PROGRAMME_TARGET_PASSED]
        )
        async with asyncio.timeout(10):
            while not (await self.status_stub.ListProgressEvents(passed, timeout=5)).events:
                await asyncio.sleep(0.05)
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
async def running_stack(engine: str = "embedded", *, seeded: bool = False, **settings: str) -> AsyncIterator[Stack]:
    """Start a stack, with further `TIENDO_…` settings, and end it after use."""
    with tempfile.TemporaryDirectory(prefix="tiendo-stack-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), engine)
        stack.settings = settings
        try:
            await stack.start()
            if seeded:
                await stack.seed()
            yield stack
        finally:
            await stack.stop()
