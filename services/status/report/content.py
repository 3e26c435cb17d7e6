"""What a report says, gathered from one state.

Invariant: every number is one that GetCompletion gives for the same question; a service's line and the line of the
summary that counts it follow from the same reading.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Reason, Refusal
from services.status.domain import (
    BEGINNING,
    EVERYTHING,
    Condition,
    Correction,
    Counts,
    EventKind,
    Evidence,
    Group,
    GroupBy,
    Link,
    OnlineLevel,
    Outcome,
    ProgrammeVersion,
    Provenance,
    Reading,
    ServiceHistory,
    ServiceVersion,
    Stage,
    Step,
    certain_of,
    listed,
    standing,
)
from services.status.storage import State
from services.status.usecases import Question, completion, parse_filter

_MOST_SOURCES = 6
_PROVENANCE_OF = {GroupBy.FIELD: "field", GroupBy.AGENCY: "agencies"}

Listed = tuple[ServiceHistory, ServiceVersion, Reading]
Halted = Callable[[], bool]
"""Tells that nobody waits for the report any more."""


class AbandonedError(Exception):
    """The report was given up half-way, for nobody waits for it."""


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


@dataclass(frozen=True)
class Report:
    """One report: `before` are the counts on the day compared with, `listed` is in the order of the plan.

    `made` is the instant it is known at, or when the state last changed.
    """

    programme_id: str
    programme: ProgrammeVersion
    as_of: PartialDate
    known_at: datetime
    filter: str
    total: Counts
    by_field: tuple[Group, ...]
    by_agency: tuple[Group, ...]
    compare: PartialDate | None
    before: Counts | None
    listed: Sequence[Listed]
    revisions: tuple[str, ...]
    made: datetime

    @property
    def is_all_known(self) -> bool:
        """Whether nothing that was recorded is left out."""
        return self.known_at == EVERYTHING

    @property
    def day(self) -> date:
        """The day asked about."""
        return self.as_of.last_day()

    def services(self) -> Iterator[ServiceLine]:
        """Give the services in the order of the plan."""
        return (self._service(*entry) for entry in self.listed)

    def completed(self) -> Iterator[ServiceLine]:
        """Give the services that are completed, in the order of the plan."""
        return (self._service(*entry) for entry in self.listed if entry[2].outcome is Outcome.COMPLETED)

    def blocked(self) -> Iterator[ServiceLine]:
        """Give the services whose work is held up, in the order of the plan."""
        return (
            self._service(*entry)
            for entry in self.listed
            if entry[2].outcome is Outcome.IN_PROGRESS and entry[2].condition is Condition.BLOCKED
        )

    def entries(self) -> Iterator[EntryLine]:
        """Give what was recorded of steps that may have happened by the day, service by service in the plan's order."""
        for history, version, _ in self.listed:
            if history.entries:
                yield from self._entries(history, version)

    def sources(self) -> list[str]:
        """Give the documents the figures rest on: the programme's citations, then those of the completed services.

        Citations of one document, the words before the first colon, are joined. At most 6 of each document are given.
        """
        cited = [entry for entry in self.programme.provenance if entry.kind == "SOURCE_DOCUMENT"]
        for _, version, reading in self.listed:
            if reading.outcome is Outcome.COMPLETED:
                cited += [entry for entry in version.provenance if entry.kind == "SOURCE_DOCUMENT"]
        return cite_documents(cited)

    def group_sources(self, by: GroupBy) -> dict[str, list[str]]:
        """Give for each group by its key how its members were put there: kinds of provenance by their short names."""
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for _, version, _ in self.listed:
            key = version.field if by is GroupBy.FIELD else version.agency_on(self.day)
            if key and (kind := source_kind(version.provenance, _PROVENANCE_OF[by])):
                found[key][kind] = None
        return {key: list(kinds) for key, kinds in found.items()}

    def _service(self, history: ServiceHistory, version: ServiceVersion, reading: Reading) -> ServiceLine:
        chain = history.chain_at(self.known_at)
        happened = chain[: certain_of(chain, self.day)]
        done = _completing(chain, self.day, self.programme.first_day())
        links = history.links_at(self.known_at)
        backing = done or (happened[-1] if happened else None)
        return ServiceLine(
            plan_number(version, self.programme_id),
            history.id,
            version.display_name,
            version.english_gloss,
            tuple(code for code, begin, end in version.codes if _holds(begin, end, self.day)),
            version.field,
            version.agency_on(self.day),
            version.levels,
            version.audiences,
            _online_level(version.online_levels, self.day),
            reading,
            done.effective if done else None,
            done.certain if done else None,
            backing.step.evidence if backing else (),
            _blocked_reason(happened),
            links["MINISTRY"].uri if "MINISTRY" in links else "",
            links["NATIONAL"].uri if "NATIONAL" in links else "",
            version.provenance,
        )

    def _entries(self, history: ServiceHistory, version: ServiceVersion) -> Iterator[EntryLine]:
        known = [entry for entry in history.entries if entry.recorded <= self.known_at]
        annulled = {entry.target for entry in known if isinstance(entry, Correction) and entry.annul}
        start, number = self.programme.first_day(), plan_number(version, self.programme_id)
        shown: dict[int, tuple[EventKind, EffectiveDate]] = {}
        for index, entry in enumerate(known):
            if isinstance(entry, Step):
                if entry.effective.possible_from(start) > self.day:
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


