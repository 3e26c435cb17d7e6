"""Between the catalog's values and its contract: resources, events, subjects.

Invariant: reading what was written gives the same value; an etag changes exactly with its resource's version.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.catalog import domain
from services.common.dates import PartialDate, write_instant
from services.common.envelope import cloud_event, token
from services.common.errors import Reason, Refusal
from services.common.journal import Row
from services.common.relay import Publication
from services.common.resources import etag, parse_name
from tiendo.catalog.v1 import events_pb2, programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2

PROGRAMME_FIELDS = frozenset(
    {"display_name", "english_gloss", "planned_count", "start_date", "target_date", "owner", "provenance"},
)
SERVICE_FIELDS = frozenset(
    {
        "display_name",
        "english_gloss",
        "memberships",
        "procedure_codes",
        "field",
        "agencies",
        "levels",
        "audiences",
        "channels",
        "online_levels",
        "provenance",
    },
)


def date_in(message: date_pb2.PartialDate, field: str) -> PartialDate | None:
    """Read a date; None when none is given. Raises Refusal INVALID_DATE."""
    if not (message.year or message.month or message.day):
        return None
    return PartialDate.of(message.year, message.month, message.day, field=field)


def date_out(date: PartialDate | None) -> date_pb2.PartialDate | None:
    """Write a date."""
    return None if date is None else date_pb2.PartialDate(year=date.year, month=date.month, day=date.day)


def _known(number: int, kinds: Iterable[int], field: str) -> int:
    if not number:
        raise Refusal(Reason.MISSING_VALUE, "is not given", field=field)
    if number not in set(kinds):
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{number} is not known to this version",
            field=field,
            metadata={"value": str(number)},
        )
    return number


def provenance_in(entries: Sequence[provenance_pb2.Provenance], field: str) -> tuple[domain.Provenance, ...]:
    """Read provenance. Raises Refusal MISSING_VALUE, UNKNOWN_VALUE."""
    return tuple(
        domain.Provenance(
            entry.field,
            domain.ProvenanceKind(_known(entry.kind, domain.ProvenanceKind, f"{field}[{index}].kind")),
            entry.citation,
        )
        for index, entry in enumerate(entries)
    )


def _provenance_out(entries: Sequence[domain.Provenance]) -> list[provenance_pb2.Provenance]:
    return [
        provenance_pb2.Provenance(field=entry.field, kind=entry.kind.value, citation=entry.citation)  # type: ignore[arg-type]
        for entry in entries
    ]


def evidence_in(entries: Sequence[provenance_pb2.Evidence]) -> tuple[domain.Evidence, ...]:
    """Read evidence."""
    return tuple(domain.Evidence(entry.document_number, entry.link, entry.note) for entry in entries)


def evidence_out(entries: Sequence[domain.Evidence]) -> list[provenance_pb2.Evidence]:
    """Write evidence."""
    return [
        provenance_pb2.Evidence(document_number=entry.document_number, link=entry.link, note=entry.note)
        for entry in entries
    ]


def programme_in(message: programme_pb2.Programme, base: domain.Programme, names: Iterable[str]) -> domain.Programme:
    """Give `base` with the named fields of a message. Raises Refusal for a field that cannot be read."""
    read: dict[str, Callable[[], Any]] = {
        "display_name": lambda: message.display_name,
        "english_gloss": lambda: message.english_gloss,
        "planned_count": lambda: message.planned_count,
        "start_date": lambda: date_in(message.start_date, "programme.start_date"),
        "target_date": lambda: date_in(message.target_date, "programme.target_date"),
        "owner": lambda: message.owner,
        "provenance": lambda: provenance_in(message.provenance, "programme.provenance"),
    }
    return replace(base, **{name: read[name]() for name in names})


def service_in(message: service_pb2.Service, base: domain.Service, names: Iterable[str]) -> domain.Service:
    """Give `base` with the named fields of a message. Raises Refusal for a field that cannot be read."""
    read: dict[str, Callable[[], Any]] = {
        "display_name": lambda: message.display_name,
        "english_gloss": lambda: message.english_gloss,
        "field": lambda: message.field,
        "levels": lambda: tuple(message.levels),
        "audiences": lambda: tuple(message.audiences),
        "channels": lambda: tuple(message.channels),
        "provenance": lambda: provenance_in(message.provenance, "service.provenance"),
        "memberships": lambda: tuple(
            domain.Membership(
                parse_name(entry.programme, "programmes", f"service.memberships[{index}].programme"),
                entry.plan_number,
            )
            for index, entry in enumerate(message.memberships)
        ),
        "procedure_codes": lambda: tuple(
            domain.ProcedureCode(
                entry.code,
                date_in(entry.valid_from, f"service.procedure_codes[{index}].valid_from"),
                date_in(entry.valid_to, f"service.procedure_codes[{index}].valid_to"),
            )
            for index, entry in enumerate(message.procedure_codes)
        ),
        "agencies": lambda: tuple(
            domain.Agency(
                entry.agency,
                date_in(entry.valid_from, f"service.agencies[{index}].valid_from"),
                date_in(entry.valid_to, f"service.agencies[{index}].valid_to"),
            )
            for index, entry in enumerate(message.agencies)
        ),
        "online_levels": lambda: tuple(
            domain.OnlineLevel(
                domain.OnlineLevelScheme(
                    _known(entry.scheme, domain.OnlineLevelScheme, f"service.online_levels[{index}].scheme"),
                ),
                entry.level,
                date_in(entry.date, f"service.online_levels[{index}].date"),
            )
            for index, entry in enumerate(message.online_levels)
        ),
    }
    return replace(base, **{name: read[name]() for name in names})


def programme_out(programme: domain.Programme) -> programme_pb2.Programme:
    """Write a programme."""
    name = f"programmes/{programme.id}"
    message = programme_pb2.Programme(
        name=name,
        display_name=programme.display_name,
        english_gloss=programme.english_gloss,
        planned_count=programme.planned_count,
        start_date=date_out(programme.start_date),
        target_date=date_out(programme.target_date),
        owner=programme.owner,
        provenance=_provenance_out(programme.provenance),
        etag=programme_etag(programme),
    )
    write_instant(message.create_time, programme.create_time)
    write_instant(message.update_time, programme.update_time)
    return message


def programme_etag(programme: domain.Programme) -> str:
    """Give the etag of a programme's version."""
    return etag(f"programmes/{programme.id}/{programme.version}/{programme.create_time.isoformat()}".encode())


