"""How messages of the services look as text, and how typed values become messages.

Invariant: a figure is never given without its denominator, its share, what is not reported and its date.
"""

import re
import shlex
from datetime import datetime, time
from typing import Any, Protocol

from services.cli.session import UsageProblemError
from services.common.dates import parse_date as parse_typed_date
from services.common.errors import Refusal
from services.common.figures import NOTHING, VIETNAM, number, partial_date, percent, slot_name, when
from services.common.words import Lang, reworded, word
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2
from tiendo.status.v1 import status_service_pb2


class EnumType(Protocol):
    """A generated enum, from its wrapper."""

    def Name(self, number: Any) -> str:  # noqa: N802
        """Give the name of a value."""

    def keys(self) -> list[str]:
        """Give all names."""


def short(enum: EnumType, value: int, prefix: str) -> str:
    """Give the short form of an enum value: STAGE_BUILT is BUILT; a value this version does not know is its number."""
    try:
        return str(enum.Name(value)).removeprefix(prefix)
    except ValueError:
        return str(value)


def choose(text: str, enum: EnumType, prefix: str, lang: Lang) -> str:
    """Give the full name of the value that was typed in its short form. Raises UsageProblemError naming the choices."""
    name = prefix + re.sub(r"[\s.-]+", "_", text.strip()).upper().removeprefix(prefix)
    choices = [key for key in enum.keys() if not key.endswith("_UNSPECIFIED")]  # noqa: SIM118
    if name not in choices:
        listed = ", ".join(key.removeprefix(prefix) for key in choices)
        raise UsageProblemError(word("screen.common.unknown_choice", lang, value=text, choices=listed))
    return name


def stage_code(stage: int) -> str:
    """Give a stage as commands take it."""
    return short(integration_pb2.Stage, stage, "STAGE_")


def stage_text(stage: int, lang: Lang) -> str:
    """Name a stage in a line: the code in English, which is what commands take, the term in Vietnamese."""
    code = stage_code(stage)
    return word(f"stage.{code}", lang) if lang is Lang.VI else code


def condition_text(condition: int, lang: Lang) -> str:
    """Name a condition; the usual one is not shown."""
    code = short(integration_pb2.Condition, condition, "CONDITION_")
    return "" if code == "ACTIVE" else word(f"condition.{code}", lang)


def parse_date(text: str, lang: Lang) -> date_pb2.PartialDate:
    """Read a date as people type it. Raises UsageProblemError."""
    try:
        typed = parse_typed_date(text)
    except Refusal:
        raise UsageProblemError(word("screen.common.wrong_date", lang, text=text)) from None
    return date_pb2.PartialDate(year=typed.year, month=typed.month, day=typed.day)


def parse_time(text: str, lang: Lang) -> datetime:
    """Read an instant; without an offset it is Vietnam time, and a date alone means its end. Raises UsageProblemError."""
    try:
        typed = parse_typed_date(text)
        return datetime.combine(typed.last_day(), time.max, VIETNAM)
    except Refusal:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageProblemError(word("screen.common.wrong_time", lang, text=text)) from None
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=VIETNAM)


def effective_date(text: str | None, lang: Lang, *, at_latest: bool = False) -> date_pb2.EffectiveDate | None:
    """Make the effective date that was typed; None leaves it to the service. Raises UsageProblemError."""
    if not text:
        return None
    return date_pb2.EffectiveDate(date=parse_date(text, lang), at_latest=at_latest)


def evidence(texts: list[str] | None) -> list[provenance_pb2.Evidence]:
    """Make evidence of what was typed: an address becomes the link, anything else the note."""
    return [
        provenance_pb2.Evidence(link=text)
        if text.startswith(("http://", "https://"))
        else provenance_pb2.Evidence(note=text)
        for text in texts or []
    ]


def evidence_text(entries: Any) -> str:
    """Show evidence in one line."""
    return "; ".join(part for each in entries for part in (each.document_number, each.note, each.link) if part)


def date_text(date: date_pb2.PartialDate) -> str:
    """Show a date as precise as it is known."""
    return partial_date(date.year, date.month, date.day)


