"""The events of the own journal, and what is read of the catalog's.

Invariant: what is published of a row is all that the row holds.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from services.common.envelope import cloud_event, token
from services.common.journal import Row
from services.common.relay import Publication
from services.common.resources import parse_name
from services.integration import domain
from services.integration.domain import TransitionKind
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.integration.v1 import events_pb2

EVENT_OF_KIND = {kind: f"integration_{kind.name.lower()}" for kind in TransitionKind} | {
    TransitionKind.CORRECTED: "transition_corrected",
}
_TYPES = {"connection_check_set": "connection_check.set", "portal_link_set": "portal_link.set"}


def event_name(event: events_pb2.IntegrationEvent) -> str:
    """The event's word in a subject, `integration_advanced`."""
    return event.WhichOneof("event") or "unknown"


def event_type(name: str) -> str:
    """The CloudEvents type of an event's word: resource, a dot, what happened to it."""
    return "tiendo.integration.v1." + _TYPES.get(name, name.replace("_", ".", 1))


def event_of(row: Row) -> events_pb2.IntegrationEvent:
    """Read a row of our own journal."""
    return events_pb2.IntegrationEvent.FromString(row.payload)


def change_words(event: events_pb2.IntegrationEvent) -> str:
    """Say in a few words what an event changed, for whoever comes with a stale etag."""
    name = event_name(event)
    if name == "connection_check_set":
        check = event.connection_check_set.check
        return f"{_spoken(domain.Check(check.check))} check: {domain.CheckState(check.state).name}"
    if name == "portal_link_set":
        return f"link to the {_spoken(domain.Portal(event.portal_link_set.link.portal))} portal"
    if name == "integration_created":
        return "made from the catalog"
    if name == "integration_described":
        return "described anew by the catalog"
    if name == "transition_corrected":
        return f"entry {event.transition_corrected.corrected.number} corrected"
    if name in ("integration_advanced", "integration_reverted"):
        return f"stage: {domain.Stage(event.integration.stage).name}"
    return f"condition: {domain.Condition(event.integration.condition).name}"


def _spoken(word: IntEnum) -> str:
    return word.name.lower().replace("_", " ")


def publication(row: Row) -> Publication:
    """Word a journal row as it is published."""
    event = event_of(row)
    event.digest = row.digest
    name = event_name(event)
    service = event.integration.service
    body = cloud_event(event, source="/tiendo/integration", type=event_type(name), subject=service)
    headers = {"traceparent": event.traceparent} if event.traceparent else {}
    return Publication(f"tiendo.integration.v1.{name}.{token(service.removeprefix('services/'))}", body, headers)


@dataclass(frozen=True, slots=True)
class Description:
    """What the catalog tells of a service."""

    service_id: str
    alias: str
    former_aliases: tuple[str, ...]
    display_name: str
    programmes: tuple[str, ...]


def description_of(row: Row) -> tuple[Description | None, str, str]:
    """Read a catalog row: what it tells of a service (None for other rows), its actor and its trace.

    Raises DecodeError or ValueError for a row that cannot be read, Refusal for a service without a proper name.
    """
    event = catalog_events_pb2.CatalogEvent.FromString(row.payload)
    name = event.WhichOneof("event")
    if name is None:
        raise ValueError("it tells of an event that this version does not know")
    service: Any = getattr(getattr(event, name), "service", None)
    if service is None:
        return None, event.actor, event.traceparent
    service_id = parse_name(service.name, "services", "service.name")
    programmes = tuple(entry.programme.removeprefix("programmes/") for entry in service.memberships)
    told = Description(service_id, service.alias, tuple(service.former_aliases), service.display_name, programmes)
    return told, event.actor, event.traceparent
