"""Metrics get out to Prometheus and to a collector, and nobody who reads them, or fails to, is in the way."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.config import SERVICES
from services.common.metrics import ACTIVE, DEAD_LETTERS, JOURNAL_HEAD, METRICS, RELAY_PUBLISHED, Metric, Metrics
from services.common.telemetry import Telemetry
from services.integration import metrics as integration_metrics
from services.status import metrics as status_metrics
from tests.support.collector import running_collector, useless_collector
from tests.support.scrape import page_of, read_page

EVERY = (*METRICS, *integration_metrics.METRICS, *status_metrics.METRICS)


def metrics(endpoint: str = "", *, scraped: bool = True) -> Metrics:
    """Metrics of a catalog."""
    return Metrics(Telemetry("catalog").resource, endpoint=endpoint, scraped=scraped)


@pytest.fixture
def page() -> Iterator[tuple[Metrics, int]]:
    """Metrics with a page, and its port."""
    made = metrics()
    yield made, made.listen("127.0.0.1", 0)
    made.close()


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_metrics_are_named_by_the_conventions(metric: Metric) -> None:
    """Names are lower-case words in namespaces, no name is a namespace of another, and every metric is of a service."""
    assert all(part.replace("_", "").isalpha() and part.islower() for part in metric.name.split("."))
    assert metric.name.startswith(("tiendo.", "rpc.", "http.", "db."))
    assert not [other.name for other in EVERY if other.name.startswith(f"{metric.name}.")]
    assert set(metric.services) <= set(SERVICES)
    assert metric.services
    assert metric.description.endswith(".")


def test_no_two_metrics_have_a_name() -> None:
    """Neither by OpenTelemetry's names nor by Prometheus'."""
    assert len({metric.name for metric in EVERY}) == len({metric.prometheus_name for metric in EVERY}) == len(EVERY)


def test_the_page_has_what_is_observed(page: tuple[Metrics, int]) -> None:
    """Values are read when the page is, under the names told, and each carries the service's name."""
    made, port = page
    rows = 1
    made.observe(JOURNAL_HEAD, lambda: [(rows, {"journal": "catalog"})])
    made.observe(RELAY_PUBLISHED, lambda: [(7, {"stream": "X"})])
    made.calls.record("a.B/C", "UNAVAILABLE", 0.002, "OVERLOADED")
    first = read_page(port)
    rows = 2
    second = read_page(port)

    assert first.value("tiendo_journal_head_sequence", journal="catalog", service_name="tiendo-catalog") == 1
    assert second.value("tiendo_journal_head_sequence") == 2
    assert first.value("tiendo_relay_published_rows_total", stream="X") == 7
    name = "rpc_server_call_duration_seconds"
    labels = {"rpc_method": "a.B/C", "rpc_response_status_code": "UNAVAILABLE", "error_type": "OVERLOADED"}
    assert [first.value(f"{name}_bucket", le=bound, **labels) for bound in ("0.001", "0.0025", "+Inf")] == [0, 1, 1]
    assert first.value(f"{name}_sum", **labels, service_name="tiendo-catalog", rpc_system_name="grpc") == 0.002
    assert first.value("target_info", service_name="tiendo-catalog") == 1
    assert first.value("process_resident_memory_bytes") > 0


