"""What a stack stands on in production: PostgreSQL and three NATS servers, as `tiendo up --engine production` starts them.

Both are started once a test process and end with it; they may be killed and started again in place.
"""

import asyncio
import atexit
import os
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path

import nats.errors
from nats.js.errors import APIError, NotFoundError

from services.cli import brokers
from services.common.config import SERVICES
from services.common.stream_specs import ensure_stream, stream_specs
from tests.support.broker_cluster import BrokerCluster, server_program
from tests.support.postgres import shared_postgres

_STREAM_SECONDS = 30.0


class ProductionCluster(BrokerCluster):
    """The servers as `tiendo up` runs them: without accounts, so that everyone may look."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        servers = [("127.0.0.1", port) for port in self.ports]
        self._commands = list(brokers.cluster(server_program(), folder, servers, self._routes).values())

    def url(self, user: str = "") -> str:  # noqa: ARG002
        """All servers, as TIENDO_NATS_URL names them."""
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.ports)

    def _command(self, number: int) -> tuple[list[str], dict[str, str]]:
        return self._commands[number], dict(os.environ)

    async def ensure_running(self) -> None:
        """Start those that do not run; return when they have a leader."""
        for number in range(3):
            if number not in self._processes:
                self.spawn(number)
        await self.wait_ready()

    async def make_streams(self) -> None:
        """Make the streams in three copies; a cluster that has just begun may ask for patience."""
        async with asyncio.timeout(_STREAM_SECONDS):
            for spec in stream_specs(max_bytes=256 * 1024 * 1024, num_replicas=3):
                while True:
                    try:
                        async with self.connected("") as client:
                            await ensure_stream(client.jetstream(), spec)
                        break
                    except (nats.errors.Error, APIError):
                        await asyncio.sleep(0.2)

    async def drop_streams(self) -> None:
        """Lose all streams."""
        async with self.connected("") as client:
            for spec in stream_specs():
                try:
                    await client.jetstream().delete_stream(spec.name)
                except NotFoundError:
                    continue

    async def leader(self, stream: str) -> int:
        """The number of the server that leads a stream."""
        async with self.connected("") as client:
            info = await client.jetstream().stream_info(stream)
        assert info.cluster
        assert info.cluster.leader
        return int(info.cluster.leader.removeprefix("nats-")) - 1


@cache
def shared_cluster() -> ProductionCluster:
    """Give the one cluster of this process, started or not."""
    folder = Path(tempfile.mkdtemp(prefix="tiendo-cluster-"))
    cluster = ProductionCluster(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(cluster.close)
    return cluster


class Production:
    """One stack's part in them: databases of its own, and the streams while it runs."""

    def __init__(self) -> None:
        self.postgres = shared_postgres()
        self.cluster = shared_cluster()
        names = [f"{service}_{uuid.uuid4().hex[:12]}" for service in SERVICES]
        urls = self.postgres.make(*names)
        self.settings = {
            f"TIENDO_{service.upper()}_DATABASE_URL": url for service, url in zip(SERVICES, urls, strict=True)
        } | {"TIENDO_NATS_URL": self.cluster.url(), "TIENDO_REUSE_PORT": "true"}

    async def start(self) -> None:
        """Start what does not run, without any stream of another stack."""
        await self.cluster.ensure_running()
        await self.cluster.drop_streams()
