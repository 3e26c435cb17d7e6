"""How complete the programme is, as of when.

Invariant: the lines add up to what is planned, and silence is called "not reported", never "not started".
"""

import calendar
from datetime import UTC, date
from typing import Annotated

import typer

from services.cli.output import as_of_text, choose, figure_line, parse_date, parse_time
from services.cli.processes import run_module
from services.cli.session import Session, UsageProblemError, command
from services.client import Client, TiendoError
from services.common.figures import day, instant, number, percent, when
from services.common.words import Lang, word
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import completion_pb2, freshness_pb2, status_service_pb2

_LINES = ("in_progress", "uncertain", "suspended", "withdrawn", "not_reported")
_LOOK_SECONDS = 2.0


def figure(client: Client, lang: Lang, programme: str = "", at_least: tuple[str, ...] = ()) -> str:
    """Ask status for the one line that says how complete a programme is. Raises TiendoError."""
    request = status_service_pb2.GetCompletionRequest(programme=programme, at_least=at_least)
    return figure_line(client.status.GetCompletion(request), lang)


def show(session: Session, as_of: str | None, known_at: str | None, by: str | None, programme: str, only: str) -> None:
    """Show how complete a programme is, as of when."""
    lang = session.lang
    request = status_service_pb2.GetCompletionRequest(programme=programme_name(programme), filter=only)
    if as_of:
        request.as_of.CopyFrom(parse_date(as_of, lang))
    if known_at:
        request.known_at.FromDatetime(parse_time(known_at, lang))
    if only and not as_of:
        request.as_of.CopyFrom(_latest_report(session, request))
    if by:
        request.group_by = completion_pb2.GroupBy.Value(choose(by, completion_pb2.GroupBy, "GROUP_BY_", lang))
    reply = session.client.status.GetCompletion(request)
    if session.as_json:
        session.show_json(reply)
        return
    name = programme_title(session, reply)
    pace = None if only else _needed(session, request)
    lines = screen(reply, lang, name=name, asked=bool(as_of or only), known_at=bool(known_at), pace=pace, only=only)
    session.say(*lines)
    if by:
        _groups(session, reply, request.group_by)
    session.say(_freshness(session))


def _latest_report(session: Session, asked: status_service_pb2.GetCompletionRequest) -> date_pb2.PartialDate:
    """Ask what the whole plan's figures are as of: the services let through may have no report of their own."""
    request = status_service_pb2.GetCompletionRequest()
    request.CopyFrom(asked)
    request.ClearField("filter")
    whole = session.client.status.GetCompletion(request)
    return whole.facts_through if whole.facts_through.year else whole.as_of


def _needed(session: Session, asked: status_service_pb2.GetCompletionRequest) -> int | None:
    """Ask how many a month complete the plan in time; None where no pace does."""
    request = status_service_pb2.GetForecastRequest(programme=asked.programme, as_of=asked.as_of)
    if asked.HasField("known_at"):
        request.known_at.CopyFrom(asked.known_at)
    reply = session.client.status.GetForecast(request)
    return reply.needed_per_month if reply.HasField("needed_per_month") else None


def programme_name(text: str) -> str:
    """Make a resource name of what was typed: an id, a name, or nothing for the default."""
    return text if not text or "/" in text else f"programmes/{text}"


def programme_title(session: Session, reply: status_service_pb2.GetCompletionResponse) -> str:
    """Name the programme: in English by the catalog's gloss where there is one and the catalog answers."""
    if session.lang is Lang.EN:
        request = catalog_service_pb2.GetProgrammeRequest(name=reply.programme)
        try:
            found = session.client.catalog.GetProgramme(request, timeout=_LOOK_SECONDS)
        except TiendoError:
            return reply.programme_display_name
        return found.programme.english_gloss or reply.programme_display_name
    return reply.programme_display_name


def title_line(reply: status_service_pb2.GetCompletionResponse, lang: Lang, name: str) -> str:
    """Give a screen's first line: the programme and by when it is to be complete."""
    if not reply.target_date.year:
        return word("screen.status.title_without_target", lang, programme=name)
    return word("screen.status.title", lang, programme=name, target=_target_words(reply, lang))


def _target_words(reply: status_service_pb2.GetCompletionResponse, lang: Lang) -> str:
    target = reply.target_date
    return when(target.year, target.month, target.day, at_latest=False, lang=lang)


