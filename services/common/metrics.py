"""Metrics: their names, and their ways out, a page for Prometheus and OTLP to a collector.

Invariant: what is measured is read when somebody looks, in the looker's thread, and never kept up to date for nobody; no scraper
and no collector, whether absent, slow or many, holds a service up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from socket import SHUT_RDWR
from threading import Lock
from typing import Any, Literal
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Metric as ReadMetric
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client import Metric as Family

from services.common.config import SERVICES
from services.common.durations import CallDurations, RequestDurations
from services.common.telemetry import within

_EXPORT_SECONDS = 2
_CLOSE_SECONDS = 1.0
_SUFFIXES = {"s": "_seconds"}

Read = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]
"""Gives the present values, each with its labels by their OpenTelemetry names; called in any thread."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its OpenTelemetry name. `services` are those that have it; a unit in braces only explains."""

    name: str
    kind: Literal["histogram", "counter", "gauge", "updowncounter"]
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = SERVICES

    @property
    def prometheus_name(self) -> str:
        """The name on the page for Prometheus."""
        return self.name.replace(".", "_") + _SUFFIXES.get(self.unit, "") + ("_total" if self.kind == "counter" else "")

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        """The names of its labels there."""
        return tuple(label.replace(".", "_") for label in self.labels)


_FOLLOWERS = ("integration", "status")

CALL_DURATION = Metric(
    "rpc.server.call.duration",
    "histogram",
    "s",
    "How long calls took; `error.type` is set where the fault was ours. A watch's call lasts as long as the watch.",
    ("rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"),
)
REQUEST_DURATION = Metric(
    "http.server.request.duration",
    "histogram",
    "s",
    "How long pages took; `http.route` is absent for an address that is none. A stream's request lasts as long as the stream.",
    ("http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type"),
    ("status",),
)
JOURNAL_HEAD = Metric(
    "tiendo.journal.head_sequence", "gauge", "{row}", "Number of the newest journal row that is shown.", ("journal",)
)
WRITER_WAITING = Metric(
    "tiendo.writer.waiting_commands", "gauge", "{command}", "Commands that wait for their transaction."
)
RELAY_UNPUBLISHED = Metric(
    "tiendo.relay.unpublished_rows",
    "gauge",
    "{row}",
    "Rows that the broker has not confirmed; absent until the stream was read once, and where the relay is not active.",
    ("stream",),
)
RELAY_PUBLISHED = Metric(
    "tiendo.relay.published_rows",
    "counter",
    "{row}",
    "Rows that the broker has confirmed to this process.",
    ("stream",),
)
RELAY_STATE = Metric(
    "tiendo.relay.state", "gauge", "1", "1 for the relay's state, 0 for the others.", ("stream", "state")
)
RELAY_SUCCESS_AGE = Metric(
    "tiendo.relay.success_age",
    "gauge",
    "s",
    "Since all rows were last known to be published, or since the start; absent where the relay is not active.",
    ("stream",),
)
FEED_LAG_ROWS = Metric(
    "tiendo.feed.lag_rows",
    "gauge",
    "{row}",
    "Rows that the source is known to have beyond those applied. As the other `feed` ones, absent where not active.",
    ("source",),
    _FOLLOWERS,
)
FEED_LAG = Metric(
    "tiendo.feed.lag", "gauge", "s", "How long it has been behind the source; 0 when current.", ("source",), _FOLLOWERS
)
FEED_HEARD_AGE = Metric(
    "tiendo.feed.heard_age",
    "gauge",
    "s",
    "Since the source was last heard of, or since the start.",
    ("source",),
    _FOLLOWERS,
)
FEED_STATE = Metric(
    "tiendo.feed.state", "gauge", "1", "1 for the feed's state, 0 for the others.", ("source", "state"), _FOLLOWERS
)
DEAD_LETTERS = Metric(
    "tiendo.dead_letters",
    "gauge",
    "{row}",
    "Rows of the source that could not be read and were put aside.",
    ("source",),
    _FOLLOWERS,
)
ACTIVE = Metric(
    "tiendo.active", "gauge", "1", "Whether this replica is the one that has the role: relay, or projector.", ("role",)
)
BROKER_CONNECTED = Metric("tiendo.broker.connected", "gauge", "1", "Whether NATS is connected.")
LOOP_LAG = Metric(
    "tiendo.event_loop.lag", "gauge", "s", "The longest that the event loop was held up in the last minute, or is now."
)
POOL_COUNT = Metric(
    "db.client.connection.count",
    "updowncounter",
    "{connection}",
    "Database connections by state, used or idle.",
    ("db.client.connection.pool.name", "db.client.connection.state"),
)
POOL_MAX = Metric(
    "db.client.connection.max",
    "updowncounter",
    "{connection}",
    "The most database connections there can be.",
    ("db.client.connection.pool.name",),
)

