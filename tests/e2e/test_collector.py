"""What the real services send to a collector; and that one that is dead, or silent, is nothing to them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio

from services.common import metrics as common_metrics
from services.integration import metrics as integration_metrics
from services.status import metrics as status_metrics
from tests.support.collector import Collector, running_collector, useless_collector
from tests.support.stack import SERVICES, Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

# These stacks have no pages; `tests/status/test_web_pages.py` scrapes what is told of them.
CALLED = [metric for metric in common_metrics.METRICS if metric is not common_metrics.REQUEST_DURATION]
EVERY = (*CALLED, *integration_metrics.METRICS, *status_metrics.METRICS)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sending() -> AsyncIterator[tuple[Stack, Collector]]:
    """A seeded stack that sends to a collector; the tests of this module share both, in their order."""
    async with (
        running_collector() as collector,
        running_stack(seeded=True, TIENDO_OTLP_ENDPOINT=collector.endpoint, **OFTEN) as stack,
    ):
        yield stack, collector


async def test_one_trace_goes_over_three_services(sending: tuple[Stack, Collector]) -> None:
    """A catalog command is followed in its caller's trace to integration and to status, and nothing else is traced."""
    stack, collector = sending
    service = service_pb2.Service(display_name="Khai báo tạm vắng")
    request = catalog_service_pb2.CreateServiceRequest(service_id="khac-001", service=service)
    await stack.catalog_stub.CreateService(request, timeout=5, metadata=SAMPLED)
    wanted = {
        ("tiendo-catalog", "tiendo.catalog.v1.CatalogService/CreateService"),
        ("tiendo-integration", "follow catalog"),
        ("tiendo-status", "follow catalog"),
        ("tiendo-status", "follow integration"),
    }
    await collector.until(lambda: wanted <= {(service, span.name) for service, span in collector.spans})

    assert {(service, span.name) for service, span in collector.spans} == wanted
    assert {span.trace_id.hex() for _, span in collector.spans} == {TRACE}
    (root,) = (span for _, span in collector.spans if span.parent_span_id.hex() == SPAN)
    assert root.name == "tiendo.catalog.v1.CatalogService/CreateService"


async def test_every_metric_is_sent(sending: tuple[Stack, Collector]) -> None:
    """Each service sends all metrics that are told of it, in their units, and is told apart from every other process."""
    _, collector = sending
    wanted = {
        f"tiendo-{service}": {metric.name for metric in EVERY if service in metric.services} for service in SERVICES
    }
    await collector.until(
        lambda: all(names <= set(collector.metrics.get(service, {})) for service, names in wanted.items())
    )

    assert {service: set(sent) for service, sent in collector.metrics.items()} == wanted
    units = {name: metric.unit for sent in collector.metrics.values() for name, metric in sent.items()}
    assert units == {metric.name: metric.unit for metric in EVERY}
    assert [len(each) for each in collector.instances.values()] == [1, 1, 1]
    assert len(set.union(*collector.instances.values())) == 3


async def test_lines_of_a_call_carry_its_ids(sending: tuple[Stack, Collector]) -> None:
    """The line of a refused command has its caller's trace and request_id; a line of another call has none of them."""
    stack, _ = sending
    refused = integration_service_pb2.AdvanceIntegrationRequest(
        name="integrations/bca-001", stage=integration_pb2.STAGE_BUILT, request_id="request-1"
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await stack.integration_stub.AdvanceIntegration(refused, timeout=5, metadata=SAMPLED)
    with pytest.raises(grpc.aio.AioRpcError):
        await stack.integration_stub.GetIntegration(
            integration_service_pb2.GetIntegrationRequest(name="integrations/no"), timeout=5
        )
    lines = [json.loads(line) for line in stack.log("integration").splitlines() if line.startswith("{")]

    told = {line["method"].rpartition("/")[2]: line for line in lines if line["event"] == "call"}
    assert (told["AdvanceIntegration"]["trace_id"], told["AdvanceIntegration"]["request_id"]) == (TRACE, "request-1")
    assert not {"trace_id", "span_id", "request_id"} & set(told["GetIntegration"])


async def test_a_useless_collector_slows_nothing(sending: tuple[Stack, Collector]) -> None:
    """With every call traced towards a dead one and a silent one, no call waits for it, and the end is in time."""
    stack, _ = sending
    codes, slowest = [], 0.0
    for kind in ("dead", "silent"):
        with useless_collector(kind) as endpoint:
            stack.settings |= {"TIENDO_OTLP_ENDPOINT": endpoint, "TIENDO_TRACE_RATIO": "1"}
            stack.kill("status")
            stack.spawn("status")
            await stack.wait_serving("status")
            for _ in range(300):
                begun = time.perf_counter()
                await stack.status_stub.GetCompletion(status_service_pb2.GetCompletionRequest(), timeout=5)
                slowest = max(slowest, time.perf_counter() - begun)
            process = stack.terminate("status")
            codes.append(await asyncio.wait_for(asyncio.to_thread(process.wait), 10))
            stack.spawn("status")
            await stack.wait_serving("status")

    # A call that waited for it would take the two seconds after which it is given up.
    assert slowest < 1.5
    assert codes == [0, 0]
