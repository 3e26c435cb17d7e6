"""What a report says, gathered from one state.

Invariant: every number is one that GetCompletion gives for the same question; a service's line and the line of the
summary that counts it follow from the same reading.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.status.domain import (
    EVERYTHING,
    Condition,
    Counts,
    Group,
    GroupBy,
    Outcome,
    ProgrammeVersion,
    Provenance,
    Reading,
    ServiceHistory,
    ServiceVersion,
)
from services.status.report.lines import Asked, EntryLine, ServiceLine, entry_lines, plan_number, service_line
from services.status.storage import State
from services.status.usecases import Question, completion, surveyed

_MOST_SOURCES = 6
_PROVENANCE_OF = {GroupBy.FIELD: "field", GroupBy.AGENCY: "agencies"}

Listed = tuple[ServiceHistory, ServiceVersion, Reading]
Halted = Callable[[], bool]
"""Tells that nobody waits for the report any more."""


class AbandonedError(Exception):
    """The report was given up half-way, for nobody waits for it."""


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

    @property
    def _asked(self) -> Asked:
        return Asked(self.programme_id, self.day, self.known_at, self.programme.first_day())

    def services(self) -> Iterator[ServiceLine]:
        """Give the services in the order of the plan."""
        return (service_line(self._asked, *entry) for entry in self.listed)

    def completed(self) -> Iterator[ServiceLine]:
        """Give the services that are completed, in the order of the plan."""
        return (service_line(self._asked, *entry) for entry in self.listed if entry[2].outcome is Outcome.COMPLETED)

    def blocked(self) -> Iterator[ServiceLine]:
        """Give the services whose work is held up, in the order of the plan."""
        return (
            service_line(self._asked, *entry)
            for entry in self.listed
            if entry[2].outcome is Outcome.IN_PROGRESS and entry[2].condition is Condition.BLOCKED
        )

    def entries(self) -> Iterator[EntryLine]:
        """Give what was recorded of steps that may have happened by the day, service by service in the plan's order."""
        for history, version, _ in self.listed:
            if history.entries:
                yield from entry_lines(self._asked, history, version)

    def sources(self) -> list[str]:
        """Give the documents the figures rest on: the programme's citations, then those of the completed services.

        Citations of one document, the words before the first colon, are joined. At most 6 documents are given, and at
        most 6 citations of each.
        """
        cited = [entry for entry in self.programme.provenance if entry.kind == "SOURCE_DOCUMENT"]
        for _, version, reading in self.listed:
            if reading.outcome is Outcome.COMPLETED:
                cited += [entry for entry in version.provenance if entry.kind == "SOURCE_DOCUMENT"]
        given = cite_documents(cited)
        return given if len(given) <= _MOST_SOURCES else [*given[:_MOST_SOURCES], "…"]

    def group_sources(self, by: GroupBy) -> dict[str, list[str]]:
        """Give for each group by its key how its members were put there: kinds of provenance by their short names."""
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for _, version, _ in self.listed:
            key = version.field if by is GroupBy.FIELD else version.agency_on(self.day)
            if key and (kind := source_kind(version.provenance, _PROVENANCE_OF[by])):
                found[key][kind] = None
        return {key: list(kinds) for key, kinds in found.items()}


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
    programme_id = question.programme_id
    found = surveyed(state, programme_id, as_of.last_day(), known_at, asked.filter)
    return Report(
        programme_id=programme_id,
        programme=by_field.programme,
        as_of=as_of,
        known_at=known_at,
        filter=question.filter,
        total=by_field.total,
        by_field=by_field.groups,
        by_agency=completion(state, asked._replace(by=GroupBy.AGENCY), today).groups,
        compare=compare,
        before=completion(state, asked._replace(as_of=compare), today).total if compare else None,
        listed=sorted(
            ((one.history, one.version, one.reading) for one in found),
            key=lambda one: (plan_number(one[1], programme_id) or float("inf"), one[0].id),
        ),
        revisions=tuple(state.revisions),
        made=question.known_at or state.head.recorded_time,
    )


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
    given = [_cite(document, [*filter(None, passages)]) for document, passages in documents.items()]
    return given if len(given) <= _MOST_SOURCES else [*given[:_MOST_SOURCES], "…"]


def _cite(document: str, passages: list[str]) -> str:
    if not passages:
        return document
    more = " …" if len(passages) > _MOST_SOURCES else "."
    return f"{document}: {'; '.join(passages[:_MOST_SOURCES])}{more}"
