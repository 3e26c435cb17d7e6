"""Every metric is in a live scrape of the real services and moves with what it measures."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from services.common import metrics as common_metrics
from services.common.metrics import Metric
from services.common.resources import Revision
from services.integration import metrics as integration_metrics
from services.status import metrics as status_metrics
from tests.support.scrape import Page, page_of, page_when
from tests.support.stack import SERVICES, Stack, running_stack
from tests.support.watchers import Watcher
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

# These stacks have no pages; `tests/status/test_web_pages.py` scrapes what is told of them.
CALLED = [metric for metric in common_metrics.METRICS if metric is not common_metrics.REQUEST_DURATION]
EVERY = (*CALLED, *integration_metrics.METRICS, *status_metrics.METRICS)
CALLS = "rpc_server_call_duration_seconds"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A seeded stack that the tests of this module share, in their order."""
    async with running_stack(seeded=True) as running:
        yield running


async def pages(stack: Stack) -> dict[str, Page]:
    """Every service's page."""
    return {service: await page_of(stack.metrics_ports[service]) for service in SERVICES}


async def advance(stack: Stack, number: int, stage: int = integration_pb2.STAGE_BUILT) -> None:
    """Record a step of bca-<number>."""
    request = integration_service_pb2.AdvanceIntegrationRequest(
        name=f"integrations/bca-{number:03}",
        stage=stage,  # type: ignore[arg-type]
        effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=5)),
        evidence=[provenance_pb2.Evidence(document_number="12/BC")],
    )
    await stack.integration_stub.AdvanceIntegration(request, timeout=5)


async def one_fault_each(stack: Stack) -> None:
    """Ask each service for a revision that it will not have in time: only a fault has the label `error_type`."""
    catalog = catalog_service_pb2.GetServiceRequest(name="services/bca-001")
    integration = integration_service_pb2.GetIntegrationRequest(name="integrations/bca-001")
    status = status_service_pb2.GetCompletionRequest()
    asked: list[Any] = [
        (stack.catalog_stub.GetService, catalog),
        (stack.integration_stub.GetIntegration, integration),
        (stack.status_stub.GetCompletion, status),
    ]
    known = await stack.catalog_stub.ListEvents(catalog_service_pb2.ListEventsRequest(page_size=1), timeout=5)
    ahead = Revision("catalog", known.head.epoch, known.head.sequence + 1000).encode()
    for call, request in asked:
        request.at_least.append(ahead)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(request, timeout=0.5)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


def sample_name(metric: Metric) -> str:
    """The name of the family that a metric becomes when read."""
    return metric.prometheus_name.removesuffix("_total")


async def test_every_metric_is_in_a_live_scrape(stack: Stack) -> None:
    """Each service's page has exactly the metrics that are told of it, each with its labels, its type and its words."""
    await one_fault_each(stack)
    for service in SERVICES:
        page = await page_when(
            stack.metrics_ports[service], lambda found: "tiendo_relay_unpublished_rows" in found.families
        )
        wanted = [metric for metric in EVERY if service in metric.services]
        extra = {name for name in page.families if not name.startswith(("process_", "target"))} - {
            sample_name(metric) for metric in wanted
        }

        assert extra == set()
        for metric in wanted:
            family = page.families[sample_name(metric)]
            assert family.samples, metric.name
            assert family.type == ("gauge" if metric.kind == "updowncounter" else metric.kind)
            assert family.documentation == metric.description
            labels = page.labels(sample_name(metric)) - {"le"}
            assert labels == {*metric.prometheus_labels, "service_name"}, metric.name


