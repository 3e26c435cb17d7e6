"""ExportReport as a client sees it: streamed, bounded, refused in words."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from python_calamine import CalamineWorkbook

from tests.support.peers import Peers
from tests.support.reports import add_seed
from tests.support.status_service import StatusService, details, refusal, running_status
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import report_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

Running = tuple[StatusService, Peers]
XLSX, CSV, PDF = report_pb2.REPORT_FORMAT_XLSX, report_pb2.REPORT_FORMAT_CSV, report_pb2.REPORT_FORMAT_PDF


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Running]:
    """Status with the real programme, shared by the tests of this module."""
    async with running_status() as (status, peers):
        add_seed(peers)
        await status.completion()
        yield status, peers


async def export(status: StatusService, **fields: Any) -> tuple[report_pb2.ReportHeader, list[bytes]]:
    """Give the header and the chunks that follow it."""
    request = pb.ExportReportRequest(at_least=status.peers.revisions, **fields)
    parts = [part async for part in status.stub.ExportReport(request, timeout=30)]
    assert [part.WhichOneof("part") for part in parts] == ["header"] + ["chunk"] * (len(parts) - 1)
    return parts[0].header, [part.chunk for part in parts[1:]]


@pytest.mark.parametrize(
    ("kind", "suffix", "media_type", "begins"),
    [
        (XLSX, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
        (CSV, "csv", "text/csv; charset=utf-8", b"\xef\xbb\xbf"),
        (PDF, "pdf", "application/pdf", b"%PDF-"),
    ],
)
async def test_the_header_tells_what_comes(
    running: Running, kind: Any, suffix: str, media_type: str, begins: bytes
) -> None:
    """Name, type, size, figures and revisions first; then the file in chunks of at most 64 KiB; twice the same bytes."""
    status, peers = running
    header, chunks = await export(status, format=kind)
    _, again = await export(status, format=kind)

    assert (header.file_name, header.media_type) == (f"bca-2022-2022-09.{suffix}", media_type)
    assert header.size_bytes == sum(map(len, chunks))
    assert all(0 < len(chunk) <= 64 * 1024 for chunk in chunks)
    assert b"".join(chunks).startswith(begins)
    assert list(header.revisions) == peers.revisions
    assert (header.as_of.year, header.as_of.month, header.as_of.day) == (2022, 9, 0)
    assert (header.total.planned, header.total.completed, header.total.not_reported) == (227, 11, 216)
    assert again == chunks


@pytest.mark.parametrize(
    ("fields", "expected", "field"),
    [
        ({}, ("INVALID_ARGUMENT", "MISSING_VALUE"), "format"),
        ({"format": 9}, ("INVALID_ARGUMENT", "UNKNOWN_VALUE"), "format"),
        ({"format": CSV, "language": 9}, ("INVALID_ARGUMENT", "UNKNOWN_VALUE"), "language"),
        ({"format": CSV, "programme": "programmes/none"}, ("NOT_FOUND", "PROGRAMME_NOT_FOUND"), "programme"),
        ({"format": CSV, "filter": "color = red"}, ("INVALID_ARGUMENT", "UNKNOWN_FIELD"), "filter"),
        (
            {"format": CSV, "as_of": date_pb2.PartialDate(year=2022, day=3)},
            ("INVALID_ARGUMENT", "INVALID_DATE"),
            "as_of",
        ),
        ({"format": CSV, "compare": date_pb2.PartialDate(month=3)}, ("INVALID_ARGUMENT", "INVALID_DATE"), "compare"),
        (
            {"format": CSV, "compare": date_pb2.PartialDate(year=2022, month=9)},
            ("INVALID_ARGUMENT", "INVALID_DATE"),
            "compare",
        ),
    ],
)
async def test_what_cannot_be_reported_is_refused(
    running: Running, fields: dict[str, Any], expected: tuple[str, str], field: str
) -> None:
    """Each refusal has its reason and names the field, before any byte is sent."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await export(running[0], **fields)

    assert refusal(refused.value) == expected
    assert str(refused.value.details()).startswith(field)


async def test_nothing_was_known_before(running: Running) -> None:
    """Asked as known before the programme was recorded there is no report, and the words say from when there is one."""
    request: dict[str, Any] = {"format": CSV, "known_at": datetime(2020, 1, 1, tzinfo=UTC)}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await export(running[0], **request)

    assert refusal(refused.value) == ("NOT_FOUND", "PROGRAMME_NOT_FOUND")
    assert details(refused.value)[0].metadata["name"] == "programmes/bca-2022"


async def test_the_process_answers_while_a_large_report_is_made() -> None:
    """Health answers in time all the while, and a report of 3,000 services comes whole, though others were given up."""
    async with running_status(seeded=True, listed=3000, done=1500) as (status, _):
        await status.completion()
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await status.stub.ExportReport(pb.ExportReportRequest(format=XLSX), timeout=0.2).read()
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        health: Any = health_pb2_grpc.HealthStub(status.channel)
        loop = asyncio.get_running_loop()
        waits_seconds = []
        making = asyncio.create_task(export(status, format=XLSX))
        while not making.done():
            begun = loop.time()
            await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
            waits_seconds.append(loop.time() - begun)
            await asyncio.sleep(0.01)
        _, chunks = await making

    book = CalamineWorkbook.from_filelike(io.BytesIO(b"".join(chunks)))
    assert len(book.get_sheet_by_name("Danh sách dịch vụ").to_python()) == 3002
    assert len(waits_seconds) > 10
    assert sorted(waits_seconds)[len(waits_seconds) * 9 // 10] < 0.5
