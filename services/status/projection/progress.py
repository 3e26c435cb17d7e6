"""What a fact means to whoever watches a programme: drafts of progress events.

Invariant: a draft's cause is the same whenever its fact is folded, so a journal that takes each cause once tells
nothing twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from services.common.dates import EffectiveDate
from services.status.domain import EventKind, Evidence, ServiceHistory, Stage, Step
from services.status.projection.facts import (
    CorrectionRecorded,
    Fact,
    Origin,
    PortalReported,
    ProgrammeRecorded,
    ServiceRecorded,
    StepRecorded,
)
from services.status.projection.model import CompletionSummary, Folding, ReadModel

MILESTONES = (10, 25, 50, 75, 90, 100)
"""Per cent of the plan."""


@dataclass(frozen=True, slots=True)
class CorrectionSummary:
    """What a correction did to which entry, and the date that held for it before."""

    transition: int
    annulled: bool
    previous_date: EffectiveDate | None


@dataclass(frozen=True, slots=True)
class ProgressDraft:
    """A progress event that has no place in the journal yet.

    `programme` and `service` are ids, the latter empty for programme events. The stages are given only where a step or
    a correction changed them, the portal, by its short name, only where one was asked. `completion` is as of the day of
    folding; None only for a programme the catalog has not told of. `origin` is None for what the calendar alone made.
    """

    kind: EventKind
    programme: str
    cause: str
    origin: Origin | None
    completion: CompletionSummary | None
    service: str = ""
    alias: str = ""
    display_name: str = ""
    plan_number: int = 0
    from_stage: Stage | None = None
    to_stage: Stage | None = None
    effective: EffectiveDate | None = None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    correction: CorrectionSummary | None = None
    milestone_percent: int = 0
    portal: str = ""


@dataclass(frozen=True, slots=True)
class _Happening:
    """What happened to a service, the same for every programme that counts it."""

    kind: EventKind
    from_stage: Stage | None = None
    to_stage: Stage | None = None
    effective: EffectiveDate | None = None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    correction: CorrectionSummary | None = None
    portal: str = ""


def _stages(before: ServiceHistory, after: ServiceHistory) -> tuple[Stage | None, Stage | None]:
    was, now = before.state[0], after.state[0]
    return (None, None) if was is now else (was, now)


def _step(step: Step, before: ServiceHistory, after: ServiceHistory) -> _Happening:
    was, now = _stages(before, after)
    return _Happening(step.event, was, now, step.effective, step.reason, step.evidence)


def _correction(fact: CorrectionRecorded, before: ServiceHistory, after: ServiceHistory) -> _Happening:
    correction = fact.correction
    previous = next((link.effective for link in before.chain if link.step.number == correction.target), None)
    summary = CorrectionSummary(correction.target, correction.annul, previous)
    was, now = _stages(before, after)
    return _Happening(
        EventKind.SERVICE_CORRECTED, was, now, correction.effective, correction.reason, correction.evidence, summary
    )


def _portal(fact: PortalReported, before: ServiceHistory) -> _Happening | None:
    report = fact.report
    asked = (Evidence(link=report.uri),)
    if not report.reachable:
        return _Happening(EventKind.SERVICE_UNREACHABLE, reason=report.detail, evidence=asked, portal=report.portal)
    last = before.portals_at().get(report.portal)
    if last is None or last.reachable:
        return None
    return _Happening(EventKind.SERVICE_REACHABLE, evidence=asked, portal=report.portal)


def _happenings(
    fact: Fact, before: ServiceHistory, after: ServiceHistory, programme_id: str
) -> Iterator[tuple[_Happening, str]]:
    """Give what the fact means to one programme that counts the service, each with its cause."""
    cause = fact.origin.cause(programme_id)
    match fact:
        case ServiceRecorded():
            added = not before.versions or not before.versions[-1].counted_by(programme_id)
            if added:
                yield _Happening(EventKind.SERVICE_ADDED, evidence=fact.evidence), cause
            if fact.named_now:
                yield _Happening(EventKind.SERVICE_NAMED, evidence=fact.evidence), f"{cause}/named" if added else cause
        case StepRecorded():
            yield _step(fact.step, before, after), cause
        case CorrectionRecorded():
            yield _correction(fact, before, after), cause
        case PortalReported() if happening := _portal(fact, before):
            yield happening, cause


def milestones(
    programme_id: str, origin: Origin | None, completion: CompletionSummary | None
) -> Iterator[ProgressDraft]:
    """Give every milestone that so many completed have reached."""
    # All that were reached, not only those this fact reached: a date may have become certain by the calendar alone.
    for percent in MILESTONES if completion else ():
        if completion and completion.completed * 100 >= completion.planned * percent:
            yield ProgressDraft(
                EventKind.PROGRAMME_MILESTONE,
                programme_id,
                f"milestone/{programme_id}/{percent}",
                origin,
                completion,
                milestone_percent=percent,
            )


_TOLD = (ServiceRecorded, StepRecorded, CorrectionRecorded, PortalReported)


def _tell(before: ServiceHistory, model: ReadModel, fact: Fact, today: date) -> Iterator[ProgressDraft]:
    if isinstance(fact, ProgrammeRecorded):
        yield from milestones(fact.id, fact.origin, model.summary(fact.id, today))
        return
    after = model.services[fact.id]
    if not after.versions or not isinstance(fact, _TOLD):
        return
    version = after.versions[-1]
    for programme_id, plan_number in version.memberships:
        completion = model.summary(programme_id, today)
        for happening, cause in _happenings(fact, before, after, programme_id):
            yield ProgressDraft(
                kind=happening.kind,
                programme=programme_id,
                cause=cause,
                origin=fact.origin,
                completion=completion,
                service=fact.id,
                alias=version.alias,
                display_name=version.display_name,
                plan_number=plan_number,
                from_stage=happening.from_stage,
                to_stage=happening.to_stage,
                effective=happening.effective,
                reason=happening.reason,
                evidence=happening.evidence,
                correction=happening.correction,
                portal=happening.portal,
            )
        yield from milestones(programme_id, fact.origin, completion)


def progress(before: ReadModel, after: ReadModel, fact: Fact, today: date) -> list[ProgressDraft]:
    """Give the progress that `fact`, which made `after` of `before`, is to the programmes that count its service.

    `today` is the Vietnam day of folding. Every milestone reached by then is among the drafts, told before or not.
    """
    return list(_tell(before.services.get(fact.id) or ServiceHistory(fact.id), after, fact, today))


def follow(model: ReadModel, facts: Iterable[Fact], today: date) -> tuple[ReadModel, list[ProgressDraft]]:
    """Fold the facts in and give the model after them with all their progress, each cause once.

    The same as `apply` and `progress` fact by fact, but the model is copied once.
    """
    folding = Folding(model)
    drafts: dict[str, ProgressDraft] = {}
    for fact in facts:
        before = folding.model.services.get(fact.id) or ServiceHistory(fact.id)
        folding.absorb(fact)
        for draft in _tell(before, folding.model, fact, today):
            drafts.setdefault(draft.cause, draft)
    return folding.model, list(drafts.values())
