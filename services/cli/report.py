"""The figures as a file: a workbook, the services line by line, a page to sign.

Invariant: a report that did not come whole is not left behind.
"""

import sys
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli.client import REFUSED
from services.cli.files import refuse_existing, written
from services.cli.output import figure_line, parse_date, parse_time
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import programme_name
from services.common.words import Lang
from tiendo.status.v1 import report_pb2, status_service_pb2

_FORMATS = {
    ".xlsx": report_pb2.REPORT_FORMAT_XLSX,
    ".csv": report_pb2.REPORT_FORMAT_CSV,
    ".pdf": report_pb2.REPORT_FORMAT_PDF,
}
_LANGUAGES = {Lang.VI: report_pb2.REPORT_LANGUAGE_VIETNAMESE, Lang.EN: report_pb2.REPORT_LANGUAGE_ENGLISH}
_LONGEST_SECONDS = 600.0


def report(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: a name ending in .xlsx, .csv or .pdf.")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="The day asked about: 30/09/2022, 09/2022, 2022; default: the latest report's."),
    ] = None,
    compare: Annotated[str | None, typer.Option("--compare", help="An earlier day to compare with.")] = None,
    known_at: Annotated[str | None, typer.Option("--known-at", help="Only what was recorded up to then.")] = None,
    only: Annotated[
        str, typer.Option("--filter", help='Only these services, such as: field = "Đăng ký, quản lý cư trú".')
    ] = "",
    programme: Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the figures into a file to hand on: a workbook (.xlsx), the services (.csv), a page to sign (.pdf)."""
    lang = session.lang
    kind = _FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UsageProblemError(session.word("screen.report.wrong_suffix", file=file))
    request = status_service_pb2.ExportReportRequest(
        programme=programme_name(programme), format=kind, language=_LANGUAGES[lang], filter=only
    )
    if as_of:
        request.as_of.CopyFrom(parse_date(as_of, lang))
    if compare:
        request.compare.CopyFrom(parse_date(compare, lang))
    if known_at:
        request.known_at.FromDatetime(parse_time(known_at, lang))
    refuse_existing(session, file, force=force)
    with written(session, file, force=force) as content:
        header = _receive(session, request, content)
    if session.as_json:
        session.show_json(header)
        return
    counted = status_service_pb2.GetCompletionResponse(total=header.total, as_of=header.as_of)
    session.say(session.word("screen.report.made", file=file, figure=figure_line(counted, lang, asked=True)))


def _receive(
    session: Session, request: status_service_pb2.ExportReportRequest, content: IO[bytes]
) -> report_pb2.ReportHeader:
    """Write what comes into a file; give its header. Raises TiendoError, StopError where the end is missing."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn(session.word("screen.report.making")),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=session.as_json or not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)
        parts = session.client.status.ExportReport(request, timeout=_LONGEST_SECONDS)
        header = next(parts).header
        bar.update(task, total=header.size_bytes)
        received = 0
        for part in parts:
            received += content.write(part.chunk)
            bar.update(task, completed=received)
    if received != header.size_bytes:
        session.complain(session.word("screen.report.cut_short", received=received, size=header.size_bytes))
        raise StopError(REFUSED)
    return header


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "report")(report)
