"""The services on the shipped broker, each under its own name: the permissions are enough for their work."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.common.stream_specs import stream_specs
from tests.support.broker_cluster import BrokerCluster
from tests.support.promql import PROMETHEUS_OWN, expressions, metrics_in, selectors
from tests.support.scrape import page_of
from tests.support.stack import SERVICES, Stack
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_service_pb2
from tiendo.status.v1 import status_service_pb2

PARTS = {
    "catalog": ["relay"],
    "integration": ["relay", "feed.catalog"],
    "status": ["relay", "feed.catalog", "feed.integration"],
}


pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


class ClusterStack(Stack):
    """Three services on the cluster; each knows its own password alone."""

    def __init__(self, folder: Path, cluster: BrokerCluster) -> None:
        super().__init__(folder)
        self.cluster = cluster

    def spawn(self, service: str) -> None:
        """Start a service's process under its own name."""
        self.settings["TIENDO_NATS_URL"] = self.cluster.url(service)
        super().spawn(service)

    async def start(self) -> None:
        """Start the brokers, migrate as operator, start the services."""
        await self.cluster.start()
        self.settings["TIENDO_NATS_URL"] = self.cluster.url("operator")
        migrated = await asyncio.to_thread(self.run, "services.cli", "migrate")
        assert migrated.returncode == 0, migrated.stderr
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClusterStack]:
    """The seeded services, following one another."""
    folder = tmp_path_factory.mktemp("stack")
    stack = ClusterStack(folder, BrokerCluster(folder))
    try:
        await stack.start()
        await stack.seed()
        for service, parts in PARTS.items():
            for part in parts:
                await stack.wait_serving(service, part)
        yield stack
    finally:
        await stack.stop()
        stack.cluster.close()


async def test_services_work_with_what_they_may(stack: ClusterStack) -> None:
    """Seeded through three services under their own names, every journal row is in its stream, and nothing was refused."""
    heads = await stack.heads()
    async with stack.cluster.connected("operator") as operator, asyncio.timeout(20):
        published: dict[str, int] = {}
        while published != heads:
            infos = [await operator.jetstream().stream_info(spec.name) for spec in stream_specs()]
            published = {str(info.config.name): info.state.messages for info in infos}
    refused = "Violation" in stack.cluster.log()
    async with stack.cluster.connected("catalog") as catalog:
        await catalog.publish("tiendo.progress.v1.forged._", b"{}")
        await catalog.flush()
        await catalog.flush()

    assert min(heads.values()) > 200
    assert not refused
    assert "Violation" in stack.cluster.log()  # it would have been seen


async def test_what_is_watched_is_in_a_live_scrape(stack: ClusterStack) -> None:
    """Every metric of the alerts and the dashboard, and every state they wait for, is in what the services say of themselves."""
    samples = [
        sample
        for service in SERVICES
        for family in (await page_of(stack.metrics_ports[service])).families.values()
        for sample in family.samples
    ]
    read = {metric for expression in expressions() for metric in metrics_in(expression)}
    waited_for = {
        (metric, label, value)
        for expression in expressions()
        for metric, labels in selectors(expression)
        for label in ("state", "role", "db_client_connection_state")
        for value in labels.get(label, [])
    }
    said = {(sample.name, label, value) for sample in samples for label, value in sample.labels.items()}

    assert read - {sample.name for sample in samples} == PROMETHEUS_OWN
    assert waited_for - said == set()
    assert len(waited_for) >= 7
