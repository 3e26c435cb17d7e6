"""The services on the shipped broker, each under its own name: the permissions are enough for their work."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.broker import stream_specs
from tests.support.broker_cluster import BrokerCluster
from tests.support.stack import SERVICES, Stack
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_service_pb2
from tiendo.status.v1 import status_service_pb2

PARTS = {
    "catalog": ["relay"],
    "integration": ["relay", "feed.catalog"],
    "status": ["relay", "feed.catalog", "feed.integration"],
}


class ClusterStack(Stack):
    """Three services on the cluster; each knows its own password alone."""

    def __init__(self, folder: Path, cluster: BrokerCluster) -> None:
        super().__init__(folder)
        self.cluster = cluster

    def settings_of(self, user: str) -> dict[str, str]:
        """The environment of what connects under a user's name."""
        return self.environ | {"TIENDO_NATS_URL": self.cluster.url(user)}

    def spawn(self, service: str) -> None:
        """Start a service's process under its own name."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env=self.settings_of(service),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def start(self) -> None:
        """Start the brokers, migrate as operator, start the services."""
        await self.cluster.start()
        command = [sys.executable, "-m", "services.cli.main", "migrate"]
        await asyncio.to_thread(subprocess.run, command, env=self.settings_of("operator"), check=True, timeout=60)
        for service in SERVICES:
            self.spawn(service)
        for service in SERVICES:
            await self.wait_serving(service)

    async def heads(self) -> dict[str, int]:
        """The last row of each journal, by the stream it is published to."""
        catalog = await self.catalog_stub.ListEvents(catalog_service_pb2.ListEventsRequest(page_size=1))
        integration = await self.integration_stub.ListEvents(integration_service_pb2.ListEventsRequest(page_size=1))
        progress = await self.status_stub.ListProgressEvents(
            status_service_pb2.ListProgressEventsRequest(page_size=1000)
        )
        return {
            "TIENDO_CATALOG": catalog.head.sequence,
            "TIENDO_INTEGRATION": integration.head.sequence,
            "TIENDO_PROGRESS": progress.events[-1].sequence,
        }


@pytest.mark.e2e
async def test_services_work_with_what_they_may(tmp_path: Path) -> None:
    """Seeded through three services under their own names, every journal row is in its stream, and nothing was refused."""
    cluster = BrokerCluster(tmp_path)
    stack = ClusterStack(tmp_path, cluster)
    try:
        await stack.start()
        await stack.seed()
        for service, parts in PARTS.items():
            for part in parts:
                await stack.wait_serving(service, part)
        heads = await stack.heads()
        async with cluster.connected("operator") as operator, asyncio.timeout(20):
            while True:
                infos = [await operator.jetstream().stream_info(spec.name) for spec in stream_specs()]
                published = {str(info.config.name): info.state.messages for info in infos}
                if published == heads:
                    break
                await asyncio.sleep(0.1)
        refused = "Violation" in cluster.log()
        async with cluster.connected("catalog") as catalog:
            await catalog.publish("tiendo.progress.v1.forged._", b"{}")
            await catalog.flush()
            await catalog.flush()

        assert min(heads.values()) > 200
        assert not refused
        assert "Violation" in cluster.log()  # it would have been seen
    finally:
        await stack.stop()
        cluster.close()