def gather(state: State, question: Question, compare: PartialDate | None, today: date) -> Report:
    """Gather what a report says; without a day it is as of the latest report, of what was known then.

    `compare` is an earlier day. Raises Refusal as `completion` does, or INVALID_DATE for `compare`.
    """
    whole = question._replace(filter="", by=None)
    as_of = question.as_of or completion(state, whole, today).facts_through or PartialDate.of_day(today)
    if compare is not None and compare.last_day() >= as_of.last_day():
        raise Refusal(
            Reason.INVALID_DATE,
            f"{compare.show()} does not lie before {as_of.show()}, the day asked about; give an earlier one",
            field="compare",
            metadata={"before": as_of.iso()},
        )
    asked = question._replace(as_of=as_of, by=None)
    by_field = completion(state, asked._replace(by=GroupBy.FIELD), today)
    known_at = question.known_at or EVERYTHING
    programme = state.model.programme(question.programme_id)
    found = listed(
        programme,
        state.model.services.values(),
        as_of.last_day(),
        known_at,
        parse_filter(asked.filter, as_of.last_day()),
    )
    return Report(
        programme_id=programme.id,
        programme=by_field.programme,
        as_of=as_of,
        known_at=known_at,
        filter=question.filter,
        total=by_field.total,
        by_field=by_field.groups,
        by_agency=completion(state, asked._replace(by=GroupBy.AGENCY), today).groups,
        compare=compare,
        before=completion(state, asked._replace(as_of=compare), today).total if compare else None,
        listed=sorted(found, key=lambda one: (plan_number(one[1], programme.id) or float("inf"), one[0].id)),
        revisions=tuple(state.revisions),
        made=question.known_at or state.head.recorded_time,
    )


def plan_number(version: ServiceVersion, programme_id: str) -> int:
    """Give a service's number in the plan, 0 where it has none."""
    return next((number for programme, number in version.memberships if programme == programme_id), 0)


def source_kind(provenance: Iterable[Provenance], field: str) -> str:
    """Give where a field's value comes from: its own provenance, else that of all fields; "" where nothing says."""
    kinds = {entry.field: entry.kind for entry in provenance}
    return kinds.get(field) or kinds.get("", "")


def cite_documents(cited: Iterable[Provenance]) -> list[str]:
    """Give the documents that are cited, each with its passages: citations alike before the first colon are joined."""
    documents: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for entry in cited:
        document, _, passage = entry.citation.partition(": ")
        documents[document][passage.rstrip(".")] = None
    return [_cite(document, [passage for passage in passages if passage]) for document, passages in documents.items()]


def _cite(document: str, passages: list[str]) -> str:
    if not passages:
        return document
    more = " …" if len(passages) > _MOST_SOURCES else "."
    return f"{document}: {'; '.join(passages[:_MOST_SOURCES])}{more}"


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