def service_etag(service: domain.Service) -> str:
    """Give the etag of a service's version."""
    return etag(f"services/{service.id}/{service.version}/{service.create_time.isoformat()}".encode())


def service_out(service: domain.Service) -> service_pb2.Service:
    """Write a service."""
    message = service_pb2.Service(
        name=f"services/{service.id}",
        alias=service.alias,
        display_name=service.display_name,
        english_gloss=service.english_gloss,
        naming=service.naming.value,  # type: ignore[arg-type]
        memberships=[
            service_pb2.Membership(programme=f"programmes/{entry.programme}", plan_number=entry.plan_number)
            for entry in service.memberships
        ],
        procedure_codes=[
            service_pb2.ProcedureCode(
                code=entry.code,
                valid_from=date_out(entry.valid_from),
                valid_to=date_out(entry.valid_to),
            )
            for entry in service.procedure_codes
        ],
        field=service.field,
        agencies=[
            service_pb2.Agency(
                agency=entry.agency,
                valid_from=date_out(entry.valid_from),
                valid_to=date_out(entry.valid_to),
            )
            for entry in service.agencies
        ],
        levels=service.levels,
        audiences=service.audiences,
        channels=service.channels,
        online_levels=[
            service_pb2.OnlineLevel(scheme=entry.scheme.value, level=entry.level, date=date_out(entry.date))  # type: ignore[arg-type]
            for entry in service.online_levels
        ],
        provenance=_provenance_out(service.provenance),
        etag=service_etag(service),
        former_aliases=service.former_aliases,
    )
    if service.retirement is not None:
        message.retirement.CopyFrom(
            service_pb2.Retirement(
                date=date_out(service.retirement.date),
                reason=service.retirement.reason,
                replaced_by=service.retirement.replaced_by,
            ),
        )
    write_instant(message.create_time, service.create_time)
    write_instant(message.update_time, service.update_time)
    return message


def _instant(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def programme_of(message: programme_pb2.Programme, version: int, actor: str) -> domain.Programme:
    """Read a stored programme. `version` is the journal row of its last change, `actor` who made it."""
    base = domain.new_programme(message.name.removeprefix("programmes/"), _instant(message.create_time), actor)
    read = programme_in(message, base, PROGRAMME_FIELDS)
    return replace(read, update_time=_instant(message.update_time), version=version)


def service_of(message: service_pb2.Service, version: int, actor: str) -> domain.Service:
    """Read a stored service. `version` is the journal row of its last change, `actor` who made it."""
    base = domain.new_service(message.name.removeprefix("services/"), _instant(message.create_time), actor)
    retirement = None
    if message.HasField("retirement"):
        told = message.retirement
        retirement = domain.Retirement(date_in(told.date, "date"), told.reason, told.replaced_by)
    return replace(
        service_in(message, base, SERVICE_FIELDS),
        alias=message.alias,
        former_aliases=tuple(message.former_aliases),
        retirement=retirement,
        update_time=_instant(message.update_time),
        version=version,
    )


def populated(message: programme_pb2.Programme | service_pb2.Service, allowed: Iterable[str]) -> frozenset[str]:
    """Give those of the allowed fields that a message sets: what an empty update_mask means."""
    return frozenset(field.name for field, _ in message.ListFields()) & frozenset(allowed)


def resource_of(row: Row) -> domain.Programme | domain.Service:
    """Give the resource after a journal row."""
    event = events_pb2.CatalogEvent.FromString(row.payload)
    what = getattr(event, event_name(event))
    if hasattr(what, "service"):
        return service_of(what.service, event.sequence, event.actor)
    return programme_of(what.programme, event.sequence, event.actor)


def change_words(row: Row) -> str:
    """Say in a few words what a row changed, for whoever comes with a stale etag: `named, field, levels`."""
    event = events_pb2.CatalogEvent.FromString(row.payload)
    name = event_name(event)
    word = name.rpartition("_")[2]
    fields = list(getattr(getattr(event, name), "changed_fields", ()))
    return ", ".join(fields if fields and word == "updated" else [word, *fields])


def event_name(event: events_pb2.CatalogEvent) -> str:
    """The event's word in a subject, `service_named`."""
    return event.WhichOneof("event") or "unknown"


def event_type(name: str) -> str:
    """The CloudEvents type of an event's word: the first `_` becomes a dot."""
    return "tiendo.catalog.v1." + name.replace("_", ".", 1)


def publication(row: Row) -> Publication:
    """Word a journal row as it is published."""
    event = events_pb2.CatalogEvent.FromString(row.payload)
    event.digest = row.digest
    name = event_name(event)
    what = getattr(event, name)
    resource = what.service.name if name.startswith("service_") else what.programme.name
    service = resource.removeprefix("services/") if name.startswith("service_") else ""
    body = cloud_event(event, source="/tiendo/catalog", type=event_type(name), subject=resource)
    headers = {"traceparent": event.traceparent} if event.traceparent else {}
    return Publication(f"tiendo.catalog.v1.{name}.{token(service)}", body, headers)
