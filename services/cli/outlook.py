"""What is ahead and what stands in the way: the forecast, and what wants attention.

Invariant: where nobody can tell, the screen says so and why; what is not reported is a number, never a list.
"""

from collections.abc import Iterable
from typing import Annotated

import typer

from services.cli.client import pages
from services.cli.output import (
    choose,
    date_text,
    detail_text,
    effective_text,
    parse_date,
    rest_command,
    short,
    title,
    when_text,
)
from services.cli.session import Session, command
from services.cli.status import last_day, programme_name, programme_title, title_line
from services.common.figures import day, number, percent
from services.common.words import Lang
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import attention_pb2, forecast_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_KIND = "ATTENTION_KIND_"
_STATE = "FORECAST_STATE_"
_WIDTH = 40

AsOfOption = Annotated[str | None, typer.Option("--as-of", help="The day asked about: 30/09/2022, 09/2022, 2022.")]
ProgrammeOption = Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")]


def forecast_lines(reply: pb.GetForecastResponse, session: Session) -> list[str]:
    """Lay out a forecast, line by line."""
    lang, word = session.lang, session.word
    state = short(forecast_pb2.ForecastState, reply.state, _STATE)
    lines = [
        word("screen.status.as_of", as_of=date_text(reply.facts_through if reply.facts_through.year else reply.as_of))
    ]
    if state == "COMPLETED":
        return [*lines, word("screen.status.all_done")]

    def line(label: str, value: str) -> str:
        return f"  {label:<{_WIDTH}}{value}"

    lines.append(line(word("screen.forecast.remaining"), number(reply.remaining, lang)))
    if reply.HasField("needed_per_month"):
        needed = word(
            "screen.forecast.until", number=number(reply.needed_per_month, lang), date=day(last_day(reply.target_date))
        )
        lines.append(line(word("term.needed_pace"), needed))
    actual = _decimal(reply.actual_per_month, lang) if reply.HasField("actual_per_month") else ""
    lines.append(line(word("term.actual_pace"), actual or word("screen.forecast.too_little")))
    for finish in reply.finish_dates:
        label = word("screen.forecast.finish", percent=finish.percent)
        lines.append(
            line(label, date_text(finish.date) if finish.date.year else word("screen.forecast.not_in_ten_years"))
        )
    if reply.HasField("target_chance") and reply.HasField("needed_per_month"):
        label = word("screen.forecast.target_chance", date=day(last_day(reply.target_date)))
        lines.append(line(label, percent(round(reply.target_chance * 10_000), 10_000, lang)))
    basis = reply.basis
    figures = {"dates": basis.distinct_dates, "weeks": basis.weeks, "completions": basis.dated_completions}
    least = {"least_dates": basis.minimum_distinct_dates, "least_weeks": basis.minimum_weeks}
    values = figures if state == "AVAILABLE" else figures | least if state == "TOO_LITTLE_HISTORY" else {}
    lines.append(word(f"forecast.{state}", **{name: number(value, lang) for name, value in values.items()}))
    return lines


def _decimal(value: float, lang: Lang) -> str:
    return f"{value:.1f}".replace(".", "," if lang is Lang.VI else ".")


def forecast(session: Session, as_of: AsOfOption = None, programme: ProgrammeOption = "") -> None:
    """Show when the plan may be complete, and the pace that the target asks for."""
    client = session.client
    request = pb.GetForecastRequest(programme=programme_name(programme))
    if as_of:
        request.as_of.CopyFrom(parse_date(as_of, session.lang))
    reply = client.status.GetForecast(request)
    if session.as_json:
        session.show_json(reply)
        return
    completion = pb.GetCompletionRequest(programme=request.programme, as_of=request.as_of)
    counted = client.status.GetCompletion(completion)
    session.say(title_line(counted, session.lang, programme_title(session, counted)), *forecast_lines(reply, session))


def attention_lines(reply: pb.ListAttentionResponse, session: Session) -> list[str]:
    """Lay out what wants attention: by reason, each with the command that mends it; then what has passed."""
    lang, word = session.lang, session.word
    counts = {count.kind: count.count for count in reply.counts}
    lines: list[str] = []
    for kind in dict.fromkeys(item.kind for item in reply.items):
        lines.append(f"{_kind_text(kind, session)} ({number(counts[kind], lang)})")
        for item in reply.items:
            if item.kind == kind:
                lines += [f"  {'  '.join(_parts(item, session))}", f"      {item.command}"]
    if reply.HasField("target_passed"):
        passed = reply.target_passed
        shown = {name: number(getattr(passed, name), lang) for name in ("planned", "completed", "not_reported")}
        lines.append(
            word(
                "screen.status.target_passed",
                target=when_text(date_pb2.EffectiveDate(date=passed.target_date), lang),
                **shown,
            )
        )
    elif reply.not_reported:
        lines.append(word("screen.attention.not_reported", not_reported=number(reply.not_reported, lang)))
    return lines or [word("screen.attention.nothing")]


def _kind_text(kind: int, session: Session) -> str:
    name = short(attention_pb2.AttentionKind, kind, _KIND)
    try:
        return session.word(f"attention.{name}")
    except KeyError:
        return name


def _parts(item: attention_pb2.AttentionItem, session: Session) -> Iterable[str]:
    lang, word = session.lang, session.word
    yield item.service.rpartition("/")[2]
    yield title(item.display_name, item.plan_number, lang)
    if item.check:
        yield word(f"check.{short(integration_pb2.Check, item.check, 'CHECK_')}")
    if item.portal:
        yield word(f"portal.{short(integration_pb2.Portal, item.portal, 'PORTAL_')}_short")
    yield word("screen.attention.since", date=effective_text(item.since, lang), days=number(item.days, lang))
    yield from (text for text in (item.agency, item.reason, detail_text(item.detail, lang)) if text)


def attention(
    session: Session,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this reason; may be given again.")] = None,
    as_of: AsOfOption = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0: all.")] = 50,
    programme: ProgrammeOption = "",
) -> None:
    """Show what holds the programme up: why, since when, and the command that mends it."""
    client = session.client
    names = [choose(text, attention_pb2.AttentionKind, _KIND, session.lang) for text in kind or []]
    request = pb.ListAttentionRequest(
        programme=programme_name(programme),
        kinds=[attention_pb2.AttentionKind.Value(name) for name in names],
        page_size=min(limit, 1000) if limit else 1000,
    )
    if as_of:
        request.as_of.CopyFrom(parse_date(as_of, session.lang))
    whole = pb.ListAttentionResponse()
    for page in pages(client, client.status.ListAttention, request, limit):
        items = [*whole.items, *page.items]
        whole = page
        del whole.items[:]
        whole.items.extend(items)
    more = bool(whole.next_page_token)
    whole.next_page_token = ""
    if session.as_json:
        session.show_json(whole)
        return
    session.say(*attention_lines(whole, session))
    if more:
        wanted = {"as_of": as_of or "", "programme": programme}
        arguments = [part for name in kind or [] for part in ("--kind", name)]
        session.say(
            session.word(
                "screen.attention.more",
                shown=number(len(whole.items), session.lang),
                command=rest_command("attention", *arguments, **wanted),
            )
        )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "forecast")(forecast)
    command(app, "attention")(attention)
