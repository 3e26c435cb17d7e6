"""Progress events as they are written and published.

Invariant: a draft says all that its event tells; only its place in the journal is added later.
"""

from services.common.envelope import cloud_event, token
from services.common.journal import Row
from services.common.relay import Publication
from services.common.resources import Revision
from services.status import domain
from services.status.projection import ProgressDraft
from services.status.wire.answers import effective_out
from tiendo.common.v1 import provenance_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import events_pb2

TYPE_PREFIX = "tiendo.progress.v1."


def event_of(draft: ProgressDraft) -> events_pb2.ProgressEvent:
    """Write a progress event that has no place in the journal yet."""
    origin = draft.origin
    event = events_pb2.ProgressEvent(
        actor=origin.actor if origin else "",
        request_id=origin.request_id if origin else "",
        traceparent=origin.traceparent if origin else "",
        cause=draft.cause,
        kind=int(draft.kind),  # type: ignore[arg-type]
        programme=f"programmes/{draft.programme}",
        service=f"services/{draft.service}" if draft.service else "",
        alias=draft.alias,
        display_name=draft.display_name,
        plan_number=draft.plan_number,
        from_stage=int(draft.from_stage or 0),  # type: ignore[arg-type]
        to_stage=int(draft.to_stage or 0),  # type: ignore[arg-type]
        effective_date=effective_out(draft.effective),
        reason=draft.reason,
        evidence=[
            provenance_pb2.Evidence(document_number=entry.document_number, link=entry.link, note=entry.note)
            for entry in draft.evidence
        ],
        milestone_percent=draft.milestone_percent,
        source_revision=Revision(origin.source, origin.epoch, origin.sequence).encode() if origin else "",
    )
    if draft.portal:
        event.portal = integration_pb2.Portal.Value(f"PORTAL_{draft.portal}")
    if draft.completion is not None:
        event.completion.planned = draft.completion.planned
        event.completion.completed = draft.completion.completed
        event.completion.not_reported = draft.completion.not_reported
    if draft.correction is not None:
        event.correction.CopyFrom(
            events_pb2.CorrectionSummary(
                transition=draft.correction.transition,
                annulled=draft.correction.annulled,
                previous_date=effective_out(draft.correction.previous_date),
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
