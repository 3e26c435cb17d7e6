"""`tiendo integration import`: a list of what was reached, recorded all or nothing.

Invariant: a row that is recorded already is recognised and sent no second time; the others go as one command whose request id
follows from the file and what it asks for.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from services.cli.client import REFUSED, pages
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
    problem_text,
    show_columns,
    show_first,
    show_unused,
    told_here,
    used_columns,
)
from services.cli.output import condition_text, evidence, plan_number, stage_text, title
from services.cli.portals import app
from services.cli.progress_rows import COLUMNS, NEEDED, Problem, Services, Step, step_of
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import figure, programme_name
from services.client import RefusedError
from services.common.dates import VIETNAM, EffectiveDate, PartialDate
from services.common.sheets import Columns, ListRow, Skipped, read_list
from services.common.words import word
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2

__all__ = ["app"]

pb = integration_service_pb2

_PLACE = re.compile(r"requests\[(\d+)\](?:\.([a-z_]+))?")
_CELL_OF = {"stage": "stage", "effective_date": "date", "reason": "obstacle", "evidence": "evidence"}
_MOST = 1000
_DIGITS = 12


@dataclass
class _List:
    """A list that was read: its columns, its steps, what is wrong, and what is recorded already."""

    columns: Columns
    steps: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: int = 0
    recorded: list[Step] = field(default_factory=list)


@command(app, "import")
def import_progress(
    session: Session,
    file: FileArgument,
    programme: TargetOption = "",
    dry_run: DryRunOption = False,
    headings: MapOption = None,
    sheet: SheetOption = "",
    accept: AcceptOption = None,
    mapping: MappingOption = "",
    limit: RowsOption = 20,
) -> None:
    """Record the stages that a list says were reached. All or nothing; sent again, it changes nothing.

    Columns: number, code or name of the service; stage; date; evidence; obstacle.
    """
    path = opened(session, file)
    name = programme_name(programme) or programme_name(session.settings.default_programme)
    services = Services(_members(session, name), name)
    given = column_map(session, headings, [column.field for column in COLUMNS])
    matched = matches(session, accept, mapping)
    found = _read(session, path, services, matched, given, sheet)
    standing = _integrations(session, name)
    _judge(session, found, standing)
    if len(found.steps) > _MOST:
        raise UsageProblemError(session.word("list_problem.too_many", count=len(found.steps), limit=_MOST))
    revision = ""
    if not found.problems and not dry_run and found.steps:
        revision = _record(session, path, found, standing)
    _show(session, path.name, found, services, standing, revision=revision, dry_run=dry_run, limit=limit)
    if found.problems:
        raise StopError(REFUSED)
    if revision and not session.as_json:
        session.say(figure(session.client, session.lang, name, (revision,)))


def _members(session: Session, programme: str) -> list[service_pb2.Service]:
    request = catalog_service_pb2.ListServicesRequest(programme=programme, page_size=_MOST)
    return [
        each for page in pages(session.client, session.client.catalog.ListServices, request) for each in page.services
    ]


def _integrations(session: Session, programme: str) -> dict[str, integration_pb2.Integration]:
    request = pb.ListIntegrationsRequest(programme=programme, page_size=_MOST)
    found = pages(session.client, session.client.integration.ListIntegrations, request)
    return {each.name.rpartition("/")[2]: each for page in found for each in page.integrations}


def _read(
    session: Session, path: Path, services: Services, matched: Sequence[Match], given: dict[str, str], sheet: str
) -> _List:
    by_row = {match.row: match for match in matched if match.row}
    by_code = {match.code: match for match in matched if match.code}
    today = datetime.now(VIETNAM).date()
    with told_here(), read_list(path, path.name, COLUMNS, NEEDED, given=given, sheet=sheet) as (_, columns, rows):
        found = _List(columns)
        if "stage" not in columns.used:
            raise UsageProblemError(session.word("list_problem.no_stage_column", row=columns.header_row))
        for row in rows:
            if isinstance(row, Skipped):
                found.skipped += 1
                continue

            def match_of(each: ListRow) -> Match | None:
                return by_row.get(each.number) or by_code.get(each.text("code"))

            step = step_of(row, services, match_of, today, session.lang)
            if isinstance(step, Step):
                found.steps.append(step)
            else:
                found.problems += step
    return found


def _judge(session: Session, found: _List, standing: dict[str, integration_pb2.Integration]) -> None:
    """Hold the steps against where each service stands: what is recorded already, and what cannot follow."""
    reached: dict[str, tuple[int, EffectiveDate | None]] = {}
    steps, found.steps = found.steps, []
    for step in steps:
        now = standing.get(step.service)
        if now is None:
            found.problems.append(
                Problem(step.row, step.cells["service"], word("error.INTEGRATION_NOT_FOUND", session.lang))
            )
            continue
        stage, latest = reached.get(step.service, (now.stage, _read_date(now.effective_date)))
        if step.stage <= stage and _is_recorded(session, step, now):
            found.recorded.append(step)
            continue
        problem = _obstacle_to(session, step, now, stage, latest)
        if problem is not None:
            found.problems.append(problem)
            continue
        found.steps.append(step)
        reached[step.service] = (step.stage, step.when)
    found.problems.sort()


def _obstacle_to(
    session: Session, step: Step, now: integration_pb2.Integration, stage: int, latest: EffectiveDate | None
) -> Problem | None:
    lang = session.lang
    if now.condition != integration_pb2.CONDITION_ACTIVE:
        text = word("list_problem.not_active", lang, id=step.service, condition=condition_text(now.condition, lang))
        return Problem(step.row, step.cells["service"], text)
    if step.stage <= stage:
        text = word("list_problem.not_later", lang, id=step.service, stage=stage_text(stage, lang))
        return Problem(step.row, step.cells["stage"], text)
    if step.when and latest and step.when.date.last_day() < latest.date.last_day():
        text = word("list_problem.goes_back", lang, date=step.when.show(lang.value), latest=latest.show(lang.value))
        return Problem(step.row, step.cells["date"], text)
    return None


def _is_recorded(session: Session, step: Step, now: integration_pb2.Integration) -> bool:
    """Whether the history has this step already: the stage and, where the row gives one, the date."""
    request = pb.ListTransitionsRequest(parent=now.name, page_size=_MOST)
    return any(
        entry.to_stage == step.stage
        and entry.from_stage < entry.to_stage
        and not entry.annulled_by
        and step.when in {None, _read_date(entry.effective_date)}
        for page in pages(session.client, session.client.integration.ListTransitions, request)
        for entry in page.transitions
    )


def _record(session: Session, path: Path, found: _List, standing: dict[str, integration_pb2.Integration]) -> str:
    """Send the steps as one command; give its revision. What the service refuses becomes a problem with its cell."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    requests = []
    for step in found.steps:
        now = standing[step.service]
        cited = f"{path.name}, dòng {step.row} (SHA-256 {digest[:_DIGITS]}…)"
        request = pb.AdvanceIntegrationRequest(
            name=now.name,
            stage=step.stage,
            reason=step.obstacle,
            evidence=evidence([*([step.evidence] if step.evidence else []), cited]),
            etag=now.etag,
        )
        if step.when:
            request.effective_date.CopyFrom(_write_date(step.when))
        requests.append(request)
    batch = pb.BatchAdvanceIntegrationsRequest(requests=requests)
    content = hashlib.sha256(digest.encode() + batch.SerializeToString(deterministic=True)).hexdigest()
    batch.request_id = f"import-{content}"
    try:
        return session.client.integration.BatchAdvanceIntegrations(batch).revision
    except RefusedError as refused:
        place = _PLACE.match(refused.field)
        if place is None:
            raise
        step = found.steps[int(place[1])]
        cell = step.cells[_CELL_OF.get(place[2], "service")]
        text = problem_text(session, refused.reason, refused.metadata, refused.message)
        found.problems.append(Problem(step.row, cell, text))
        return ""


