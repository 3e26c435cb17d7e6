"""How a decided change is worded and kept: its event, the integration after it, its entry in the history.

Invariant: the message that is stored is the very one that the event carries.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from services.common.envelope import chunk
from services.common.journal import Head, Row
from services.common.work import Caller
from services.integration import wire
from services.integration.domain import Integration
from services.integration.storage import Entry, IntegrationWork, State, catalog_revision
from tiendo.integration.v1 import events_pb2, integration_pb2, transition_pb2


@dataclass(frozen=True, slots=True)
class Done:
    """An integration after a verb, the journal position that includes it, the entries it added and corrected if any."""

    message: bytes
    place: Row | Head
    transition: bytes = b""
    corrected: bytes = b""


@dataclass(frozen=True, slots=True)
class Decided:
    """A change that was decided and not kept yet: the integration after it, its event, the entry it adds to the history."""

    entry: Entry
    event: events_pb2.IntegrationEvent
    transition: transition_pb2.Transition | None = None
    corrected: transition_pb2.Transition | None = None


def stored_entry(message: bytes, version: int, change: str) -> Entry:
    """Prepare an integration read from its table."""
    read = integration_pb2.Integration.FromString(message)
    integration = wire.integration_of(read, version)
    programmes = wire.programmes_of(read)
    return Entry(integration, programmes, tuple(read.former_aliases), change, message, chunk(1, message))


def decode(state: State, rows: Iterable[Row]) -> list[Entry]:
    """Give the integrations after some journal rows that follow `state`."""
    entries: dict[str, Entry] = {}
    for row in rows:
        event = wire.event_of(row)
        service_id = event.integration.name.removeprefix("integrations/")
        version, change = event.sequence, wire.change_words(event)
        if event.HasField("portal_answered"):
            before = entries.get(service_id) or state.entries[service_id]
            version, change = before.integration.version, before.change
        message = event.integration.SerializeToString(deterministic=True)
        entries[service_id] = stored_entry(message, version, change)
    return list(entries.values())


def decided(
    work: IntegrationWork,
    before: Entry,
    after: Integration,
    caller: Caller,
    what: dict[str, Any],
    *,
    sequence: int | None = None,
    keeps_etag: bool = False,
    transition: transition_pb2.Transition | None = None,
    corrected: transition_pb2.Transition | None = None,
) -> Decided:
    """Word a decided change; `sequence` is its event's, the very next one where none is given.

    `keeps_etag`: nobody's decision is made stale by it.

    `before` without a message is new, or described anew: it has what the catalog tells now, and all of it is written.
    """
    integration = after if keeps_etag else replace(after, version=sequence or work.head.sequence + 1)
    if before.message:
        message = wire.integration_changed(before.message, before.integration, integration)
    else:
        message = wire.integration_out(integration, before.programmes, before.former_aliases)
    event = events_pb2.IntegrationEvent(
        actor=caller.actor,
        request_id=caller.request_id,
        traceparent=caller.traceparent,
        catalog_revision=catalog_revision(work.checkpoint),
        integration=message,
        **what,
    )
    body = message.SerializeToString(deterministic=True)
    words = before.change if keeps_etag else wire.change_words(event)
    entry = Entry(integration, before.programmes, before.former_aliases, words, body, chunk(1, body))
    return Decided(entry, event, transition, corrected)


def keep(work: IntegrationWork, decided: Decided, cause: str | None = None) -> Done:
    """Keep a decided change for writing: event, integration, history."""
    # First, because it refuses an event that is too large.
    row = work.emit(decided.event, cause)
    work.put(decided.entry)
    if (transition := decided.transition) is None:
        return Done(decided.entry.message, row)
    body = transition.SerializeToString(deterministic=True)
    work.add_transition(decided.entry.integration.service_id, transition.number, int(transition.kind), body)
    corrected = decided.corrected.SerializeToString(deterministic=True) if decided.corrected is not None else b""
    return Done(decided.entry.message, row, body, corrected)
