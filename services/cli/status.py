"""`tiendo status`: how complete, as of when, and what is still asked for.

Invariant: a figure never stands alone: completed of planned, per cent, not reported, as of.
"""

from datetime import date

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli import figures, output
from services.cli.client import WRONG_USAGE, CommandError, Session
from services.common.dates import PartialDate, parse_date, parse_instant
from services.common.errors import Refusal
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import completion_pb2, freshness_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_GROUPS = {"field": "FIELD", "agency": "AGENCY", "level": "LEVEL", "stage": "STAGE"}


def show(session: Session, programme: str, as_of: str, known_at: str, by: str) -> None:
    """Print the completion of a programme."""
    request = pb.GetCompletionRequest(programme=programme_name(programme))
    try:
        if as_of:
            request.as_of.CopyFrom(date_message(parse_date(as_of, "as_of")))
        if known_at:
            instant = Timestamp()
            instant.FromDatetime(parse_instant(known_at, "known_at"))
            request.known_at.CopyFrom(instant)
    except Refusal as refusal:
        raise CommandError(WRONG_USAGE, session.word("screen.common.wrong_usage", what=refusal.message)) from None
    if by:
        if by not in _GROUPS:
            raise typer.BadParameter(f"{by!r}: {', '.join(_GROUPS)}", param_hint="--by")
        request.group_by = completion_pb2.GroupBy.Value(f"GROUP_BY_{_GROUPS[by]}")
    answer = session.call(session.status.GetCompletion, request)
    if session.json:
        output.print_json(answer)
        return
    _print(session, answer, asked=bool(as_of))
    if by:
        _print_groups(session, answer, by)
    _print_freshness(session)


def programme_name(programme: str) -> str:
    """Give the resource name of a programme given by id or name; empty stays empty."""
    return programme if not programme or "/" in programme else f"programmes/{programme}"


def date_message(date: PartialDate) -> date_pb2.PartialDate:
    """Write a date for a request."""
    return date_pb2.PartialDate(year=date.year, month=date.month, day=date.day)


def print_summary(session: Session, at_least: str) -> None:
    """Print the one line of figures, current through a revision."""
    answer = session.call(session.status.GetCompletion, pb.GetCompletionRequest(at_least=[at_least]))
    output.line(summary(session, answer))


def summary(session: Session, answer: pb.GetCompletionResponse) -> str:
    """Give the one line of figures."""
    total = answer.total
    return session.word(
        "screen.summary.line",
        completed=figures.number(total.completed, session.lang),
        planned=figures.number(total.planned, session.lang),
        percent=figures.percent(total.completed, total.planned, session.lang),
        not_reported=figures.number(total.not_reported, session.lang),
        as_of=output.date(answer.facts_through),
    )


def _print(session: Session, answer: pb.GetCompletionResponse, *, asked: bool) -> None:
    total, lang = answer.total, session.lang
    target = answer.target_date
    name = answer.programme_display_name or answer.programme
    if target.year:
        words = figures.when(target.year, target.month, target.day, at_latest=bool(target.day), lang=lang)
        output.line(session.word("screen.status.title", programme=name, target=words))
    else:
        output.line(session.word("screen.status.title_without_target", programme=name))
    output.line(session.word("screen.status.as_of", as_of=output.date(answer.as_of if asked else answer.facts_through)))
    count = figures.number
    rows = [
        ("count.completed", total.completed, figures.percent(total.completed, total.planned, lang)),
        (
            "count.in_progress",
            total.in_progress,
            session.word("screen.status.blocked", blocked=count(total.blocked, lang)),
        ),
        ("count.uncertain", total.uncertain, ""),
        ("count.suspended", total.suspended, ""),
        ("count.withdrawn", total.withdrawn, ""),
        ("count.not_reported", total.not_reported, session.word("screen.status.not_reported")),
    ]
    output.table(
        ("", "", ""),
        [
            (
                f"  {session.word(key)}",
                f"{count(number, lang)} / {count(total.planned, lang)}"
                if key == "count.completed"
                else count(number, lang),
                note,
            )
            for key, number, note in rows
        ],
        right=(1,),
    )
    _print_needed(session, answer, asked=asked)


def _print_needed(session: Session, answer: pb.GetCompletionResponse, *, asked: bool) -> None:
    remaining = answer.total.planned - answer.total.completed
    if not remaining:
        output.line(session.word("screen.status.all_done"))
        return
    basis = answer.as_of if asked else answer.facts_through
    if not basis.year or not answer.target_date.year:
        return
    last = _last_day(answer.target_date)
    per_month = figures.needed_per_month(remaining, _last_day(basis), last)
    if per_month is not None:
        needed = figures.number(per_month, session.lang)
        left = figures.number(remaining, session.lang)
        output.line(session.word("screen.status.needed", remaining=left, per_month=needed, date=figures.day(last)))


def _last_day(message: date_pb2.PartialDate) -> date:
    return PartialDate(message.year, message.month, message.day).last_day()


def _print_groups(session: Session, answer: pb.GetCompletionResponse, by: str) -> None:
    lang = session.lang
    rows = []
    for group in answer.groups:
        key = session.word(f"stage.{group.key}") if by == "stage" and group.key else group.key
        counts = group.counts
        rows.append(
            (
                key or session.word("term.not_known"),
                figures.number(counts.planned, lang),
                figures.number(counts.completed, lang),
                figures.percent(counts.completed, counts.planned, lang),
                figures.number(counts.in_progress, lang),
                figures.number(counts.not_reported, lang),
            ),
        )
    headers = [session.word(key) for key in (f"term.{by}", "count.planned", "count.completed")]
    headers += ["%", session.word("count.in_progress"), session.word("count.not_reported")]
    output.table(headers, rows, right=(1, 2, 3, 4, 5))
    if answer.groups_overlap:
        output.line(session.word("screen.status.groups_overlap"))


def _print_freshness(session: Session) -> None:
    answer = session.call(session.status.GetFreshness, pb.GetFreshnessRequest())
    if all(source.state == freshness_pb2.FOLLOW_STATE_CURRENT for source in answer.sources):
        output.line(session.word("screen.status.up_to_date"))
    else:
        rows = sum(source.lag_rows for source in answer.sources)
        output.line(session.word("screen.status.behind", rows=figures.number(rows, session.lang)))
