"""An OTLP collector that keeps what it is sent; and addresses where none is, or one that never answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc.aio
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.ports import free_port


class Collector:
    """Metrics by service and name, spans by service."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.metrics: dict[str, dict[str, Any]] = {}
        self.spans: list[tuple[str, trace_pb2.Span]] = []
        self.instances: dict[str, set[str]] = {}

    def take_metrics(self, request: metrics_service_pb2.ExportMetricsServiceRequest) -> None:
        """Keep the newest of each metric."""
        for resource in request.resource_metrics:
            service = self._note(resource.resource)
            for scope in resource.scope_metrics:
                self.metrics.setdefault(service, {}).update({metric.name: metric for metric in scope.metrics})

    def take_spans(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        """Keep every span."""
        for resource in request.resource_spans:
            service = self._note(resource.resource)
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def _note(self, resource: Any) -> str:
        attributes: dict[str, str] = {each.key: each.value.string_value for each in resource.attributes}
        self.instances.setdefault(attributes["service.name"], set()).add(attributes["service.instance.id"])
        return attributes["service.name"]

    async def until(self, enough: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return once enough has come. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not enough():
                await asyncio.sleep(0.02)


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 (the contract's name)
        self._collector.take_metrics(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802
        self._collector.take_spans(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def running_collector() -> AsyncIterator[Collector]:
    """Take what is sent until the block ends."""
    collector = Collector()
    server = grpc.aio.server()
    add_metrics: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
    add_traces: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add_metrics(_Metrics(collector), server)
    add_traces(_Traces(collector), server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)


@contextmanager
def useless_collector(kind: str) -> Iterator[str]:
    """An endpoint that is "dead", where nobody listens, or "silent", where whoever listens never answers."""
    if kind == "dead":
        yield f"http://127.0.0.1:{free_port()}"
        return
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