def test_a_value_that_cannot_be_read_costs_itself_alone(
    page: tuple[Metrics, int], caplog: pytest.LogCaptureFixture
) -> None:
    """One metric that fails is missing from the page, once, and is logged; the others are there."""
    made, port = page
    parts = [0, 1]
    made.observe(ACTIVE, lambda: [(1 // parts.pop(0), {"role": "relay"})])
    made.observe(JOURNAL_HEAD, lambda: [(1, {"journal": "catalog"})])
    broken, mended = read_page(port), read_page(port)

    assert broken.values("tiendo_active") == []
    assert broken.value("tiendo_journal_head_sequence") == 1
    assert mended.value("tiendo_active") == 1
    assert "tiendo.active" in caplog.text


def test_what_is_no_longer_observed_is_gone(page: tuple[Metrics, int]) -> None:
    """A label that a reading does not have any more is not on the page any more."""
    made, port = page
    sources = ["catalog", "integration"]
    made.observe(DEAD_LETTERS, lambda: [(1, {"source": source}) for source in sources])
    before = read_page(port)
    sources.pop()
    after = read_page(port)

    assert len(before.values("tiendo_dead_letters")) == 2
    assert after.value("tiendo_dead_letters", source="catalog") == 1


def test_many_may_read_at_once(page: tuple[Metrics, int]) -> None:
    """Sixteen readers at the same time each get the whole page, every value once."""
    made, port = page
    gate = threading.Barrier(16)
    made.observe(JOURNAL_HEAD, lambda: [(1, {"journal": str(number)}) for number in range(200)])

    def read(_number: int) -> int:
        gate.wait()
        return len(read_page(port).values("tiendo_journal_head_sequence"))

    with ThreadPoolExecutor(16) as readers:
        assert list(readers.map(read, range(16))) == [200] * 16


def test_a_port_that_is_taken_is_refused(page: tuple[Metrics, int]) -> None:
    """A second page on the port is an OSError, and the first goes on."""
    made, port = page
    made.observe(JOURNAL_HEAD, lambda: [(1, {"journal": "catalog"})])
    other = metrics()

    with pytest.raises(OSError, match="in use"):
        other.listen("127.0.0.1", port)
    other.close()
    assert read_page(port).value("target_info") == 1


def test_a_page_is_gone_at_once() -> None:
    """Closing a page takes no time, and its port can be listened on right after."""
    first, second = metrics(), metrics()
    port = first.listen("127.0.0.1", 0)
    first.observe(JOURNAL_HEAD, lambda: [(1, {"journal": "catalog"})])
    read_page(port)
    begun = time.monotonic()
    first.close()
    took = time.monotonic() - begun

    assert second.listen("127.0.0.1", port) == port
    second.close()
    assert took < 0.3


def test_nothing_is_read_for_nobody() -> None:
    """Without a page and a collector nothing is ever asked for its value, and closing takes no time."""
    asked: list[int] = []
    made = metrics(scraped=False)
    made.observe(JOURNAL_HEAD, lambda: asked.append(1) or [])  # type: ignore[func-returns-value]
    made.calls.record("a.B/C", "OK", 0.001)
    begun = time.monotonic()
    made.close()

    assert asked == []
    assert time.monotonic() - begun < 0.2


async def test_a_collector_gets_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By OTLP come the names of the conventions, the histogram whole, and who sent it; the page is there beside it."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    async with running_collector() as collector:
        made = metrics(collector.endpoint)
        port = made.listen("127.0.0.1", 0)
        made.observe(JOURNAL_HEAD, lambda: [(3, {"journal": "catalog"})])
        made.observe(ACTIVE, lambda: [(True, {"role": "relay"})])
        made.calls.record("a.B/C", "OK", 0.002)
        await collector.until(lambda: "tiendo.journal.head_sequence" in collector.metrics.get("tiendo-catalog", {}))
        page = await page_of(port)
        await asyncio.to_thread(made.close)

    sent = collector.metrics["tiendo-catalog"]
    (head,) = sent["tiendo.journal.head_sequence"].gauge.data_points
    (calls,) = sent["rpc.server.call.duration"].histogram.data_points
    assert head.as_int == sent["tiendo.active"].gauge.data_points[0].as_int + 2 == 3
    assert (calls.count, calls.sum, sent["rpc.server.call.duration"].unit) == (1, 0.002, "s")
    assert {each.key for each in calls.attributes} == {"rpc.system.name", "rpc.method", "rpc.response.status_code"}
    assert page.value("tiendo_journal_head_sequence") == 3
    assert len(collector.instances["tiendo-catalog"]) == 1


async def test_the_last_values_are_sent_at_the_end() -> None:
    """What was counted since the last sending is sent when the service ends."""
    async with running_collector() as collector:
        made = metrics(collector.endpoint, scraped=False)
        made.observe(JOURNAL_HEAD, lambda: [(9, {"journal": "catalog"})])
        await asyncio.to_thread(made.close)

        assert collector.metrics["tiendo-catalog"]["tiendo.journal.head_sequence"].gauge.data_points[0].as_int == 9


_ENDING = """
import sys, time
from services.common.metrics import JOURNAL_HEAD, Metrics
from services.common.telemetry import Telemetry
metrics = Metrics(Telemetry("catalog").resource, endpoint=sys.argv[1], scraped=True)
metrics.observe(JOURNAL_HEAD, lambda: [(1, {"journal": "catalog"})])
metrics.listen("127.0.0.1", 0)
time.sleep(0.5)
begun = time.monotonic()
metrics.close()
print(time.monotonic() - begun, flush=True)
"""


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_a_useless_collector_does_not_hold_up_the_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sending under way that will never be answered, closing takes about a second, and the process is gone."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    with useless_collector(kind) as endpoint:
        command = [sys.executable, "-c", _ENDING, endpoint]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        closing_seconds = float(process.stdout.readline())
        begun = time.monotonic()
        code = process.wait(10)
        leaving_seconds = time.monotonic() - begun
        process.stdout.close()

    assert closing_seconds < 4  # about one; without a bound it would be thirty
    assert leaving_seconds < 4
    assert code == 0
