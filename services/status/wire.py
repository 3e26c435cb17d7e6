"""Between status's values and its contract: facts from the sources' events, progress events, counts, subjects.

Invariant: a fact follows from its row's bytes alone, so reading a row again gives the same fact.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.dates import EffectiveDate, PartialDate
from services.common.envelope import cloud_event, token
from services.common.journal import Row
from services.common.relay import Publication
from services.common.resources import Revision
from services.status import domain
from services.status.projection import (
    CheckReported,
    CorrectionRecorded,
    Fact,
    IntegrationKnown,
    Origin,
    ProgrammeRecorded,
    ProgressDraft,
    ServiceRecorded,
    StepRecorded,
)
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2
from tiendo.status.v1 import completion_pb2, events_pb2

TYPE_PREFIX = "tiendo.progress.v1."


def fact_of(source: str, row: Row) -> Fact | None:
    """Read a source's row; None for one that means nothing here. Raises DecodeError, ValueError or Refusal."""
    if source == "catalog":
        return _catalog_fact(catalog_events_pb2.CatalogEvent.FromString(row.payload))
    return _integration_fact(integration_events_pb2.IntegrationEvent.FromString(row.payload))


def catalog_revision_of(row: Row) -> str:
    """Give the catalog revision that an integration row was decided on. Raises DecodeError."""
    return integration_events_pb2.IntegrationEvent.FromString(row.payload).catalog_revision


def _catalog_fact(event: catalog_events_pb2.CatalogEvent) -> Fact | None:
    name = event.WhichOneof("event")
    if name is None:
        return None
    origin = _origin("catalog", event)
    what: Any = getattr(event, name)
    if name.startswith("programme_"):
        programme: programme_pb2.Programme = what.programme
        version = domain.ProgrammeVersion(
            origin.recorded,
            programme.display_name,
            programme.english_gloss,
            programme.planned_count,
            _date(programme.start_date),
            _date(programme.target_date),
            programme.owner,
        )
        return ProgrammeRecorded(origin, _id(programme.name), version)
    evidence = _evidence(what.evidence) if hasattr(what, "evidence") else ()
    service: service_pb2.Service = what.service
    return ServiceRecorded(
        origin,
        _id(service.name),
        domain.ServiceVersion(
            origin.recorded,
            service.alias,
            service.display_name,
            service.field,
            tuple((entry.agency, _date(entry.valid_from), _date(entry.valid_to)) for entry in service.agencies),
            tuple(service.levels),
            tuple((_id(entry.programme), entry.plan_number) for entry in service.memberships),
            service.HasField("retirement"),
        ),
        named_now=name == "service_named",
        evidence=evidence,
    )


def _integration_fact(event: integration_events_pb2.IntegrationEvent) -> Fact | None:
    name = event.WhichOneof("event")
    if name is None:
        return None
    origin = _origin("integration", event)
    service_id = _id(event.integration.service)
    what: Any = getattr(event, name)
    if name == "integration_created":
        return IntegrationKnown(origin, service_id)
    if name == "connection_check_set":
        check = what.check
        state = integration_pb2.CheckState.Name(check.state).removeprefix("CHECK_STATE_")
        report = domain.CheckReport(
            integration_pb2.Check.Name(check.check).removeprefix("CHECK_"),
            state,
            origin.recorded,
            None if state == "UNKNOWN" else _effective(check.date),
        )
        return CheckReported(origin, service_id, report)
    if not hasattr(what, "transition"):
        return None
    transition: transition_pb2.Transition = what.transition
    evidence = _evidence(transition.evidence)
    if name == "transition_corrected":
        correction = domain.Correction(
            transition.number,
            origin.recorded,
            transition.correction.transition,
            None if transition.correction.annul else _effective(transition.effective_date),
            transition.reason,
        )
        return CorrectionRecorded(origin, service_id, correction, evidence)
    kind = domain.StepKind(transition.kind)
    effective = _effective(transition.effective_date)
    if effective is None:
        raise ValueError("a step without an effective date")
    moves = kind in {domain.StepKind.ADVANCED, domain.StepKind.REVERTED}
    step = domain.Step(
        transition.number,
        origin.recorded,
        kind,
        effective,
        domain.Stage(transition.to_stage) if moves else None,
        None if moves else domain.Condition(transition.to_condition),
        transition.reason,
    )
    return StepRecorded(origin, service_id, step, evidence)


def _origin(source: Any, event: Any) -> Origin:
    return Origin(
        source,
        event.epoch,
        event.sequence,
        instant(event.recorded_time),
        event.actor,
        event.request_id,
        event.traceparent,
    )


