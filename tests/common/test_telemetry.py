"""Traces go from the caller through the journal to whoever follows, and never hold anything up."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from services.common.errors import Reason, Refusal
from services.common.telemetry import Telemetry, format_traceparent, parse_traceparent
from tests.support.calls import refused, refusing, serving
from tests.support.ports import free_port
from tiendo.status.v1 import status_service_pb2

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


def recording(**options: Any) -> tuple[Telemetry, InMemorySpanExporter]:
    """Telemetry that keeps its spans; they are there once it is closed."""
    exporter = InMemorySpanExporter()
    return Telemetry("status", exporter=exporter, **options), exporter


def trace_of(span: ReadableSpan) -> str:
    """The trace id of a finished span."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        SAMPLED.upper(),
        SAMPLED + "-00",
        "01" + SAMPLED[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
def test_what_is_no_trace_context_is_passed_over(text: str) -> None:
    """Anything but version 00 of W3C's traceparent with ids that are not all zero is none."""
    assert parse_traceparent(text) is None


def test_a_trace_context_is_written_as_it_was_read() -> None:
    """Reading and writing give the same text."""
    context = parse_traceparent(SAMPLED)

    assert context is not None
    assert format_traceparent(context) == SAMPLED


def test_a_sampled_caller_is_followed_whatever_the_share() -> None:
    """With a share of 0 a call that the caller traces still gets its span, in the caller's trace and under its span."""
    telemetry, exporter = recording(ratio=0.0)
    span = telemetry.call_span("tiendo.status.v1.StatusService/GetCompletion", SAMPLED)
    assert span is not None
    span.end()
    telemetry.close()

    (done,) = exporter.get_finished_spans()
    assert trace_of(done) == TRACE
    assert done.parent is not None
    assert f"{done.parent.span_id:016x}" == "b7ad6b7169203331"
    assert done.resource.attributes["service.name"] == "tiendo-status"


def test_an_unsampled_caller_gets_no_span() -> None:
    """With a share of 1 a call whose caller decided against it makes no span, nor does its following."""
    telemetry, exporter = recording(ratio=1.0)
    span = telemetry.call_span("x", UNSAMPLED)
    with telemetry.follow_span("follow", [UNSAMPLED, "", "x"]):
        pass
    telemetry.close()

    assert span is None
    assert exporter.get_finished_spans() == ()


def test_the_share_decides_where_the_caller_did_not() -> None:
    """Below the share a call is traced, from the share on it is not; what is no trace context decides nothing."""
    chances = iter([0.24, 0.25, 0.99, 0.0])
    telemetry, _ = recording(ratio=0.25, chance=lambda: next(chances))
    spans = [telemetry.call_span("x", text) for text in ("", "", "", "not a trace")]
    telemetry.close()

    assert [span is not None for span in spans] == [True, False, False, True]


def test_following_is_linked_to_its_cause_and_in_its_trace() -> None:
    """Each sampled cause gets one span, in its trace, linked to it, however often it is named."""
    other = f"00-{'1' * 32}-{'2' * 16}-01"
    telemetry, exporter = recording(ratio=0.0)
    with telemetry.follow_span("follow catalog", [SAMPLED, UNSAMPLED, other, SAMPLED]):
        before_the_end = exporter.get_finished_spans()
    telemetry.close()

    spans = exporter.get_finished_spans()
    assert before_the_end == ()
    assert [trace_of(span) for span in spans] == [TRACE, "1" * 32]
    assert [[format_traceparent(link.context) for link in span.links] for span in spans] == [[SAMPLED], [other]]


def test_following_that_fails_ends_its_spans() -> None:
    """An exception goes through, and the span is ended."""
    telemetry, exporter = recording()
    with pytest.raises(ZeroDivisionError), telemetry.follow_span("follow", [SAMPLED]):
        raise ZeroDivisionError
    telemetry.close()

    assert len(exporter.get_finished_spans()) == 1


async def test_a_call_is_a_span_and_its_handler_knows_it() -> None:
    """The span of a call is what its handler writes down as the trace; a refused call's span is an error with its reason."""
    telemetry, exporter = recording(ratio=0.0)
    seen: list[str] = []

    async def handler(_request: Any, call: Any) -> Any:
        seen.append(call.traceparent)
        return status_service_pb2.GetCompletionResponse()

    async with serving(handler, telemetry=telemetry) as (client, _):
        await client.ask(metadata=(("traceparent", SAMPLED),))
        await client.ask()
    async with serving(refusing(Refusal(Reason.PLAN_CONFLICT, "no")), telemetry=telemetry) as (client, _):
        await refused(client.ask(metadata=(("traceparent", SAMPLED),)))
    telemetry.close()

    fine, bad = exporter.get_finished_spans()
    assert fine.context is not None
    assert seen == [format_traceparent(fine.context), ""]
    assert fine.name == "tiendo.status.v1.StatusService/GetCompletion"
    assert fine.status.status_code is StatusCode.UNSET
    assert bad.status.status_code is StatusCode.ERROR
    assert bad.attributes is not None
    assert bad.attributes["error.type"] == "PLAN_CONFLICT"
    assert trace_of(fine) == trace_of(bad) == TRACE


def test_without_a_collector_nothing_is_made() -> None:
    """With nowhere to send them there are no spans, and the end takes no time."""
    telemetry = Telemetry("status", ratio=1.0)
    with telemetry.follow_span("x", [SAMPLED]):
        span = telemetry.call_span("x", SAMPLED)
    telemetry.close()

    assert span is None


@pytest.fixture(params=["dead", "silent"])
def collector(request: pytest.FixtureRequest) -> Iterator[str]:
    """A port nobody listens on, or one where whoever listens never answers."""
    if request.param == "dead":
        yield f"http://127.0.0.1:{free_port()}"
        return
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


_ENDING = """
import sys, time
from services.common.telemetry import Telemetry
telemetry = Telemetry("status", endpoint=sys.argv[1], ratio=1.0)
for _ in range(600):
    telemetry.call_span("x", "").end()
begun = time.monotonic()
telemetry.close()
print(time.monotonic() - begun)
"""


def test_an_absent_or_silent_collector_does_not_hold_up_the_end(collector: str) -> None:
    """With spans waiting, closing takes about a second, and the process is gone right after."""
    process = subprocess.Popen([sys.executable, "-c", _ENDING, collector], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    closing_seconds = float(process.stdout.readline())
    begun = time.monotonic()
    code = process.wait(10)
    leaving_seconds = time.monotonic() - begun
    process.stdout.close()

    assert closing_seconds < 1.5
    assert leaving_seconds < 2
    assert code == 0
