"""One service: what is known of it and from where, how far it is, and everything that was recorded.

Invariant: nothing that was recorded is left out: a corrected or annulled entry is shown, and marked as such.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.common.figures import NOTHING
from services.common.words import reworded
from services.status import domain
from services.status.domain import (
    BEGINNING,
    EVERYTHING,
    Condition,
    Correction,
    Evidence,
    Outcome,
    Provenance,
    ServiceHistory,
    ServiceVersion,
    Step,
    StepKind,
    standing,
)
from services.status.storage import State
from services.status.web.asked import Asked
from services.status.web.desk import Desk, data_reference
from services.status.web.pages.day import Day, day_of
from services.status.web.wording import Words

CHECKS = ("IDENTITY", "POPULATION_DATABASE", "PAYMENT", "DOSSIER_SYNCHRONISATION", "POST", "E_FORM")
PORTALS = ("MINISTRY", "NATIONAL")
_MOVES = {StepKind.ADVANCED, StepKind.REVERTED}


@dataclass(frozen=True, slots=True)
class Fact:
    """A value with its term, and where it comes from: the kind in words and the number of its citation."""

    term: str
    values: tuple[str, ...]
    source: str
    note: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the history."""

    number: int
    date: str
    recorded: str
    what: str
    mark: str
    struck: bool
    actor: str
    reason: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """How one connection check stands."""

    name: str
    state: str
    state_text: str
    date: str
    actor: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Portal:
    """Where a portal shows the service, who told so, and what it answers."""

    name: str
    uri: str
    recorded: str
    answer: str
    away: bool
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """The page."""

    id: str
    alias: str
    title: str
    slot: bool
    gloss: str
    number: str
    day: Day
    stage: str
    outcome: str
    outcome_text: str
    condition: str
    since: str
    uncertain: bool
    retired: str
    facts: tuple[Fact, ...]
    citations: tuple[str, ...]
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    portals: tuple[Portal, ...]


async def service(desk: Desk, ask: Asked, words: Words, service_id: str) -> dict[str, Any]:
    """Give the page of a service by its id or any alias it ever had. Raises Refusal SERVICE_NOT_FOUND."""
    state = desk.live.current
    found = service_id if service_id in state.model.services else state.aliases.get(service_id, "")
    history = state.model.services.get(found)
    version = history.version_at(ask.known_at or EVERYTHING) if history else None
    if history is None or version is None:
        raise Refusal(
            Reason.SERVICE_NOT_FOUND, f"there is no {service_id}", field="service", metadata={"name": service_id}
        )
    asked = ("service", found, ask.lang, ask.programme, ask.as_of, ask.known_at)
    view: View = await desk.work_out(state, asked, lambda: _view(desk, state, ask, words, history, version))
    return {"page": "service", "view": view, "reference": data_reference(state)}


def _view(desk: Desk, state: State, ask: Asked, words: Words, history: ServiceHistory, version: ServiceVersion) -> View:
    day, known_at = day_of(desk, state, ask, words), ask.known_at or EVERYTHING
    programme = state.model.programme(ask.programme).as_known(known_at)
    reading = domain.read(history, day.day, known_at, programme.first_day())
    chain = history.chain_at(known_at)
    certain = [link for link in chain if link.certain <= day.day]
    number = next((number for name, number in version.memberships if name == ask.programme), 0)
    citations: dict[str, int] = {}
    facts = tuple(_facts(version, number, words, citations))
    entries = [entry for entry in history.entries if entry.recorded <= known_at]
    checks = history.checks_at(known_at)
    return View(
        history.id,
        version.alias,
        words.title(version.display_name, number),
        not version.display_name,
        version.english_gloss,
        str(number) if number else NOTHING,
        day,
        words.stage(reading.stage),
        reading.outcome.name.lower(),
        words.outcome(reading.outcome),
        "" if reading.condition is Condition.ACTIVE else words(f"condition.{reading.condition.name}"),
        words.effective(certain[-1].effective) if certain else "",
        reading.outcome is Outcome.UNCERTAIN,
        version.replaced_by if version.retired and version.replaced_by else "-" if version.retired else "",
        facts,
        tuple(citations),
        tuple(_entries(entries, words))[::-1],
        tuple(_check(name, checks.get(name), words) for name in CHECKS),
        tuple(_portals(history, known_at, words)),
    )


