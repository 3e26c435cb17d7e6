"""What the calendar alone brings about: a target that passed, a service that stalled, a milestone that became certain.

Invariant: what is due follows from the model and the day, and its cause names the very date or step it is about: it is
told again only when that is another.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

from services.common.dates import EffectiveDate
from services.status.domain import EVERYTHING, EventKind, ServiceHistory, Stage, Standstill, read, standstill
from services.status.projection.model import ReadModel
from services.status.projection.progress import ProgressDraft, milestones


class Due(NamedTuple):
    """Something to tell, by its cause: of a service of a programme, or where `service` is empty of the programme."""

    cause: str
    programme: str
    service: str = ""


def due(model: ReadModel, today: date, allowed_days: Mapping[Stage, int]) -> Iterator[Due]:
    """Give all that the calendar has brought about by `today`, whether it was told before or not."""
    for programme_id in model.programmes:
        for draft in _of_programme(model, programme_id, today):
            yield Due(draft.cause, programme_id)
    for history in model.services.values():
        for programme_id, still in _standstills(model, history, today, allowed_days):
            yield Due(_stalled(history, still, programme_id), programme_id, history.id)


def draft_of(model: ReadModel, due: Due, today: date, allowed_days: Mapping[Stage, int]) -> ProgressDraft | None:
    """Give the event that tells it; None where it no longer holds."""
    if not due.service:
        drafts = _of_programme(model, due.programme, today)
        return next((draft for draft in drafts if draft.cause == due.cause), None)
    # A rebuild from another catalog may know neither.
    history = model.services.get(due.service) or ServiceHistory(due.service)
    for programme_id, still in _standstills(model, history, today, allowed_days):
        if _stalled(history, still, programme_id) == due.cause:
            version = history.versions[-1]
            return ProgressDraft(
                EventKind.SERVICE_STALLED,
                programme_id,
                due.cause,
                None,
                model.summary(programme_id, today),
                service=history.id,
                alias=version.alias,
                display_name=version.display_name,
                plan_number=dict(version.memberships)[programme_id],
                effective=still.since,
            )
    return None


def _of_programme(model: ReadModel, programme_id: str, today: date) -> Iterator[ProgressDraft]:
    programme = model.programmes.get(programme_id)
    completion = model.summary(programme_id, today)
    target = programme.versions[-1].target if programme else None
    if target and target.last_day() < today:
        yield ProgressDraft(
            EventKind.PROGRAMME_TARGET_PASSED,
            programme_id,
            f"target_passed/{programme_id}/{target.last_day()}",
            None,
            completion,
            effective=EffectiveDate(target),
        )
    yield from milestones(programme_id, None, completion)


def _standstills(
    model: ReadModel, history: ServiceHistory, today: date, allowed_days: Mapping[Stage, int]
) -> Iterator[tuple[str, Standstill]]:
    """Give by which programmes' counts a service stalls; nearly all services need no more than a look."""
    if not (history.chain or history.check_reports) or not history.versions or history.versions[-1].retired:
        return
    for programme_id, _ in history.versions[-1].memberships:
        if programme := model.programmes.get(programme_id):
            reading = read(history, today, EVERYTHING, programme.versions[-1].first_day())
            if still := standstill(history, reading, today, allowed_days=allowed_days):
                yield programme_id, still


def _stalled(history: ServiceHistory, still: Standstill, programme_id: str) -> str:
    return f"stalled/{history.id}/{still.transition}/{programme_id}"
