"""What a report's lists hold: a service as it stands on the day, an entry of its history.

Invariant: a line follows from one service's history and the question alone.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

from services.common.dates import EffectiveDate, PartialDate
from services.status.domain import (
    BEGINNING,
    Condition,
    Correction,
    EventKind,
    Evidence,
    Link,
    OnlineLevel,
    Provenance,
    Reading,
    ServiceHistory,
    ServiceVersion,
    Stage,
    Step,
    certain_of,
    standing,
)


class Asked(NamedTuple):
    """Which programme is asked about, on which day, by what was known when; `start` is the programme's first day."""

    programme_id: str
    day: date
    known_at: datetime
    start: date | None


class ServiceLine(NamedTuple):
    """A service as it stands on the day; empty texts, empty tuples and None are not known, a number 0 is none."""

    number: int
    id: str
    name: str
    english_gloss: str
    codes: tuple[str, ...]
    field: str
    agency: str
    levels: tuple[str, ...]
    audiences: tuple[str, ...]
    online_level: OnlineLevel | None
    reading: Reading
    completed: EffectiveDate | None
    certain_from: date | None
    evidence: tuple[Evidence, ...]
    blocked_reason: str
    ministry_link: str
    national_link: str
    provenance: tuple[Provenance, ...]


class EntryLine(NamedTuple):
    """An entry of a service's history; `target` is what a correction is about: its event and the date it had."""

    number: int
    id: str
    name: str
    event: EventKind
    annulled: bool
    from_stage: Stage | None
    to_stage: Stage | None
    effective: EffectiveDate | None
    recorded: datetime
    actor: str
    reason: str
    evidence: tuple[Evidence, ...]
    target: tuple[EventKind, EffectiveDate] | None = None


def service_line(asked: Asked, history: ServiceHistory, version: ServiceVersion, reading: Reading) -> ServiceLine:
    """Give a service as it stands on the day."""
    chain = history.chain_at(asked.known_at)
    happened = chain[: certain_of(chain, asked.day)]
    done = _completing(chain, asked.day, asked.start)
    links = history.links_at(asked.known_at)
    backing = done or (happened[-1] if happened else None)
    return ServiceLine(
        plan_number(version, asked.programme_id),
        history.id,
        version.display_name,
        version.english_gloss,
        tuple(code for code, begin, end in version.codes if _holds(begin, end, asked.day)),
        version.field,
        version.agency_on(asked.day),
        version.levels,
        version.audiences,
        _online_level(version.online_levels, asked.day),
        reading,
        done.effective if done else None,
        done.certain if done else None,
        backing.step.evidence if backing else (),
        _blocked_reason(happened),
        links["MINISTRY"].uri if "MINISTRY" in links else "",
        links["NATIONAL"].uri if "NATIONAL" in links else "",
        version.provenance,
    )


def entry_lines(asked: Asked, history: ServiceHistory, version: ServiceVersion) -> Iterator[EntryLine]:
    """Give what was recorded of steps that may have happened by the day, in the order recorded."""
    known = [entry for entry in history.entries if entry.recorded <= asked.known_at]
    annulled = {entry.target for entry in known if isinstance(entry, Correction) and entry.annul}
    number = plan_number(version, asked.programme_id)
    shown: dict[int, tuple[EventKind, EffectiveDate]] = {}
    for index, entry in enumerate(known):
        if isinstance(entry, Step):
            if entry.effective.possible_from(asked.start) > asked.day:
                continue
            shown[entry.number] = entry.event, entry.effective
        elif entry.target not in shown:
            continue
        before, after = _stage_after(known[:index]), _stage_after(known[: index + 1])
        yield EntryLine(
            number,
            history.id,
            version.display_name,
            entry.event if isinstance(entry, Step) else EventKind.SERVICE_CORRECTED,
            entry.number in annulled,
            before if before is not after else None,
            after if before is not after else None,
            entry.effective,
            entry.recorded,
            entry.actor,
            entry.reason,
            entry.evidence,
            shown[entry.target] if isinstance(entry, Correction) else None,
        )


def plan_number(version: ServiceVersion, programme_id: str) -> int:
    """Give a service's number in the plan, 0 where it has none."""
    return next((number for programme, number in version.memberships if programme == programme_id), 0)


def _completing(chain: Sequence[Link], day: date, start: date | None) -> Link | None:
    """Give the step that completed the service by the day, or may have; None where a later one surely undid it."""
    found: Link | None = None
    certain = certain_of(chain, day)
    for index, link in enumerate(chain):
        is_certain = index < certain
        if not is_certain and link.effective.possible_from(start) > day:
            break
        if link.step.stage is Stage.INTEGRATED:
            found = link
        elif link.step.stage is not None and is_certain:
            found = None
    return found


def _blocked_reason(happened: Sequence[Link]) -> str:
    if not happened or happened[-1].condition is not Condition.BLOCKED:
        return ""
    return next(link.step.reason for link in reversed(happened) if link.step.condition is Condition.BLOCKED)


def _holds(begin: PartialDate | None, end: PartialDate | None, day: date) -> bool:
    return (begin is None or begin.first_day() <= day) and (end is None or day <= end.last_day())


def _online_level(levels: Sequence[OnlineLevel], day: date) -> OnlineLevel | None:
    held = [level for level in levels if level.date is None or level.date.first_day() <= day]
    return max(held, key=lambda level: level.date.last_day() if level.date else date.min, default=None)


def _stage_after(entries: Sequence[Step | Correction]) -> Stage:
    chain = standing(entries)
    return chain[-1].stage if chain else BEGINNING[0]
