"""`tiendo catalog import`: a list becomes services, all or nothing.

Invariant: what the file holds is decided by the catalog alone; the command only sends it and shows the report.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.cli.catalog import RequestOption
from services.cli.client import REFUSED
from services.cli.exports import app
from services.cli.lists import (
    AcceptOption,
    DryRunOption,
    FileArgument,
    MapOption,
    MappingOption,
    Match,
    RowsOption,
    SheetOption,
    TargetOption,
    brief,
    column_map,
    matches,
    opened,
    pairs,
    problem_text,
    show_columns,
    show_first,
    show_unused,
    told_here,
)
from services.cli.output import short
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import programme_name
from services.common.figures import number
from services.common.sheets import check_size
from services.common.spool import Spool
from tiendo.catalog.v1 import catalog_service_pb2, import_pb2
from tiendo.common.v1 import error_reason_pb2

__all__ = ["app"]

pb = catalog_service_pb2

_CHUNK = 64 * 1024
_SECONDS = 900.0
_COUNTS = ("created", "named", "changed", "unchanged", "rejected", "skipped")
_FIELDS = (
    "code",
    "service",
    "plan_number",
    "name",
    "english_gloss",
    "field",
    "agency",
    "level",
    "audience",
    "online_level",
    "channel",
)
_CHANGES = {"CREATED", "NAMED", "CHANGED"}


@command(app, "import")
def import_list(
    session: Session,
    file: FileArgument,
    programme: TargetOption = "",
    register: Annotated[bool, typer.Option("--register", help="A register that belongs to no programme.")] = False,
    dry_run: DryRunOption = False,
    headings: MapOption = None,
    sheet: SheetOption = "",
    accept: AcceptOption = None,
    mapping: MappingOption = "",
    default: Annotated[
        list[str] | None, typer.Option("--default", metavar="FIELD=TEXT", help="For empty cells of a field.")
    ] = None,
    suggest: Annotated[
        str,
        typer.Option("--suggest", metavar="FILE", help="Write the suggestions as a mapping, to look through and use."),
    ] = "",
    limit: RowsOption = 20,
    request_id: RequestOption = "",
) -> None:
    """Take services from a list: name slots, add what is new, change what it says otherwise. All or nothing."""
    if register and programme:
        raise UsageProblemError(session.word("screen.common.one_of", choices="--register, --programme"))
    path = opened(session, file)
    with told_here():
        check_size(path)
    options = import_pb2.ImportOptions(
        file_name=path.name,
        sheet=sheet,
        column_map=column_map(session, headings, _FIELDS),
        defaults=dict(pairs(session, default, "--default")),
        matches=map(_match, matches(session, accept, mapping)),
        dry_run=dry_run,
        request_id="" if dry_run else request_id or str(uuid4()),
    )
    if register:
        options.register = True
    else:
        options.programme = programme_name(programme)
    rows, summary = _send(session, path, options)
    if suggest:
        _write_suggestions(Path(suggest), rows)
    if session.as_json:
        printed = [
            json_format.MessageToDict(each, always_print_fields_with_no_presence=True) for each in (summary, *rows)
        ]
        session.show_json({"summary": printed[0], "rows": printed[1:]})
    else:
        _show(session, path.name, rows, summary, dry_run=dry_run, limit=limit, suggest=suggest)
    if summary.rejected:
        raise StopError(REFUSED)


def _match(match: Match) -> import_pb2.RowMatch:
    given: dict[str, Any] = {"number": match.row} if match.row else {"code": match.code}
    given |= {"service": match.service} if match.service else {"plan_number": match.plan_number}
    return import_pb2.RowMatch(**given)


def _send(
    session: Session, path: Path, options: import_pb2.ImportOptions
) -> tuple[Sequence[import_pb2.RowResult], import_pb2.ImportSummary]:
    """Send the file and take the report. Raises TiendoError."""
    rows = Spool[import_pb2.RowResult]()
    summary = import_pb2.ImportSummary()
    with _progress(session) as tell:

        def requests() -> Iterator[pb.ImportServicesRequest]:
            yield pb.ImportServicesRequest(options=options)
            with path.open("rb") as content:
                while piece := content.read(_CHUNK):
                    yield pb.ImportServicesRequest(chunk=piece)

        for part in session.client.catalog.ImportServices(requests(), timeout=_SECONDS):
            tell(part.progress)
            for row in part.rows.results:
                rows.append(row)
            if part.HasField("summary"):
                summary = part.summary
    return rows, summary


@contextmanager
def _progress(session: Session) -> Iterator[Any]:
    """Show how far it is, on a terminal."""
    console = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or session.as_json) as bar:
        task = bar.add_task(session.word("screen.list.sending"), total=None)

        def tell(progress: import_pb2.ImportProgress) -> None:
            if progress.phase:
                phase = short(import_pb2.ImportPhase, progress.phase, "IMPORT_PHASE_").lower()
                bar.update(task, description=session.word(f"screen.list.{phase}"), completed=progress.rows)

        yield tell


def _show(
    session: Session,
    file: str,
    rows: Sequence[import_pb2.RowResult],
    summary: import_pb2.ImportSummary,
    *,
    dry_run: bool,
    limit: int,
    suggest: str,
) -> None:
    show_columns(
        session, file, summary.sheet, summary.header_row, [(each.heading, each.field) for each in summary.columns]
    )
    show_unused(session, summary.unused_columns)
    word = session.word
    if summary.rejected:
        headers = [word(f"screen.list.column_{name}") for name in ("cell", "wrong", "name")]
        wrong = (
            (
                problem.cell,
                problem_text(session, _reason(problem), dict(problem.metadata), problem.message),
                row.display_name,
            )
            for row in rows
            for problem in row.problems
        )
        show_first(session, headers, wrong, limit)
    elif dry_run:
        headers = [word(f"screen.list.column_{name}") for name in ("row", "what", "id", "name", "changes")]
        changes = (_change(session, row) for row in rows if _outcome(row) in _CHANGES)
        show_first(session, headers, changes, limit, numbers=(0,))
    counts = [(name, getattr(summary, name)) for name in _COUNTS]
    session.say(
        " · ".join(
            word(f"screen.list.count_{name}", count=number(count, session.lang)) for name, count in counts if count
        )
        or word("screen.list.empty")
    )
    if summary.rejected:
        session.say(word("screen.list.refused"))
        if any(row.suggestion for row in rows):
            session.say(word("screen.list.suggested", file=suggest) if suggest else word("screen.list.suggest"))
    elif dry_run:
        session.say(word("screen.list.dry_run"))
    elif not any(count for name, count in counts if name in {"created", "named", "changed"}):
        session.say(word("screen.list.nothing_new"))


def _reason(problem: import_pb2.RowProblem) -> str:
    return short(error_reason_pb2.ErrorReason, problem.reason, "ERROR_REASON_")


def _outcome(row: import_pb2.RowResult) -> str:
    return short(import_pb2.RowOutcome, row.outcome, "ROW_OUTCOME_")


def _change(session: Session, row: import_pb2.RowResult) -> tuple[str, ...]:
    outcome = _outcome(row)
    told = [each for each in row.changes if outcome == "CHANGED" or each.field not in {"display_name", "memberships"}]
    changes = "; ".join(f"{session.word(f'list_field.{_LIST_FIELD[each.field]}')}: {each.after}" for each in told)
    what = session.word(f"screen.list.outcome_{outcome}")
    return str(row.row), what, row.service.rpartition("/")[2], brief(row.display_name), changes


_LIST_FIELD: Mapping[str, str] = {
    "display_name": "name",
    "english_gloss": "english_gloss",
    "procedure_codes": "code",
    "field": "field",
    "agencies": "agency",
    "levels": "level",
    "audiences": "audience",
    "online_levels": "online_level",
    "channels": "channel",
    "memberships": "plan_number",
}


def _write_suggestions(path: Path, rows: Sequence[import_pb2.RowResult]) -> None:
    """Write a mapping of every suggestion, with the row's name for whoever looks through it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("service", "row", "name"))
        for row in rows:
            if row.suggestion:
                writer.writerow((row.suggestion.rpartition("/")[2], row.row, row.display_name))
