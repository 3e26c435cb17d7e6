"""The fold of both journals, immutable once it is given out.

Invariant: equal sequences of facts give equal models, whatever the batches; an integration's history waits, uncounted,
until the catalog lists its service.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from services.common.errors import Reason, Refusal
from services.status.domain import EVERYTHING, Programme, Reading, ServiceHistory, Survey, counts_of, read, tally
from services.status.projection.facts import (
    CheckReported,
    CorrectionRecorded,
    Fact,
    IntegrationKnown,
    LinkReported,
    PortalReported,
    ProgrammeRecorded,
    ServiceRecorded,
    StepRecorded,
)

Tallies = dict[str, tuple[date, Counter[Reading]]]
"""By programme: a day, and how many of its services have each reading on it. A tally is replaced, never changed."""
Surveys = dict[tuple[str, date, datetime], Survey]
"""By programme, day, and instant: those asked for last, at most `_MOST_SURVEYS`."""
_MOST_SURVEYS = 6


class CompletionSummary(NamedTuple):
    """A programme's counts in short."""

    planned: int
    completed: int
    not_reported: int


@dataclass(frozen=True, slots=True)
class ReadModel:
    """Programmes and services by id. A service without versions is one the catalog has not listed yet."""

    programmes: Mapping[str, Programme] = field(default_factory=dict)
    services: Mapping[str, ServiceHistory] = field(default_factory=dict)
    # Worked out from the two above when a summary is asked for, and carried along; only the newest day is kept.
    _tallies: Tallies = field(default_factory=dict, compare=False, repr=False)
    # The same: those of this model, and those of the model it was folded from, which spare most of the work.
    _surveys: Surveys = field(default_factory=dict, compare=False, repr=False)
    _earlier: Surveys = field(default_factory=dict, compare=False, repr=False)

    def programme(self, programme_id: str) -> Programme:
        """Give the programme. Raises Refusal PROGRAMME_NOT_FOUND."""
        if programme := self.programmes.get(programme_id):
            return programme
        raise Refusal(
            Reason.PROGRAMME_NOT_FOUND,
            f"there is no programmes/{programme_id}",
            field="programme",
            metadata={"name": f"programmes/{programme_id}"},
        )

    def survey(self, programme_id: str, as_of: date, known_at: datetime = EVERYTHING) -> Survey:
        """Give the programme's services on a day; costs a look at what has changed since it was asked for last.

        Raises Refusal PROGRAMME_NOT_FOUND. From any thread.
        """
        asked = programme_id, as_of, known_at
        survey = self._surveys.get(asked)
        if survey is None:
            # One of another day spares less, and still the order and the folded texts.
            others = [*self._earlier.copy().items(), *self._surveys.copy().items()]
            kin = (one for (of, _, known), one in reversed(others) if (of, known) == (programme_id, known_at))
            earlier = self._earlier.get(asked) or next(kin, None)
            survey = Survey.of(self.programme(programme_id), self.services.values(), as_of, known_at, earlier)
            _keep(self._surveys, {asked: survey})
            self._earlier.pop(asked, None)
        return survey

    def summary(self, programme_id: str, day: date) -> CompletionSummary | None:
        """Give the programme's counts on `day`, as known now; None for a programme the catalog has not told of.

        Costs one pass over the services when the day is another than last time, and next to nothing after that.
        """
        programme = self.programmes.get(programme_id)
        if programme is None:
            return None
        version = programme.versions[-1]
        tallied_day, readings = self._tallies.get(programme_id, (None, Counter[Reading]()))
        if tallied_day != day:
            readings = tally(programme_id, self.services.values(), day, EVERYTHING, version.first_day())
            self._tallies[programme_id] = day, readings
        counts = counts_of(readings, version.planned - readings.total())
        return CompletionSummary(counts.planned, counts.completed, counts.not_reported)


def _keep(surveys: Surveys, more: Surveys) -> None:
    """Add surveys, and let go of the oldest of too many."""
    for asked, survey in more.items():
        surveys.pop(asked, None)
        surveys[asked] = survey
    for asked in list(surveys)[:-_MOST_SURVEYS]:
        surveys.pop(asked, None)


def _counting(history: ServiceHistory) -> set[str]:
    return {programme_id for programme_id, _ in history.versions[-1].memberships} if history.versions else set()


class Folding:
    """A working copy of a model. Not for sharing; `model` is given out once nothing more is folded in."""

    def __init__(self, model: ReadModel) -> None:
        self._programmes = dict(model.programmes)
        self._services = dict(model.services)
        self._tallies: Tallies = dict(model._tallies)  # noqa: SLF001 (the tallies are the model's and ours)
        earlier = model._earlier.copy()  # noqa: SLF001 (so are the surveys)
        _keep(earlier, model._surveys.copy())  # noqa: SLF001
        self.model = ReadModel(self._programmes, self._services, self._tallies, _earlier=earlier)

    def absorb(self, fact: Fact) -> None:
        """Fold one fact in."""
        if isinstance(fact, ProgrammeRecorded):
            earlier = self._programmes.get(fact.id)
            versions = (*earlier.versions, fact.version) if earlier else (fact.version,)
            self._programmes[fact.id] = Programme(fact.id, versions)
            # Its start may have moved, and with it every date that is "at the latest".
            self._tallies.pop(fact.id, None)
            return
        before = self._services.get(fact.id) or ServiceHistory(fact.id)
        match fact:
            case ServiceRecorded():
                after = before.with_version(fact.version)
            case StepRecorded():
                after = before.with_entry(fact.step)
            case CorrectionRecorded():
                after = before.with_entry(fact.correction)
            case CheckReported():
                after = before.with_report(fact.report)
            case LinkReported():
                after = before.with_link(fact.report)
            case PortalReported():
                after = before.with_portal(fact.report)
            case IntegrationKnown():
                after = before
        self._services[fact.id] = after
        if self._tallies:
            self._count_again(before, after)

    def _count_again(self, before: ServiceHistory, after: ServiceHistory) -> None:
        counted_before, counted_after = _counting(before), _counting(after)
        for programme_id in (counted_before | counted_after) & self._tallies.keys():
            day, earlier = self._tallies[programme_id]
            start = self._programmes[programme_id].versions[-1].first_day()
            readings = earlier.copy()
            if programme_id in counted_before:
                readings[read(before, day, EVERYTHING, start)] -= 1
            if programme_id in counted_after:
                readings[read(after, day, EVERYTHING, start)] += 1
            self._tallies[programme_id] = day, +readings


def fold(model: ReadModel, facts: Iterable[Fact]) -> ReadModel:
    """Give the model with the facts folded in, in their order; the given model stays as it is."""
    folding = Folding(model)
    for fact in facts:
        folding.absorb(fact)
    return folding.model


def apply(model: ReadModel, fact: Fact) -> ReadModel:
    """Give the model with one fact folded in. For many facts `fold` is cheaper: it copies the model once."""
    return fold(model, (fact,))
