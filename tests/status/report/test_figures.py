"""The same question gives the same figures wherever it is asked."""

import asyncio
import csv
import html
import io
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pypdf import PdfReader
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from services.cli.main import app
from services.common.words import Lang, word
from tests.support.ports import free_port
from tests.support.reports import add_autumn, add_seed
from tests.support.status_service import StatusService, running_status
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import report_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

Figures = dict[str, int]
LINES = ("completed", "in_progress", "uncertain", "suspended", "withdrawn", "not_reported")
Question = tuple[str, str]
"""As of which day, as typed, and which services."""
QUESTIONS: list[Question] = [
    ("", ""),
    ("", "naming = SLOT"),
    ("15/09/2022", ""),
    ("09/2022", ""),
    ("05/10/2022", ""),
    ("2022", ""),
    ("2022", 'field = "Đăng ký, quản lý cư trú"'),
    ("15/09/2022", "naming = NAMED"),
    ("10/2022", "condition = BLOCKED OR outcome = SUSPENDED"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def status() -> AsyncIterator[StatusService]:
    """Status with the real programme and an autumn that might have been."""
    async with running_status(web_port=free_port()) as (running, peers):
        add_seed(peers)
        add_autumn(peers)
        await running.completion()
        yield running


def _date(text: str) -> date_pb2.PartialDate:
    parts = [int(part) for part in reversed(text.split("/"))] if text else []
    return date_pb2.PartialDate(**dict(zip(("year", "month", "day"), parts, strict=False)))


def as_of_shown(text: str) -> str:
    """Give the day that a terminal's line says its figures are as of."""
    found = re.search(r"[Ss]ố liệu tính đến ([\d/]+)", text)
    assert found, text
    return found[1]


async def page_of(status: StatusService, as_of: str) -> str:
    """Read the overview page in Vietnamese."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{status.own.web_port}", timeout=20) as client:
        answer = await client.get("/", params={"lang": "vi", "as_of": as_of})
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


async def by_page(status: StatusService, question: Question) -> Figures:
    """Read the bar of the overview page, which its headline and its legend must repeat."""
    page = await page_of(status, question[0])
    bar = re.search(r'class="bar"[^>]*aria-label="([^"]*)"', page)
    assert bar, page
    names = {word(f"count.{line}", Lang.VI): line for line in ("planned", *LINES)}
    figures = {names[name.strip()]: int(value) for name, value in re.findall(r"([^:;.]+): (\d+)", bar[1])}
    headline = word("page.headline", Lang.VI, completed=figures["completed"], planned=figures["planned"])
    assert headline in page
    legend = {name.strip(): int(value) for name, value in re.findall(r"</span>([^<]+)<strong>(\d+)</strong>", page)}
    assert {names[name]: value for name, value in legend.items()}.items() <= figures.items()
    return figures


async def by_call(status: StatusService, question: Question) -> Figures:
    """Ask GetCompletion."""
    total = (await status.completion(as_of=_date(question[0]), filter=question[1])).total
    return {line: getattr(total, line) for line in ("planned", *LINES)}


async def by_header(status: StatusService, question: Question) -> Figures:
    """Read the header of an export."""
    request = pb.ExportReportRequest(as_of=_date(question[0]), filter=question[1], format=report_pb2.REPORT_FORMAT_CSV)
    async for part in status.stub.ExportReport(request, timeout=30):
        return {line: getattr(part.header.total, line) for line in ("planned", *LINES)}
    raise AssertionError


async def command(status: StatusService, *arguments: str) -> str:
    """Run a command in Vietnamese; give what it printed."""
    environ = {f"TIENDO_{name}_ADDRESS": f"127.0.0.1:{status.peers.port}" for name in ("CATALOG", "INTEGRATION")}
    environ |= {"TIENDO_STATUS_ADDRESS": f"127.0.0.1:{status.own.port}", "COLUMNS": "200"}
    done = await asyncio.to_thread(lambda: CliRunner(env=environ).invoke(app, ["--lang", "vi", *arguments]))
    assert done.exit_code == 0, done.output
    return done.output


async def by_terminal(status: StatusService, question: Question) -> Figures:
    """Read the lines of `tiendo status`."""
    as_of, only = question
    options = [*(("--as-of", as_of) if as_of else ()), *(("--filter", only) if only else ())]
    printed = await command(status, "status", *options)
    figures = {}
    for line in LINES:
        found = re.search(rf"^  {word(f'count.{line}', Lang.VI)} +(\d+)(?: / (\d+))?", printed, re.MULTILINE)
        assert found, printed
        figures[line] = int(found[1])
        if found[2]:
            figures["planned"] = int(found[2])
    return figures


async def _file(status: StatusService, question: Question, suffix: str, folder: Any) -> bytes:
    as_of, only = question
    file = folder / f"report.{suffix}"
    options = [*(("--as-of", as_of) if as_of else ()), *(("--filter", only) if only else ())]
    await command(status, "report", str(file), "--force", *options)
    content: bytes = file.read_bytes()
    return content


async def by_workbook(status: StatusService, question: Question, folder: Any) -> Figures:
    """Read the summary sheet."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(await _file(status, question, "xlsx", folder)))
    rows = [row[:2] for row in book.get_sheet_by_name("Tổng hợp").to_python() if isinstance(row[1], float)]
    names = {word(f"count.{line}", Lang.VI): line for line in ("planned", *LINES)}
    return {names[str(name)]: int(value) for name, value in rows if name in names}  # type: ignore[arg-type]


async def by_lines(status: StatusService, question: Question, folder: Any) -> Figures:
    """Count the lines of the CSV file; places without a service have none, and the programme of these tests has no such."""
    text = (await _file(status, question, "csv", folder)).decode("utf-8-sig")
    found = Counter(row[10] for row in list(csv.reader(io.StringIO(text, newline="")))[1:])
    found[word("count.in_progress", Lang.VI)] += found[word("condition.BLOCKED", Lang.VI)]
    figures = {line: found[word(f"count.{line}", Lang.VI)] for line in LINES}
    return figures | {"planned": sum(figures.values())}


async def by_paper(status: StatusService, question: Question, folder: Any) -> Figures:
    """Read the table of the page to sign."""
    document = PdfReader(io.BytesIO(await _file(status, question, "pdf", folder)))
    text = " ".join(" ".join(page.extract_text() for page in document.pages).split())
    names = {line: word(f"count.{line}", Lang.VI) for line in LINES}
    names["planned"] = word("report.paper.planned", Lang.VI)
    figures = {}
    for line, name in names.items():
        found = re.search(rf"\d {name} ([\d.]+) (?:[\d,]+%|–) ", text)
        assert found, text
        figures[line] = int(found[1].replace(".", ""))
    return figures


FILES: list[Callable[[StatusService, Question, Any], Awaitable[Figures]]] = [by_workbook, by_lines, by_paper]


async def test_screen_and_file_are_of_the_same_day(status: StatusService, tmp_path: Any) -> None:
    """With no date asked, all are as of the latest report, also for services that have none of their own."""
    page = re.search(r'<input id="as_of"[^>]*value="([^"]*)"', await page_of(status, ""))
    assert page
    assert page[1] == "10/10/2022"
    for only in ("", "naming = SLOT"):
        shown = await command(status, "status", *(("--filter", only) if only else ()))
        told = await command(status, "report", str(tmp_path / "a.csv"), "--force", "--filter", only)

        assert as_of_shown(shown) == as_of_shown(told) == "10/10/2022"


@pytest.mark.parametrize("question", QUESTIONS)
async def test_every_way_to_ask_gives_the_same_figures(
    status: StatusService, question: Question, tmp_path: Any
) -> None:
    """Call, terminal, workbook, lines, paper and page agree line by line, and the lines make the plan."""
    expected = await by_call(status, question)

    assert sum(expected[line] for line in LINES) == expected["planned"]
    assert await by_header(status, question) == expected
    assert await by_terminal(status, question) == expected
    if not question[1]:  # the overview is of the whole plan
        assert await by_page(status, question) == expected
    for read in FILES:
        assert await read(status, question, tmp_path) == expected, read.__name__
