"""Traces: from the gRPC call through the journal row and the NATS message to whoever follows.

Invariant: whether a call is traced is decided before a span exists, by the caller's flag or else by the set share; the trace
context of a command is stored in its journal row, so it survives any delay of delivery.
"""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SHUTDOWN_SECONDS = 1.0


def parse_traceparent(text: str) -> SpanContext | None:
    """Read a W3C trace context; None when it is none."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    context = SpanContext(
        int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(int(match[3], 16))
    )
    return context if context.is_valid else None


def format_traceparent(context: SpanContext) -> str:
    """Write a W3C trace context."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def within(seconds: float, *ends: Callable[[], object]) -> None:
    """Run what ends something, all at once, and wait for them no longer than so many seconds."""
    deadline = time.monotonic() + seconds
    threads = [Thread(target=end, daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


class Telemetry:
    """Makes spans for one service, or nothing at all when it has nowhere to send them."""

    def __init__(
        self,
        service: str,
        *,
        endpoint: str = "",
        ratio: float = 0.01,
        exporter: SpanExporter | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`endpoint` is an OTLP collector; `exporter` takes its place where given."""
        self._ratio, self._chance = ratio, chance
        self.resource = Resource.create(
            {
                "service.name": f"tiendo-{service}",
                "service.version": version("tiendo"),
                # Two replicas must not be taken for one.
                "service.instance.id": str(uuid.uuid4()),
            }
        )
        self._provider: TracerProvider | None = None
        self._tracer: trace.Tracer | None = None
        if exporter is None and endpoint:
            # Read only where there is a collector: it takes a tenth of a start.
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=2)
        if exporter is not None:
            self._provider = TracerProvider(resource=self.resource, shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
            self._tracer = self._provider.get_tracer("tiendo")

    def call_span(self, name: str, traceparent: str) -> Span | None:
        """Begin the span of a call, unless it is not to be traced; the caller ends it."""
        if self._tracer is None:
            return None
        parent = parse_traceparent(traceparent) if traceparent else None
        if not (parent.trace_flags.sampled if parent is not None else self._chance() < self._ratio):
            return None
        context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
        return self._tracer.start_span(name, context=context, kind=SpanKind.SERVER)

    @contextmanager
    def follow_span(self, name: str, traceparents: list[str]) -> Iterator[None]:
        """Surround the applying of events: one span in the trace of each sampled cause, linked to it."""
        spans: list[Span] = []
        if self._tracer is not None:
            for traceparent in dict.fromkeys(traceparents):
                cause = parse_traceparent(traceparent) if traceparent else None
                if cause is not None and cause.trace_flags.sampled:
                    context = trace.set_span_in_context(NonRecordingSpan(cause))
                    links = [Link(cause)]
                    spans.append(self._tracer.start_span(name, context=context, kind=SpanKind.CONSUMER, links=links))
        try:
            yield
        finally:
            for span in spans:
                span.end()

    def close(self) -> None:
        """Send what is left, for at most a second: an absent or silent collector must not hold up the end."""
        if self._provider is not None:
            within(_SHUTDOWN_SECONDS, self._provider.shutdown)
