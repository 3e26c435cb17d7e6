"""What the real services send to a collector; and that one that is dead, or silent, is nothing to them."""

import asyncio
import json
import time

import grpc.aio
import pytest

from services.common import metrics as common_metrics
from services.integration import metrics as integration_metrics
from services.status import metrics as status_metrics
from tests.support.collector import running_collector, useless_collector
from tests.support.stack import SERVICES, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("collector")]

EVERY = (*common_metrics.METRICS, *integration_metrics.METRICS, *status_metrics.METRICS)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200"}


async def test_one_trace_over_three_services_and_every_metric() -> None:
    """A catalog command is followed in one trace to integration and status; each service sends all of its metrics."""
    async with (
        running_collector() as collector,
        running_stack(seeded=True, TIENDO_OTLP_ENDPOINT=collector.endpoint, **OFTEN) as stack,
    ):
        await stack.catalog_stub.CreateService(
            catalog_service_pb2.CreateServiceRequest(
                service_id="khac-001", service=service_pb2.Service(display_name="Khai báo tạm vắng")
            ),
            timeout=5,
            metadata=SAMPLED,
        )

        def traced() -> set[tuple[str, str]]:
            return {(service, span.name) for service, span in collector.spans if span.trace_id.hex() == TRACE}

        wanted = {
            ("tiendo-catalog", "tiendo.catalog.v1.CatalogService/CreateService"),
            ("tiendo-integration", "follow catalog"),
            ("tiendo-status", "follow catalog"),
            ("tiendo-status", "follow integration"),
        }
        await collector.until(lambda: wanted <= traced())
        await collector.until(
            lambda: all(
                {metric.name for metric in EVERY if service in metric.services}
                <= set(collector.metrics.get(f"tiendo-{service}", {}))
                for service in SERVICES
            )
        )

    assert traced() == wanted
    assert all(span.trace_id.hex() == TRACE for _, span in collector.spans)
    (root,) = (span for _, span in collector.spans if span.parent_span_id.hex() == SPAN)
    assert root.name == "tiendo.catalog.v1.CatalogService/CreateService"
    instances = [collector.instances[f"tiendo-{service}"] for service in SERVICES]
    assert [len(each) for each in instances] == [1, 1, 1]
    assert len(set.union(*instances)) == 3
    units = {name: metric.unit for sent in collector.metrics.values() for name, metric in sent.items()}
    assert units == {metric.name: metric.unit for metric in EVERY}


async def test_lines_of_a_call_carry_its_ids() -> None:
    """The line of a refused command has the trace, the span and the request_id it came with."""
    async with running_stack(seeded=True) as stack:
        request = integration_service_pb2.AdvanceIntegrationRequest(
            name="integrations/bca-001", stage=integration_pb2.STAGE_BUILT, request_id="request-1"
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await stack.integration_stub.AdvanceIntegration(request, timeout=5, metadata=SAMPLED)
        with pytest.raises(grpc.aio.AioRpcError):
            await stack.integration_stub.GetIntegration(
                integration_service_pb2.GetIntegrationRequest(name="integrations/no"), timeout=5
            )
        lines = [json.loads(line) for line in stack.log("integration").splitlines() if line.startswith("{")]

    told = [line for line in lines if line["event"] == "call"]
    refused = next(line for line in told if line["method"].endswith("AdvanceIntegration"))
    other = next(line for line in told if line["method"].endswith("GetIntegration"))
    assert (refused["trace_id"], refused["span_id"], refused["request_id"]) == (TRACE, SPAN, "request-1")
    assert not {"trace_id", "span_id", "request_id"} & set(other)


@pytest.mark.parametrize("kind", ["dead", "silent"])
async def test_a_useless_collector_slows_nothing(kind: str) -> None:
    """With every call traced towards it, 300 calls are answered, none later than half a second, and the end is in time."""
    with useless_collector(kind) as endpoint:
        async with running_stack(seeded=True, TIENDO_OTLP_ENDPOINT=endpoint, **OFTEN) as stack:
            stack.settings["TIENDO_TRACE_RATIO"] = "1"
            stack.kill("status")
            stack.spawn("status")
            await stack.wait_serving("status")
            slowest = 0.0
            for _ in range(300):
                begun = time.perf_counter()
                await stack.status_stub.GetCompletion(status_service_pb2.GetCompletionRequest(), timeout=5)
                slowest = max(slowest, time.perf_counter() - begun)
            process = stack.terminate("status")
            code = await asyncio.wait_for(asyncio.to_thread(process.wait), 10)

    assert slowest < 0.5
    assert code == 0