def _portals(history: ServiceHistory, known_at: datetime, words: Words) -> Iterator[Portal]:
    links, answers = history.links_at(known_at), history.portals_at(known_at)
    for portal in PORTALS:
        name, link, answer = words(f"portal.{portal}"), links.get(portal), answers.get(portal)
        if link is None:
            yield Portal(name, "", "", "", away=False, detail="")
            continue
        recorded = words("page.recorded_by", actor=link.actor or NOTHING, time=words.instant(link.recorded))
        if answer is None:
            yield Portal(name, link.uri, recorded, "", away=False, detail="")
            continue
        text = words(f"portal_answer.{'REACHABLE' if answer.reachable else 'UNREACHABLE'}")
        shown = words("page.portal_answered", answer=text, time=words.instant(answer.recorded))
        detail = reworded("portal_detail", answer.detail, words.lang)
        yield Portal(name, link.uri, recorded, shown, away=not answer.reachable, detail=detail)


def _facts(version: ServiceVersion, number: int, words: Words, citations: dict[str, int]) -> Iterator[Fact]:
    def fact(term: str, paths: tuple[str, ...], *values: str) -> Fact:
        source = _source(version.provenance, paths)
        text = words.known("provenance", source.kind) if source and values else ""
        note = citations.setdefault(source.citation, len(citations) + 1) if text and source and source.citation else 0
        return Fact(words(f"term.{term}"), tuple(values), text, note)

    def period(begin: PartialDate | None, end: PartialDate | None) -> str:
        parts = [words("page.from_date", date=begin.show())] if begin else []
        parts += [words("page.to_date", date=end.show())] if end else []
        return f" ({', '.join(parts)})" if parts else ""

    yield fact("display_name", ("display_name",), *filter(None, (version.display_name,)))
    yield fact("english_gloss", ("english_gloss",), *filter(None, (version.english_gloss,)))
    yield fact("plan_number", ("memberships.plan_number", "memberships"), *filter(None, (str(number or ""),)))
    yield fact("procedure_code", ("procedure_codes",), *(code + period(a, b) for code, a, b in version.codes))
    yield fact("field", ("field",), *filter(None, (version.field,)))
    yield fact("agency", ("agencies",), *(agency + period(a, b) for agency, a, b in version.agencies))
    yield fact("level", ("levels",), *version.levels)
    yield fact("audience", ("audiences",), *version.audiences)
    yield fact("channel", ("channels",), *version.channels)
    yield fact("online_level", ("online_levels",), *(_online(level, words) for level in version.online_levels))


def _online(level: domain.OnlineLevel, words: Words) -> str:
    shown = words.known("page", f"online_{level.scheme}_{level.level}")
    if shown.startswith("online_"):
        shown = words("page.online_level_of", level=level.level, scheme=level.scheme.replace("_", "/"))
    return f"{shown} ({level.date.show()})" if level.date else shown


def _source(provenance: tuple[Provenance, ...], paths: tuple[str, ...]) -> Provenance | None:
    by_field = {entry.field: entry for entry in provenance}
    return next((by_field[path] for path in (*paths, "") if path in by_field), None)


def _entries(entries: list[domain.Entry], words: Words) -> Iterator[Entry]:
    corrections = [entry for entry in entries if isinstance(entry, Correction)]
    annulled = {correction.target for correction in corrections if correction.annul}
    redated = {correction.target for correction in corrections if not correction.annul}
    by_number = {entry.number: entry for entry in entries}
    for place, entry in enumerate(entries):
        before = standing(entries[:place])
        stage = before[-1].stage if before else BEGINNING[0]
        mark, struck = "", False
        if isinstance(entry, Correction):
            target = by_number.get(entry.target)
            was = words.effective(target.effective if isinstance(target, Step) else None)
            what = words("page.entry_annuls" if entry.annul else "page.entry_redates", number=entry.target, date=was)
            date = words.effective(entry.effective)
        else:
            date = words.effective(entry.effective)
            what = words(f"event.service.{entry.kind.name.lower()}")
            if entry.kind in _MOVES and entry.stage:
                what = f"{words.stage(stage)} → {words.stage(entry.stage)}"
            if entry.number in annulled:
                mark, struck = words("page.annulled"), True
            elif entry.number in redated:
                mark, struck = words("page.redated"), False
        yield Entry(
            entry.number,
            date,
            words.instant(entry.recorded),
            what,
            mark,
            struck,
            entry.actor or NOTHING,
            entry.reason,
            tuple(words.evidence(entry.evidence)),
        )


def _check(name: str, report: domain.CheckReport | None, words: Words) -> Check:
    state = report.state if report else "UNKNOWN"
    return Check(
        words(f"check.{name}"),
        state.lower(),
        words(f"check_state.{state}"),
        words.effective(report.effective) if report else NOTHING,
        report.actor if report else "",
        tuple(words.evidence(report.evidence)) if report else (),
    )