def when_text(date: date_pb2.EffectiveDate, lang: Lang) -> str:
    """Say in a sentence when something happened."""
    return when(date.date.year, date.date.month, date.date.day, at_latest=date.at_latest, lang=lang)


def effective_text(date: date_pb2.EffectiveDate, lang: Lang) -> str:
    """Show an effective date in a column: "05/10/2022", "by 09/2022"."""
    return when_text(date, lang) if date.at_latest else date_text(date.date)


def title(display_name: str, plan_number: int, lang: Lang) -> str:
    """Give a service's name, or its number in the plan (0: none, or not known) while it has none."""
    if display_name:
        return display_name
    return slot_name(plan_number, lang) if plan_number else word("naming.UNNAMED", lang)


def plan_number(service: service_pb2.Service) -> int:
    """Give a service's first number in a plan; 0 where it has none."""
    return next((each.plan_number for each in service.memberships if each.plan_number), 0)


def as_of_text(reply: status_service_pb2.GetCompletionResponse, *, asked: bool) -> str:
    """Say what a figure is as of: the day asked about, else the latest report."""
    return date_text(reply.as_of if asked or not reply.facts_through.year else reply.facts_through)


def figure_line(reply: status_service_pb2.GetCompletionResponse, lang: Lang, *, asked: bool = False) -> str:
    """Give the one line that says how complete a programme is."""
    total = reply.total
    return word(
        "screen.summary.line",
        lang,
        completed=number(total.completed, lang),
        planned=number(total.planned, lang),
        percent=percent(total.completed, total.planned, lang),
        not_reported=number(total.not_reported, lang),
        as_of=as_of_text(reply, asked=asked),
    )


_TRANSITION_EVENT = {"ADVANCED": "advanced", "REVERTED": "reverted"}


def transition_text(transition: transition_pb2.Transition, lang: Lang) -> str:
    """Say what an entry of a history did."""
    kind = short(transition_pb2.TransitionKind, transition.kind, "TRANSITION_KIND_")
    if kind in _TRANSITION_EVENT:
        text = word(
            "screen.integration.moved_short",
            lang,
            from_stage=stage_text(transition.from_stage, lang),
            to_stage=stage_text(transition.to_stage, lang),
        )
    else:
        text = word(f"event.service.{kind.lower()}", lang)
    if transition.HasField("correction"):
        text += f" #{transition.correction.transition}"
    if transition.annulled_by:
        return f"{text} {word('screen.integration.history_annulled', lang)}"
    if transition.redated_by:
        return f"{text} {word('screen.integration.history_redated', lang)}"
    return text


def entry_text(transition: transition_pb2.Transition, lang: Lang) -> str:
    """Name an entry that is being corrected: by the stage it reached, else by what it did."""
    kind = short(transition_pb2.TransitionKind, transition.kind, "TRANSITION_KIND_")
    if kind in _TRANSITION_EVENT:
        return stage_text(transition.to_stage, lang)
    return word(f"event.service.{kind.lower()}", lang)


def answer_text(check: integration_pb2.PortalCheck, lang: Lang) -> str:
    """Say what a portal answered, and why it counts as unreachable."""
    text = word(f"portal_answer.{short(integration_pb2.PortalAnswer, check.answer, 'PORTAL_ANSWER_')}", lang)
    return f"{text}: {detail_text(check.detail, lang)}" if check.detail else text


def detail_text(detail: str, lang: Lang) -> str:
    """Put the service's English words about an unreachable portal into the reader's language, where they are known."""
    return reworded("portal_detail", detail, lang)


def or_nothing(text: str) -> str:
    """Give the text, or a dash where there is none."""
    return text or NOTHING


def rest_command(command: str, *arguments: str, **options: str) -> str:
    """Give the command that lists all of what was asked for; options that were not given are left out."""
    given = [part for name, value in options.items() if value for part in (f"--{name.replace('_', '-')}", value)]
    return f"tiendo {command} {shlex.join([*arguments, *given, '--limit', '0'])}"