async def test_calls_are_counted_by_method_and_outcome(stack: Stack) -> None:
    """Five reads and two refusals are five and two more of their method, in the right buckets."""
    method = "tiendo.catalog.v1.CatalogService/GetService"
    ok = {"rpc_method": method, "rpc_response_status_code": "OK"}
    port = stack.metrics_ports["catalog"]
    before = await page_of(port)
    for _ in range(5):
        await stack.catalog_stub.GetService(catalog_service_pb2.GetServiceRequest(name="services/bca-001"), timeout=5)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await stack.catalog_stub.GetService(catalog_service_pb2.GetServiceRequest(name="services/no"), timeout=5)
    after = await page_of(port)

    assert after.value(f"{CALLS}_count", **ok) - sum(before.values(f"{CALLS}_count", **ok)) == 5
    assert after.value(f"{CALLS}_bucket", le="10.0", **ok) == after.value(f"{CALLS}_count", **ok)
    refused = {"rpc_method": method, "rpc_response_status_code": "NOT_FOUND", "error_type": ""}
    assert after.value(f"{CALLS}_count", **refused) - sum(before.values(f"{CALLS}_count", **refused)) == 2


async def test_a_step_moves_journals_and_figures(stack: Stack) -> None:
    """One service integrated: one row more in integration and status, both published, and 12 complete of 227."""
    before = await pages(stack)
    await advance(stack, 12, integration_pb2.STAGE_INTEGRATED)
    status = await page_when(
        stack.metrics_ports["status"],
        lambda page: (
            page.value("tiendo_programme_completed_services", programme="bca-2022") == 12
            and page.value("tiendo_relay_unpublished_rows") == 0
        ),
    )
    integration = await page_when(
        stack.metrics_ports["integration"], lambda page: page.value("tiendo_relay_unpublished_rows") == 0
    )

    def rose(service: str, after: Page, name: str) -> float:
        return after.value(name) - before[service].value(name)

    assert before["status"].value("tiendo_programme_completed_services", programme="bca-2022") == 11
    assert status.value("tiendo_programme_planned_services", programme="bca-2022") == 227
    assert status.value("tiendo_programme_target_left_seconds", programme="bca-2022") < 0
    assert status.value("tiendo_programme_target_at_risk", programme="bca-2022") == 0
    assert rose("integration", integration, "tiendo_journal_head_sequence") == 1
    assert rose("status", status, "tiendo_journal_head_sequence") == 1
    assert rose("integration", integration, "tiendo_relay_published_rows_total") == 1
    assert rose("status", status, "tiendo_relay_published_rows_total") == 1
    assert {page.state("tiendo_relay_state") for page in (status, integration)} == {"running"}
    assert status.value("tiendo_relay_success_age_seconds") < 10


async def test_watches_are_counted(stack: Stack) -> None:
    """Three watches open are three, and none once they ended."""
    port = stack.metrics_ports["status"]
    watchers = [Watcher(stack) for _ in range(3)]
    for watcher in watchers:
        await watcher.start()
    during = await page_of(port)
    for watcher in watchers:
        await watcher.stop()
    after = await page_when(port, lambda page: page.value("tiendo_watches_open") == 0)

    assert during.value("tiendo_watches_open") == 3
    watch = {"rpc_method": "tiendo.status.v1.StatusService/WatchProgress"}
    assert sum(after.values(f"{CALLS}_count", **watch)) == 3


async def test_while_all_is_well_nothing_lags(stack: Stack) -> None:
    """Followers are current and heard of lately, roles are held, the broker connected, the pool and the loop in order."""
    for service, sources in (("integration", ["catalog"]), ("status", ["catalog", "integration"])):
        page = await page_of(stack.metrics_ports[service])
        for source in sources:
            assert page.state("tiendo_feed_state", source=source) == "current"
            assert page.value("tiendo_feed_lag_rows", source=source) == 0
            assert page.value("tiendo_feed_lag_seconds", source=source) == 0
            assert page.value("tiendo_feed_heard_age_seconds", source=source) < 5
            assert page.value("tiendo_dead_letters", source=source) == 0
        assert page.value("tiendo_active", role="projector") == page.value("tiendo_active", role="relay") == 1
        assert page.value("tiendo_broker_connected") == 1
        assert page.value("tiendo_writer_waiting_commands") == 0
        pool = {"db_client_connection_pool_name": service}
        used, idle = (
            page.value("db_client_connection_count", **pool, db_client_connection_state=state)
            for state in ("used", "idle")
        )
        assert 1 <= used + idle <= page.value("db_client_connection_max", **pool)
    catalog = await page_of(stack.metrics_ports["catalog"])
    assert catalog.values("tiendo_active", role="projector") == []
    assert catalog.value("tiendo_active", role="relay") == 1


