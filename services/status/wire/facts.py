"""Facts from the events of the sources.

Invariant: a fact follows from its row's bytes alone, so reading a row again gives the same fact.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.dates import EffectiveDate, PartialDate
from services.common.journal import Row
from services.status import domain
from services.status.projection import (
    CheckReported,
    CorrectionRecorded,
    Fact,
    IntegrationKnown,
    LinkReported,
    Origin,
    PortalReported,
    ProgrammeRecorded,
    ServiceRecorded,
    StepRecorded,
)
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2


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
            _provenance(programme.provenance),
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
            service.retirement.replaced_by.partition("/")[2],
            service.english_gloss,
            tuple((entry.code, _date(entry.valid_from), _date(entry.valid_to)) for entry in service.procedure_codes),
            tuple(service.audiences),
            tuple(service.channels),
            tuple(_online_level(entry) for entry in service.online_levels),
            _provenance(service.provenance),
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
            origin.actor,
            _evidence(check.evidence),
        )
        return CheckReported(origin, service_id, report)
    if name == "portal_link_set":
        portal = integration_pb2.Portal.Name(what.link.portal).removeprefix("PORTAL_")
        link = domain.LinkReport(portal, what.link.uri, origin.recorded, origin.actor)
        return LinkReported(origin, service_id, link)
    if name == "portal_answered":
        answered = what.check
        portal = integration_pb2.Portal.Name(answered.portal).removeprefix("PORTAL_")
        reachable = answered.answer == integration_pb2.PORTAL_ANSWER_REACHABLE
        return PortalReported(
            origin,
            service_id,
            domain.PortalReport(portal, answered.uri, reachable, answered.detail, origin.recorded),
        )
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
            origin.actor,
            evidence,
        )
        return CorrectionRecorded(origin, service_id, correction)
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
        origin.actor,
        evidence,
    )
    return StepRecorded(origin, service_id, step)


def _provenance(entries: Iterable[provenance_pb2.Provenance]) -> tuple[domain.Provenance, ...]:
    return tuple(
        domain.Provenance(
            entry.field,
            provenance_pb2.ProvenanceKind.Name(entry.kind).removeprefix("PROVENANCE_KIND_"),
            entry.citation,
        )
        for entry in entries
    )


def _online_level(entry: service_pb2.OnlineLevel) -> domain.OnlineLevel:
    scheme = service_pb2.OnlineLevelScheme.Name(entry.scheme).removeprefix("ONLINE_LEVEL_SCHEME_")
    return domain.OnlineLevel(scheme, entry.level, _date(entry.date))


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