def _read_date(message: date_pb2.EffectiveDate) -> EffectiveDate | None:
    if not message.date.year:
        return None
    return EffectiveDate(PartialDate(message.date.year, message.date.month, message.date.day), message.at_latest)


def _write_date(when: EffectiveDate) -> date_pb2.EffectiveDate:
    date = date_pb2.PartialDate(year=when.date.year, month=when.date.month, day=when.date.day)
    return date_pb2.EffectiveDate(date=date, at_latest=when.at_latest)


def _show(
    session: Session,
    file: str,
    found: _List,
    services: Services,
    standing: dict[str, integration_pb2.Integration],
    *,
    revision: str,
    dry_run: bool,
    limit: int,
) -> None:
    if session.as_json:
        session.show_json(
            {
                "problems": [problem._asdict() for problem in found.problems],
                "steps": [_step_fields(step) for step in found.steps],
                "recordedBefore": len(found.recorded),
                "revision": revision,
            }
        )
        return
    show_columns(session, file, found.columns.sheet, found.columns.header_row, used_columns(found.columns))
    show_unused(session, found.columns.unused)
    say, words = session.say, session.word
    if found.problems:
        rows = [(problem.cell, problem.text) for problem in found.problems]
        show_first(session, [words("screen.list.column_cell"), words("screen.list.column_wrong")], rows, limit)
        say(words("screen.list.count_rejected", count=len({problem.row for problem in found.problems})))
        say(words("screen.list.refused"))
        return
    if found.steps:
        headers = [words(f"screen.list.column_{name}") for name in ("row", "id", "name", "stage", "date")]
        lines = [_line(session, step, services.all[step.service], standing[step.service]) for step in found.steps]
        show_first(session, headers, lines, limit, numbers=(0,))
        key = "screen.list.would_advance" if dry_run else "screen.list.advanced"
        say(words(key, count=len(found.steps)))
        if any(step.obstacle for step in found.steps):
            say(words("screen.list.obstacles"))
    if found.recorded:
        say(words("screen.list.unchanged_steps", count=len(found.recorded)))
    if not found.steps:
        say(words("screen.list.nothing_new") if found.recorded else words("screen.list.empty"))
    elif dry_run:
        say(words("screen.list.dry_run"))


def _line(
    session: Session, step: Step, service: service_pb2.Service, now: integration_pb2.Integration
) -> tuple[str, ...]:
    lang = session.lang
    name = brief(title(service.display_name, plan_number(service), lang))
    moved = f"{stage_text(now.stage, lang)} → {stage_text(step.stage, lang)}"
    return str(step.row), step.service, name, moved, step.when.show(lang.value) if step.when else ""


def _step_fields(step: Step) -> dict[str, Any]:
    return {
        "row": step.row,
        "service": f"services/{step.service}",
        "stage": integration_pb2.Stage.Name(step.stage),
        "date": step.when.date.iso() if step.when else "",
        "atLatest": bool(step.when and step.when.at_latest),
    }