def _id(name: str) -> str:
    resource_id = name.partition("/")[2]
    if not resource_id:
        raise ValueError(f"{name!r} is no resource name")
    return resource_id


def instant(timestamp: Timestamp) -> datetime:
    """Read an instant, UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def _date(message: date_pb2.PartialDate) -> PartialDate | None:
    return PartialDate(message.year, message.month, message.day) if message.year else None


def _effective(message: date_pb2.EffectiveDate) -> EffectiveDate | None:
    date = _date(message.date)
    return None if date is None else EffectiveDate(date, message.at_latest)


def _evidence(entries: Iterable[provenance_pb2.Evidence]) -> tuple[domain.Evidence, ...]:
    return tuple(domain.Evidence(entry.document_number, entry.link, entry.note) for entry in entries)


def date_out(date: PartialDate | None) -> date_pb2.PartialDate | None:
    """Write a date."""
    return None if date is None else date_pb2.PartialDate(year=date.year, month=date.month, day=date.day)


def _effective_out(effective: EffectiveDate | None) -> date_pb2.EffectiveDate | None:
    if effective is None:
        return None
    return date_pb2.EffectiveDate(date=date_out(effective.date), at_latest=effective.at_latest)


def event_of(draft: ProgressDraft) -> events_pb2.ProgressEvent:
    """Write a progress event that has no place in the journal yet."""
    origin = draft.origin
    event = events_pb2.ProgressEvent(
        actor=origin.actor,
        request_id=origin.request_id,
        traceparent=origin.traceparent,
        cause=draft.cause,
        kind=int(draft.kind),  # type: ignore[arg-type]
        programme=f"programmes/{draft.programme}",
        service=f"services/{draft.service}" if draft.service else "",
        alias=draft.alias,
        display_name=draft.display_name,
        plan_number=draft.plan_number,
        from_stage=int(draft.from_stage or 0),  # type: ignore[arg-type]
        to_stage=int(draft.to_stage or 0),  # type: ignore[arg-type]
        effective_date=_effective_out(draft.effective),
        reason=draft.reason,
        evidence=[
            provenance_pb2.Evidence(document_number=entry.document_number, link=entry.link, note=entry.note)
            for entry in draft.evidence
        ],
        milestone_percent=draft.milestone_percent,
        source_revision=Revision(origin.source, origin.epoch, origin.sequence).encode(),
    )
    if draft.completion is not None:
        event.completion.planned = draft.completion.planned
        event.completion.completed = draft.completion.completed
        event.completion.not_reported = draft.completion.not_reported
    if draft.correction is not None:
        event.correction.CopyFrom(
            events_pb2.CorrectionSummary(
                transition=draft.correction.transition,
                annulled=draft.correction.annulled,
                previous_date=_effective_out(draft.correction.previous_date),
            ),
        )
    return event


def publication(row: Row) -> Publication:
    """Word a progress row as it is published."""
    event = events_pb2.ProgressEvent.FromString(row.payload)
    event.digest = row.digest
    kind = domain.EventKind(event.kind)
    subject = event.service or event.programme
    body = cloud_event(event, source="/tiendo/status", type=TYPE_PREFIX + kind.type, subject=subject)
    programme, service = event.programme.partition("/")[2], event.service.partition("/")[2]
    headers = {"traceparent": event.traceparent} if event.traceparent else {}
    return Publication(f"{TYPE_PREFIX}{token(programme)}.{kind.token}.{token(service)}", body, headers)


def counts_out(counts: domain.Counts) -> completion_pb2.Counts:
    """Write counts; every zero is sent."""
    return completion_pb2.Counts(
        planned=counts.planned,
        listed=counts.listed,
        completed=counts.completed,
        uncertain=counts.uncertain,
        in_progress=counts.in_progress,
        blocked=counts.blocked,
        suspended=counts.suspended,
        withdrawn=counts.withdrawn,
        not_reported=counts.not_reported,
        by_stage=[
            completion_pb2.StageCount(stage=int(stage), count=number)  # type: ignore[arg-type]
            for stage, number in counts.by_stage.items()
        ],
        by_condition=[
            completion_pb2.ConditionCount(condition=int(condition), count=number)  # type: ignore[arg-type]
            for condition, number in counts.by_condition.items()
        ],
    )


def groups_out(groups: Iterable[domain.Group]) -> list[completion_pb2.Group]:
    """Write the parts of a total."""
    return [
        completion_pb2.Group(key=group.key, not_known=group.not_known, counts=counts_out(group.counts))
        for group in groups
    ]
