"""`tiendo report` at the terminal: one line when it is done, words when it is not, never half a file."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
import structlog
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.ports import free_port
from tests.support.reports import add_autumn, add_seed
from tests.support.status_service import StatusService, running_status
from tiendo.status.v1 import report_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def status() -> AsyncIterator[StatusService]:
    """Status with the real programme and an autumn that might have been; its log is not to stand among what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with running_status() as (running, peers):
        add_seed(peers)
        add_autumn(peers)
        await running.completion()
        yield running
    structlog.reset_defaults()


async def tiendo(port: int, *arguments: object) -> Result:
    """Run `tiendo --lang en report …` against status on a port."""
    environ = {"TIENDO_STATUS_ADDRESS": f"127.0.0.1:{port}", "COLUMNS": "200"}
    command = ["--lang", "en", "report", *map(str, arguments)]
    return await asyncio.to_thread(lambda: CliRunner(env=environ).invoke(app, command))


def names(folder: Path) -> list[str]:
    """Name what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(("suffix", "begins"), [(".xlsx", b"PK"), (".csv", b"\xef\xbb\xbf"), (".PDF", b"%PDF")])
async def test_the_suffix_says_what_is_made(status: StatusService, tmp_path: Path, suffix: str, begins: bytes) -> None:
    """One line: the file, the figures, what they are as of; the file is whole and alone."""
    file = tmp_path / f"tiến độ{suffix}"

    done = await tiendo(status.own.port, file, "--as-of", "09/2022", "--compare", "08/2022")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.output == f"{file}: 12 / 227 completed (5.29 %), 213 not reported, as of 09/2022\n"
    assert file.read_bytes().startswith(begins)
    assert names(tmp_path) == [file.name]


async def test_json_is_the_header(status: StatusService, tmp_path: Path) -> None:
    """With --json the header is printed, and nothing else."""
    file = tmp_path / "a.csv"

    done = await tiendo(status.own.port, file, "--json", "--filter", "naming = NAMED", "--as-of", "2022")

    header = json.loads(done.output)
    assert header["fileName"] == "bca-2022-2022.csv"
    assert header["sizeBytes"] == str(len(file.read_bytes()))
    assert header["total"]["planned"] == 12


async def test_a_file_that_is_there_stays_unless_forced(status: StatusService, tmp_path: Path) -> None:
    """Nobody's file is replaced by accident."""
    file = tmp_path / "a.pdf"
    file.write_text("mine")

    refused = await tiendo(status.own.port, file)
    kept = file.read_text()
    forced = await tiendo(status.own.port, file, "--force")

    assert (refused.exit_code, kept) == (1, "mine")
    assert refused.stderr == f"{file} exists; add --force to replace it.\n"
    assert forced.exit_code == 0
    assert file.read_bytes().startswith(b"%PDF")


async def test_failures_are_worded(status: StatusService, tmp_path: Path) -> None:
    """Each failure says what to do, ends with its code, and leaves nothing behind."""
    port = status.own.port
    unknown = await tiendo(port, tmp_path / "a.docx")
    later = await tiendo(port, tmp_path / "a.csv", "--as-of", "09/2022", "--compare", "10/2022")
    nowhere = await tiendo(port, tmp_path / "no" / "a.csv")
    silent = await tiendo(free_port(), tmp_path / "a.csv")

    assert unknown.exit_code == 2
    assert unknown.stderr.endswith("a.docx: the format is not known; let the name end in .xlsx, .csv or .pdf\n")
    assert later.exit_code == 1
    assert later.stderr == "Refused: Day to compare with: Must lie before 09/2022; give an earlier one.\n"
    assert nowhere.exit_code == 1
    assert "a.csv cannot be written: No such file or directory" in nowhere.stderr
    assert silent.exit_code == 3
    assert "tiendo doctor" in silent.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize("ends", ["early", "with an error"])
async def test_half_a_file_is_none(tmp_path: Path, ends: str) -> None:
    """When the stream ends before the file does, what stood under the name stays, and nothing stands beside it."""

    async def export_report(request: Any, context: Any) -> AsyncIterator[pb.ExportReportResponse]:
        yield pb.ExportReportResponse(header=report_pb2.ReportHeader(size_bytes=1000))
        yield pb.ExportReportResponse(chunk=b"x" * 100)
        if ends == "with an error":
            await context.abort(grpc.StatusCode.INTERNAL, "broken")

    server, port = grpc.aio.server(), free_port()
    handler: Any = grpc.unary_stream_rpc_method_handler(
        export_report, pb.ExportReportRequest.FromString, pb.ExportReportResponse.SerializeToString
    )
    service = grpc.method_handlers_generic_handler("tiendo.status.v1.StatusService", {"ExportReport": handler})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    file = tmp_path / "a.csv"
    file.write_text("before")

    done = await tiendo(port, file, "--force")
    await server.stop(0)

    assert done.exit_code == 1
    assert done.stderr.strip()
    assert file.read_text() == "before"
    assert names(tmp_path) == ["a.csv"]