def screen(
    reply: status_service_pb2.GetCompletionResponse,
    lang: Lang,
    *,
    name: str,
    asked: bool = False,
    known_at: bool = False,
    pace: int | None = None,
    only: str = "",
) -> list[str]:
    """Lay out the answer, line by line.

    `pace` is how many a month complete the plan in time, `only` the filter where a part of the plan was asked for: what
    the whole plan still needs is then not said.
    """
    session = Session(lang, False, "")
    word, total = session.word, reply.total
    lines = [title_line(reply, lang, name)]
    lines.append(word("screen.status.as_of", as_of=as_of_text(reply, asked=asked)))
    if known_at:
        lines.append(word("screen.status.known_at", time=instant(reply.known_at.ToDatetime(tzinfo=UTC), seconds=True)))
    if only:
        lines.append(word("report.filter", filter=only))
    share = percent(total.completed, total.planned, lang)
    planned = f"{number(total.completed, lang):>5} / {number(total.planned, lang)}"
    lines.append(f"  {word('count.completed'):<24}{planned}{share:>9}")
    notes = {
        "in_progress": word("screen.status.blocked", blocked=number(total.blocked, lang)),
        "not_reported": word("screen.status.not_reported"),
    }
    for line in _LINES:
        text = f"  {word(f'count.{line}'):<24}{number(getattr(total, line), lang):>5}"
        lines.append(f"{text}{' ' * 11}{notes[line]}" if line in notes else text)
    if not only:
        lines.extend(_outlook(session, reply, pace, asked=asked))
    return lines


def _outlook(
    session: Session, reply: status_service_pb2.GetCompletionResponse, pace: int | None, *, asked: bool
) -> list[str]:
    total = reply.total
    remaining = total.planned - total.completed
    if not remaining:
        return [session.word("screen.status.all_done")]
    if not reply.target_date.year:
        return []
    target = last_day(reply.target_date)
    if pace is None or (asked and last_day(reply.as_of) >= target):
        counts = {"completed": total.completed, "planned": total.planned, "not_reported": total.not_reported}
        shown = {name: number(value, session.lang) for name, value in counts.items()}
        return [session.word("screen.status.target_passed", target=_target_words(reply, session.lang), **shown)]
    return [
        session.word(
            "screen.status.needed",
            remaining=number(remaining, session.lang),
            per_month=number(pace, session.lang),
            date=day(target),
        )
    ]


def last_day(partial: date_pb2.PartialDate) -> date:
    """Give the last day of a date's period; it has a year."""
    month = partial.month or 12
    return date(partial.year, month, partial.day or calendar.monthrange(partial.year, month)[1])


def _groups(
    session: Session, reply: status_service_pb2.GetCompletionResponse, group_by: completion_pb2.GroupBy.ValueType
) -> None:
    lang, word = session.lang, session.word
    kind = completion_pb2.GroupBy.Name(group_by).removeprefix("GROUP_BY_").lower()
    unknown_key = f"term.{kind}_not_known" if kind != "stage" else "term.not_known"
    rows = []
    for group in reply.groups:
        counts = group.counts
        key = word(f"stage.{group.key}") if kind == "stage" and group.key else group.key
        rows.append(
            [
                word(unknown_key) if group.not_known else key,
                *(number(value, lang) for value in (counts.planned, counts.completed)),
                percent(counts.completed, counts.planned, lang),
                *(number(value, lang) for value in (counts.in_progress, counts.blocked, counts.not_reported)),
            ]
        )
    names = ("planned", "completed", "share", "in_progress", "blocked", "not_reported")
    headers = [word(f"term.{kind}"), *(word(f"screen.status.column_{name}") for name in names)]
    session.say("")
    session.table(headers, rows, numbers=range(1, 7))
    if reply.groups_overlap:
        session.say(word("screen.status.groups_overlap"))
    session.say("")


def _freshness(session: Session) -> str:
    reply = session.client.status.GetFreshness(status_service_pb2.GetFreshnessRequest())
    away = [
        source.source
        for source in reply.sources
        if source.state in {freshness_pb2.FOLLOW_STATE_UNREACHABLE, freshness_pb2.FOLLOW_STATE_HALTED}
    ]
    if away:
        return session.word("screen.status.not_followed", source=", ".join(away))
    behind = sum(source.lag_rows for source in reply.sources)
    if behind:
        return session.word("screen.status.behind", rows=number(behind, session.lang))
    return session.word("screen.status.up_to_date")


def status(
    session: Session,
    action: Annotated[
        str, typer.Argument(metavar="[rebuild]", help="rebuild: refold the figures from the journals.")
    ] = "",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The day asked about: 30/09/2022, 09/2022, 2022.")
    ] = None,
    known_at: Annotated[str | None, typer.Option("--known-at", help="Only what was recorded up to then.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Divide by field, agency, level or stage.")] = None,
    only: Annotated[str, typer.Option("--filter", help="Only these services, such as: outcome = IN_PROGRESS.")] = "",
    programme: Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")] = "",
) -> None:
    """Show how complete a programme is, as of when; `rebuild` refolds the figures from the journals."""
    if action == "rebuild":
        run_module(session, "status", "rebuild")
    elif action:
        raise UsageProblemError(session.word("screen.common.unknown_choice", value=action, choices="rebuild"))
    else:
        show(session, as_of, known_at, by, programme, only)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "status")(status)
