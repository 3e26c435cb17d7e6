"""What can be done with the catalog: one function a verb.

Invariant: a verb decides everything before it puts or emits anything, so a refusal leaves the working set as it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.catalog import domain, storage, wire
from services.catalog.storage import CatalogWork, ProgrammeEntry, ServiceEntry
from services.common.dates import PartialDate, iso_instant
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.journal import Head, Row
from services.common.resources import check_id, check_mask, parse_name
from services.common.text import clean
from services.common.work import Caller
from tiendo.catalog.v1 import events_pb2, programme_pb2, service_pb2


@dataclass(frozen=True, slots=True)
class Done:
    """A resource after a verb, and the journal position that includes it."""

    message: bytes
    place: Row | Head


def programme_entry(programme: domain.Programme) -> ProgrammeEntry:
    """Prepare a programme for reading and storing."""
    return ProgrammeEntry(programme, wire.programme_out(programme).SerializeToString(deterministic=True))


def service_entry(service: domain.Service) -> ServiceEntry:
    """Prepare a service for reading and storing."""
    message = wire.service_out(service).SerializeToString(deterministic=True)
    return storage.service_entry(service, chunk(1, message))


def stored_programme(message: bytes, version: int, actor: str) -> ProgrammeEntry:
    """Prepare a programme read from its table."""
    return ProgrammeEntry(wire.programme_of(programme_pb2.Programme.FromString(message), version, actor), message)


def stored_service(message: bytes, version: int, actor: str) -> ServiceEntry:
    """Prepare a service read from its table."""
    service = wire.service_of(service_pb2.Service.FromString(message), version, actor)
    return storage.service_entry(service, chunk(1, message))


def decode(rows: Iterable[Row]) -> storage.Decoded:
    """Give the resources after some journal rows, the newest of each last."""
    programmes: list[ProgrammeEntry] = []
    services: list[ServiceEntry] = []
    for row in rows:
        resource = wire.resource_of(row)
        if isinstance(resource, domain.Service):
            services.append(service_entry(resource))
        else:
            programmes.append(programme_entry(resource))
    return programmes, services


def create_programme(work: CatalogWork, programme_id: str, message: programme_pb2.Programme, caller: Caller) -> Done:
    """Add a programme."""
    if check_id(programme_id, "programme_id") == "-":
        raise Refusal(Reason.INVALID_NAME, "stands for every programme; give another id", field="programme_id")
    if work.programme(programme_id) is not None:
        raise _exists(f"programmes/{programme_id}", "programme_id")
    base = domain.new_programme(programme_id, work.now, caller.actor)
    programme = domain.checked_programme(wire.programme_in(message, base, wire.PROGRAMME_FIELDS))
    return _keep_programme(work, programme, caller, "programme_created", {})


def update_programme(
    work: CatalogWork,
    message: programme_pb2.Programme,
    mask: Sequence[str],
    caller: Caller,
) -> Done:
    """Change a programme; nothing is written when nothing changes."""
    programme_id = parse_name(message.name, "programmes", "programme.name")
    paths = check_mask(mask, wire.PROGRAMME_FIELDS) or wire.populated(message, wire.PROGRAMME_FIELDS)
    present = work.programme(programme_id)
    if present is None:
        raise programme_not_found(message.name, "programme.name")
    _check_etag(work, message.etag, wire.programme_etag(present), present, message.name, "programme.etag")
    wanted = domain.checked_programme(wire.programme_in(message, present, paths), work.places(programme_id).values())
    changed = sorted(path for path in wire.PROGRAMME_FIELDS if getattr(wanted, path) != getattr(present, path))
    if not changed:
        return Done(programme_entry(present).message, work.head)
    return _keep_programme(work, wanted, caller, "programme_updated", {"changed_fields": changed})


def create_service(work: CatalogWork, service_id: str, message: service_pb2.Service, caller: Caller) -> Done:
    """Add a service, named or as a slot."""
    check_id(service_id, "service_id")
    if work.is_taken(service_id):
        raise _exists(f"services/{service_id}", "service_id")
    base = domain.new_service(service_id, work.now, caller.actor)
    service = domain.checked_service(wire.service_in(message, base, wire.SERVICE_FIELDS))
    _check_places(work, service, before=())
    return _keep_service(work, service, caller, "service_created", {})


def update_service(
    work: CatalogWork,
    message: service_pb2.Service,
    mask: Sequence[str],
    evidence: Sequence[domain.Evidence],
    caller: Caller,
) -> Done:
    """Change a service; giving a slot a name names it. Nothing is written when nothing changes."""
    present = _service(work, message.name, "service.name")
    paths = check_mask(mask, wire.SERVICE_FIELDS) or wire.populated(message, wire.SERVICE_FIELDS)
    backing = domain.checked_evidence(evidence)
    name = f"services/{present.id}"
    _check_etag(work, message.etag, wire.service_etag(present), present, name, "service.etag")
    wanted = domain.checked_service(wire.service_in(message, present, paths))
    if present.display_name and not wanted.display_name:
        raise Refusal(
            Reason.NAME_REQUIRED,
            f"{name} has a name and may not become a slot again; give the name it is to have",
            field="service.display_name",
            metadata={"name": name},
        )
    if wanted.memberships != present.memberships:
        _check_places(work, wanted, before=present.memberships)
    changed = sorted(path for path in wire.SERVICE_FIELDS if getattr(wanted, path) != getattr(present, path))
    if not changed:
        return Done(service_entry(present).message, work.head)
    what: dict[str, Any] = {"changed_fields": changed, "evidence": wire.evidence_out(backing)}
    if not present.display_name and wanted.display_name:
        what["changed_fields"] = [path for path in changed if path != "display_name"]
        return _keep_service(work, wanted, caller, "service_named", what)
    return _keep_service(work, wanted, caller, "service_updated", what)


def retire_service(
    work: CatalogWork,
    name: str,
    date: PartialDate | None,
    reason: str,
    replaced_by: str,
    etag: str,
    caller: Caller,
) -> Done:
    """Record that the procedure was abolished."""
    present = _service(work, name, "name")
    why = clean(reason, "reason", limit=2000, required=True, multiline=True, empty_reason=Reason.EMPTY_REASON)
    successor = _service(work, replaced_by, "replaced_by") if replaced_by else None
    full_name = f"services/{present.id}"
    _check_etag(work, etag, wire.service_etag(present), present, full_name, "etag")
    if present.retirement is not None:
        raise Refusal(
            Reason.ALREADY_RETIRED,
            f"{full_name} was retired before; nothing is left to do",
            field="name",
            metadata={"name": full_name},
        )
    if successor is not None and successor.id == present.id:
        raise Refusal(Reason.INVALID_VALUE, "names the service itself; name another, or none", field="replaced_by")
    retirement = domain.Retirement(date, why, f"services/{successor.id}" if successor else "")
    return _keep_service(work, replace(present, retirement=retirement), caller, "service_retired", {})


def record_service(work: CatalogWork, service: domain.Service, caller: Caller, name: str, what: dict[str, Any]) -> Done:
    """Keep a service that was decided whole, its alias included, and emit its event `name`, with `what` besides."""
    service = replace(service, update_time=work.now, update_actor=caller.actor, version=work.head.sequence + 1)
    entry = service_entry(service)
    row = _emit(work, caller, name, {"service": service_pb2.Service.FromString(entry.message), **what})
    work.put_service(entry)
    return Done(entry.message, row)


def programme_not_found(name: str, field: str) -> Refusal:
    """Word that there is no such programme."""
    return Refusal(
        Reason.PROGRAMME_NOT_FOUND,
        f"there is no {name}; ListProgrammes shows which there are",
        field=field,
        metadata={"name": name},
    )


def service_not_found(name: str, field: str) -> Refusal:
    """Word that there is no such service."""
    return Refusal(
        Reason.SERVICE_NOT_FOUND,
        f"there is no {name}; SearchServices finds services by words",
        field=field,
        metadata={"name": name},
    )


def _exists(name: str, field: str) -> Refusal:
    return Refusal(
        Reason.ALREADY_EXISTS,
        f"{name} is or was in use; choose another id",
        field=field,
        metadata={"name": name},
    )


def _service(work: CatalogWork, name: str, field: str) -> domain.Service:
    service = work.service(parse_name(name, "services", field))
    if service is None:
        raise service_not_found(name, field)
    return service


def _check_etag(
    work: CatalogWork,
    given: str,
    present: str,
    resource: domain.Programme | domain.Service,
    name: str,
    field: str,
) -> None:
    if given and given != present:
        when = iso_instant(resource.update_time)
        change = wire.change_words(_row(work, resource.version))
        raise Refusal(
            Reason.STALE_ETAG,
            f"{name} was changed at {when} by {resource.update_actor} ({change}); "
            "read it again, look, and send the call with its new etag",
            field=field,
            metadata={"name": name, "changed_time": when, "changed_by": resource.update_actor, "change": change},
        )


def _row(work: CatalogWork, sequence: int) -> Row:
    """Give a row of the journal, which is kept whole: one of this very transaction, or a stored one."""
    for row in work.rows:
        if row.sequence == sequence:
            return row
    return storage.journal.read(work.connection, sequence - 1, 1)[0]


def _check_places(work: CatalogWork, service: domain.Service, before: Sequence[domain.Membership]) -> None:
    for index, membership in enumerate(service.memberships):
        if membership in before:
            continue
        places = {other: number for other, number in work.places(membership.programme).items() if other != service.id}
        number = membership.plan_number
        taken = next((other for other, used in places.items() if number and used == number), None)
        programme = work.programme(membership.programme)
        domain.check_place(membership, programme, len(places), taken, f"service.memberships[{index}]")


def _keep_programme(
    work: CatalogWork,
    programme: domain.Programme,
    caller: Caller,
    name: str,
    what: dict[str, Any],
) -> Done:
    programme = replace(programme, update_time=work.now, update_actor=caller.actor, version=work.head.sequence + 1)
    entry = programme_entry(programme)
    row = _emit(work, caller, name, {"programme": programme_pb2.Programme.FromString(entry.message), **what})
    work.put_programme(entry)
    return Done(entry.message, row)


def _keep_service(work: CatalogWork, service: domain.Service, caller: Caller, name: str, what: dict[str, Any]) -> Done:
    return record_service(work, domain.with_alias(service, work.is_taken), caller, name, what)


def _emit(work: CatalogWork, caller: Caller, name: str, what: dict[str, Any]) -> Row:
    fields: dict[str, Any] = {
        "actor": caller.actor,
        "request_id": caller.request_id,
        "traceparent": caller.traceparent,
        name: what,
    }
    return work.emit(events_pb2.CatalogEvent(**fields))