async def test_a_source_away_is_seen(stack: Stack) -> None:
    """With the catalog killed both followers say so, their lag grows with time, and it is 0 again after its return."""
    stack.kill("catalog")
    for service in ("integration", "status"):
        page = await page_when(
            stack.metrics_ports[service],
            lambda found: (
                found.state("tiendo_feed_state", source="catalog") == "unreachable"
                and found.value("tiendo_feed_lag_seconds", source="catalog") > 1
                and found.value("tiendo_feed_heard_age_seconds", source="catalog") > 1
            ),
        )
        assert page.values("tiendo_feed_lag_seconds", source="integration") in ([], [0])
    stack.spawn("catalog")
    await stack.wait_serving("catalog")

    for service in ("integration", "status"):
        await page_when(
            stack.metrics_ports[service],
            lambda found: (
                found.state("tiendo_feed_state", source="catalog") == "current"
                and found.value("tiendo_feed_lag_seconds", source="catalog") == 0
                and found.value("tiendo_feed_heard_age_seconds", source="catalog") < 3
            ),
        )


async def test_the_broker_away_is_seen(stack: Stack) -> None:
    """While it is away rows wait, counted, and the relay says why; after its return none waits, and all were published."""
    port = stack.metrics_ports["integration"]
    before = await page_of(port)
    stack.nats.kill()
    for number in range(30, 37):
        await advance(stack, number)
    away = await page_when(
        port,
        lambda page: page.value("tiendo_relay_unpublished_rows") == 7 and not page.value("tiendo_broker_connected"),
    )
    older = await page_when(port, lambda page: page.value("tiendo_relay_success_age_seconds") > 1)
    await stack.nats.start()
    back = await page_when(port, lambda page: page.value("tiendo_relay_unpublished_rows") == 0)

    published = "tiendo_relay_published_rows_total"
    assert away.state("tiendo_relay_state") == older.state("tiendo_relay_state") == "waiting"
    assert back.state("tiendo_relay_state") == "running"
    assert back.value(published) - before.value(published) == 7
    assert back.value("tiendo_broker_connected") == 1
    assert back.value("tiendo_relay_success_age_seconds") < 1


async def test_a_held_up_loop_is_seen(stack: Stack) -> None:
    """A process that stood still for two seconds tells of it for the next half minute."""
    stack.freeze("status")
    await asyncio.sleep(2)
    stack.thaw("status")
    page = await page_of(stack.metrics_ports["status"])

    assert page.value("tiendo_event_loop_lag_seconds") > 1.5


async def test_a_taken_port_of_the_page_stops_the_start(stack: Stack) -> None:
    """A service whose page has no port ends at once with exit code 1 and a line that names port and setting."""
    port = stack.metrics_ports["catalog"]
    environ = stack.environ | {"TIENDO_CATALOG_PORT": "0", "TIENDO_CATALOG_METRICS_PORT": str(port)}
    command = [sys.executable, "-m", "services.catalog"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environ, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"catalog: port {port} on 127.0.0.1 is taken by another program; stop it or set TIENDO_CATALOG_METRICS_PORT"
    )


async def test_reading_the_page_does_not_hold_up_calls(stack: Stack) -> None:
    """While sixteen read the page without a pause, calls are answered, none later than two seconds."""
    stopping = asyncio.Event()

    async def read() -> int:
        count = 0
        while not stopping.is_set():
            await page_of(stack.metrics_ports["catalog"])
            count += 1
        return count

    readers = [asyncio.create_task(read()) for _ in range(16)]
    slowest = 0.0
    for _ in range(100):
        begun = time.perf_counter()
        await stack.catalog_stub.GetService(catalog_service_pb2.GetServiceRequest(name="services/bca-001"), timeout=5)
        slowest = max(slowest, time.perf_counter() - begun)
    stopping.set()
    counts = await asyncio.gather(*readers)

    assert slowest < 2
    assert sum(counts) > 16