METRICS = (
    *(CALL_DURATION, REQUEST_DURATION, JOURNAL_HEAD, WRITER_WAITING),
    *(RELAY_UNPUBLISHED, RELAY_PUBLISHED, RELAY_STATE, RELAY_SUCCESS_AGE),
    *(FEED_LAG_ROWS, FEED_LAG, FEED_HEARD_AGE, FEED_STATE, DEAD_LETTERS),
    *(ACTIVE, BROKER_CONNECTED, LOOP_LAG, POOL_COUNT, POOL_MAX),
)
"""What `services.common` measures; each service's `metrics` module holds its own beside these."""


class _Registry(CollectorRegistry):
    """A registry read by one scraper at a time: the SDK's reader would give two at once each other's values."""

    def __init__(self) -> None:
        super().__init__(auto_describe=False)
        self._one_at_a_time = Lock()

    def collect(self) -> Iterator[Family]:
        """Give everything."""
        with self._one_at_a_time:
            families = list(super().collect())
        yield from families


class _WithCalls(MetricReader):
    """Adds the histograms of calls and requests, which the SDK cannot be asked to read, to what a reader gets."""

    calls: CallDurations
    requests: RequestDurations

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        resource = metrics_data.resource_metrics[0]
        scope = resource.scope_metrics[0]
        read = ((CALL_DURATION, self.calls.histogram()), (REQUEST_DURATION, self.requests.histogram()))
        counted = [ReadMetric(it.name, it.description, it.unit, found) for it, found in read if found.data_points]
        scope = replace(scope, metrics=[*scope.metrics, *counted])
        resource = replace(resource, scope_metrics=[scope, *resource.scope_metrics[1:]])
        together = replace(metrics_data, resource_metrics=[resource, *metrics_data.resource_metrics[1:]])
        super()._receive_metrics(together, timeout_millis, **kwargs)  # type: ignore[safe-super]


class _Page(_WithCalls, PrometheusMetricReader):
    """What Prometheus reads."""


class _Sender(_WithCalls, PeriodicExportingMetricReader):
    """What sends to a collector, as often as OTEL_METRIC_EXPORT_INTERVAL says."""


class Metrics:
    """One service's metrics; nothing at all but the counting of calls when nobody is to get them."""

    def __init__(self, resource: Resource, *, endpoint: str = "", scraped: bool = False) -> None:
        """`endpoint` is an OTLP collector; `scraped` says that `listen` will be called."""
        self.calls, self.requests = CallDurations(), RequestDurations()
        self._registry = _Registry()
        self._page: WSGIServer | None = None
        readers: list[_WithCalls] = []
        if scraped:
            ProcessCollector(registry=self._registry)
            readers.append(
                _Page(
                    scope_info_enabled=False,
                    resource_attribute_filter=lambda name: name == "service.name",
                    registry=self._registry,
                )
            )
        if endpoint:
            # Read only where there is a collector: it takes a tenth of a start.
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

            insecure = endpoint.startswith("http://")
            readers.append(_Sender(OTLPMetricExporter(endpoint=endpoint, insecure=insecure, timeout=_EXPORT_SECONDS)))
        for reader in readers:
            reader.calls, reader.requests = self.calls, self.requests
        self._provider = MeterProvider(readers, resource, shutdown_on_exit=False) if readers else None

    def observe(self, metric: Metric, read: Read) -> None:
        """Let `read` give the metric's values whenever somebody looks; what it raises costs this metric alone, this once."""
        if self._provider is None:
            return

        def values(_options: CallbackOptions) -> Iterable[Observation]:
            # The plus makes 1 of True: OTLP takes no truth values.
            return [Observation(+value, labels) for value, labels in read()]

        meter = self._provider.get_meter("tiendo")
        made = {
            "counter": meter.create_observable_counter,
            "gauge": meter.create_observable_gauge,
            "updowncounter": meter.create_observable_up_down_counter,
        }[metric.kind]
        made(metric.name, [values], metric.unit, metric.description)

    def listen(self, host: str, port: int) -> int:
        """Serve the page at /metrics, in threads of its own, and give the port (the one chosen, where 0 was asked).

        Raises OSError when the port cannot be listened on.
        """
        server, _thread = start_http_server(port, host, self._registry)
        self._page = server
        return int(server.server_port)

    def close(self) -> None:
        """Send the last values and stop, for at most a second; the page's port is free then."""
        ends: list[Callable[[], object]] = [partial(_stop, self._page)] if self._page is not None else []
        if self._provider is not None:
            ends.append(self._provider.shutdown)
        within(_CLOSE_SECONDS, *ends)


def _stop(page: WSGIServer) -> None:
    # Wakes it: by itself it looks only twice a second whether it is to stop.
    with suppress(OSError):
        page.socket.shutdown(SHUT_RDWR)
    page.shutdown()
    page.server_close()
