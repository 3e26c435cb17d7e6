"""What can be done with integrations: one function a verb.

Invariant: a verb decides everything before it puts or emits anything, so a refusal leaves the working set as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import structlog
from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.dates import iso_instant, vietnam_day
from services.common.db import read_transaction, write_transaction
from services.common.envelope import chunk, header_of
from services.common.errors import Reason, Refusal
from services.common.feed import Checkpoint
from services.common.journal import Head, Row, stamp, utc_now
from services.common.listing import check_reply
from services.common.resources import parse_name
from services.common.writer import Caller
from services.integration import domain, storage, wire
from services.integration.domain import Integration, Transition
from services.integration.storage import CATALOG, Entry, IntegrationWork, catalog_revision
from services.integration.wire import Told
from tiendo.integration.v1 import events_pb2, integration_pb2, transition_pb2

_ACTOR_LIMIT = 200

log = structlog.get_logger("integration")


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


class MovedOnError(Exception):
    """The catalog was followed further meanwhile."""


Step = Callable[..., tuple[Integration, Transition]]


def stored_entry(message: bytes, version: int, change: str) -> Entry:
    """Prepare an integration read from its table."""
    read = integration_pb2.Integration.FromString(message)
    integration = wire.integration_of(read, version)
    programmes = wire.programmes_of(read)
    return Entry(integration, programmes, tuple(read.former_aliases), change, message, chunk(1, message))


def decode(rows: Sequence[Row]) -> list[Entry]:
    """Give the integrations after some journal rows, the newest of each last."""
    entries: list[Entry] = []
    for row in rows:
        event = wire.event_of(row)
        message = event.integration.SerializeToString(deterministic=True)
        entries.append(stored_entry(message, event.sequence, wire.change_words(event)))
    return entries


def today_of(work: IntegrationWork) -> date:
    """Give the day in Vietnam on which the transaction runs."""
    return vietnam_day(work.now)


def take_step(work: IntegrationWork, step: Step, told: Told, caller: Caller, *stage: domain.Stage) -> Done:
    """Run one transition verb of the domain (`advance`, `block` …) and record it."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after, entry = _decide(work, step, before.integration, told, caller, *stage)
    return _keep(work, _step_decided(work, before, after, entry, caller))


def batch_advance(
    work: IntegrationWork,
    steps: Sequence[tuple[Told, domain.Stage]],
    caller: Caller,
) -> list[Done]:
    """Advance many, all or nothing; a refusal names its place, `requests[3].stage`."""
    present: dict[str, Entry] = {}
    decided: list[Decided] = []
    head = work.head
    for index, (told, stage) in enumerate(steps):
        try:
            found = find(work, told.name, "name")
            # A caller cannot know the etag between two steps of one batch: the one from before it guards them all.
            check_etag(found, told.etag)
            before = present.get(found.integration.service_id, found)
            after, transition = _decide(work, domain.advance, before.integration, told, caller, stage)
            step = _step_decided(work, before, after, transition, caller, sequence=head.sequence + 1)
            # An event that is too large must be found before the first one is kept.
            _, head = stamp(step.event, head, work.now)
        except Refusal as refusal:
            raise at_place(refusal, f"requests[{index}]") from None
        decided.append(step)
        present[found.integration.service_id] = step.entry
    check_reply([len(step.entry.chunk) for step in decided], "requests")
    return [_keep(work, step) for step in decided]


def correct(
    work: IntegrationWork,
    told: Told,
    number: int,
    caller: Caller,
    *,
    annul: bool,
) -> Done:
    """Re-date or annul an earlier entry by adding one."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    messages = work.history(before.integration.service_id)
    history = [wire.transition_of(transition_pb2.Transition.FromString(message)) for message in messages]
    after, entry, corrected = domain.correct(
        before.integration,
        history,
        number,
        annul=annul,
        effective_date=told.effective_date,
        reason=told.reason,
        evidence=told.evidence,
        today=today_of(work),
        now=work.now,
        actor=caller.actor,
    )
    return _keep(work, _step_decided(work, before, after, entry, caller, corrected))


def set_check(
    work: IntegrationWork,
    told: Told,
    check: domain.Check,
    state: domain.CheckState,
    caller: Caller,
) -> Done:
    """Record how a connection check stands; nothing is written when nothing changes."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after = domain.set_check(
        before.integration,
        check,
        state,
        effective_date=told.effective_date,
        evidence=told.evidence,
        today=today_of(work),
        now=work.now,
        actor=caller.actor,
    )
    if after is before.integration:
        return Done(before.message, work.head)
    what = events_pb2.ConnectionCheckSet(
        check=wire.check_out(after.check(check)),
        previous_state=int(before.integration.check(check).state),  # type: ignore[arg-type]
    )
    return _keep(work, _decided(work, before, after, caller, {"connection_check_set": what}))


def set_portal_link(work: IntegrationWork, told: Told, portal: domain.Portal, uri: str, caller: Caller) -> Done:
    """Record or remove a portal link; nothing is written when nothing changes."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after = domain.set_portal_link(before.integration, portal, uri, now=work.now, actor=caller.actor)
    if after is before.integration:
        return Done(before.message, work.head)
    link = next((link for link in after.portal_links if link.portal is portal), domain.PortalLink(portal, ""))
    what = events_pb2.PortalLinkSet(link=wire.portal_link_out(link))
    return _keep(work, _decided(work, before, after, caller, {"portal_link_set": what}))


def follow_catalog(work: IntegrationWork, rows: Sequence[Row]) -> Checkpoint:
    """Make and describe integrations from catalog rows, and move the checkpoint; rows taken before add nothing.

    A row that cannot be read, or whose effect cannot be recorded, is put aside with its reason.
    """
    place = work.reread_checkpoint()
    causes = {row.digest: f"{CATALOG}/{row.epoch}/{row.sequence}" for row in rows}
    taken = storage.journal.known_causes(work.connection, causes.values())
    for row in rows:
        if row.epoch == place.epoch and row.sequence <= place.sequence:
            continue
        if not _follows(row, place):
            break
        place = work.checkpoint = Checkpoint(row.epoch, row.sequence, row.digest)
        cause = causes[row.digest]
        if cause in taken:
            # The checkpoint says that this row is new, so an older copy of the catalog had another one at its place.
            cause = f"{cause}/{row.digest[:16]}"
        try:
            told, caller = _read(row)
            if told is not None:
                _describe(work, told, caller, cause)
        except (DecodeError, ValueError, Refusal) as fault:
            _put_aside(work, row, fault)
    return place


def attach(engine: Engine, rows: Sequence[Row], before: Checkpoint) -> str:
    """Take a catalog's whole journal, in one transaction; nothing that is there is removed. Give what was done in words.

    Raises MovedOnError when the checkpoint is no longer the one `before` the journal was read.
    """
    with write_transaction(engine) as connection:
        storage.journal.lock_head(connection)
        work = IntegrationWork(connection, storage.load(connection, stored_entry), utc_now())
        if work.checkpoint != before:
            raise MovedOnError
        last = rows[-1] if rows else Row("", 0, "", b"")
        work.checkpoint = Checkpoint(last.epoch, last.sequence, last.digest)
        # Only what the catalog says in the end counts: what it said on the way was told when it was said.
        newest: dict[str, tuple[Row, wire.Description, Caller]] = {}
        for row in rows:
            try:
                told, caller = _read(row)
            except (DecodeError, ValueError, Refusal) as fault:
                _put_aside(work, row, fault)
            else:
                if told is not None:
                    newest[told.service_id] = row, told, caller
        for row, told, caller in newest.values():
            try:
                _describe(work, told, caller, None)
            except Refusal as fault:
                _put_aside(work, row, fault)
        work.write()
    return f"catalog read up to row {last.sequence}: {len(work.rows)} integrations made or described anew"


def stored_checkpoint(engine: Engine) -> Checkpoint:
    """Give how far the catalog was followed, as the table has it."""
    with read_transaction(engine) as connection:
        return storage.read_checkpoint(connection)


def _read(row: Row) -> tuple[wire.Description | None, Caller]:
    told, actor, traceparent = wire.description_of(row)
    return told, Caller(actor[:_ACTOR_LIMIT], "", traceparent)


def _put_aside(work: IntegrationWork, row: Row, fault: Exception) -> None:
    reason = f"{type(fault).__name__}: {fault}"
    log.warning("catalog row put aside", sequence=row.sequence, reason=reason)
    work.put_aside(row, reason)


def history(engine: Engine, integration_id: str) -> list[transition_pb2.Transition]:
    """Give an integration's entries, oldest first, each marked with what annulled or re-dated it."""
    with read_transaction(engine) as connection:
        messages = storage.read_history(connection, integration_id)
    entries = [wire.transition_of(transition_pb2.Transition.FromString(message)) for message in messages]
    return [wire.transition_out(integration_id, entry) for entry in domain.mark(entries)]


def find(work: IntegrationWork, name: str, field: str) -> Entry:
    """Find an integration by name. Raises Refusal INVALID_NAME, INTEGRATION_NOT_FOUND."""
    entry = work.find(parse_name(name, "integrations", field))
    if entry is None:
        raise not_found(name, field)
    return entry


def not_found(name: str, field: str) -> Refusal:
    """Word that there is no such integration."""
    return Refusal(
        Reason.INTEGRATION_NOT_FOUND,
        f"there is no {name}: the catalog has no service of that id or alias",
        field=field,
        metadata={"name": name},
    )


def check_etag(entry: Entry, given: str) -> None:
    """Refuse (STALE_ETAG) an etag that is not the present one; an empty one guards nothing."""
    integration = entry.integration
    if not given or given == wire.integration_etag(integration):
        return
    when = iso_instant(integration.update_time)
    raise Refusal(
        Reason.STALE_ETAG,
        f"{integration.name} was changed at {when} by {integration.update_actor} ({entry.change}); "
        "read it again, look, and send the call with its new etag",
        field="etag",
        metadata={
            "name": integration.name,
            "changed_time": when,
            "changed_by": integration.update_actor,
            "change": entry.change,
        },
    )


def _decide(
    work: IntegrationWork,
    step: Step,
    integration: Integration,
    told: Told,
    caller: Caller,
    *stage: domain.Stage,
) -> tuple[Integration, Transition]:
    return step(
        integration,
        *stage,
        effective_date=told.effective_date,
        reason=told.reason,
        evidence=told.evidence,
        today=today_of(work),
        now=work.now,
        actor=caller.actor,
    )


def _decided(
    work: IntegrationWork,
    before: Entry,
    after: Integration,
    caller: Caller,
    what: dict[str, Any],
    *,
    sequence: int | None = None,
    transition: transition_pb2.Transition | None = None,
    corrected: transition_pb2.Transition | None = None,
) -> Decided:
    """Word a decided change; `sequence` is its event's, the very next one where none is given.

    `before` without a message is new, or described anew: it has what the catalog tells now, and all of it is written.
    """
    integration = replace(after, version=sequence or work.head.sequence + 1)
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
    words = wire.change_words(event)
    entry = Entry(integration, before.programmes, before.former_aliases, words, body, chunk(1, body))
    return Decided(entry, event, transition, corrected)


def _step_decided(
    work: IntegrationWork,
    before: Entry,
    after: Integration,
    entry: Transition,
    caller: Caller,
    corrected: Transition | None = None,
    *,
    sequence: int | None = None,
) -> Decided:
    transition = wire.transition_out(after.service_id, entry)
    wrong = None if corrected is None else wire.transition_out(after.service_id, corrected)
    what: dict[str, Any] = (
        {"transition": transition} if wrong is None else {"transition": transition, "corrected": wrong}
    )
    return _decided(
        work,
        before,
        after,
        caller,
        {wire.EVENT_OF_KIND[entry.kind]: what},
        sequence=sequence,
        transition=transition,
        corrected=wrong,
    )


def _keep(work: IntegrationWork, decided: Decided, cause: str | None = None) -> Done:
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


def _describe(work: IntegrationWork, told: wire.Description, caller: Caller, cause: str | None) -> None:
    present = work.find_id(told.service_id)
    if present is None:
        made = domain.new_integration(told.service_id, told.alias, told.display_name, work.now, caller.actor)
        entry = Entry(made, told.programmes, told.former_aliases, "", b"", b"")
        _keep(work, _decided(work, entry, made, caller, {"integration_created": {}}), cause)
        return
    integration = present.integration
    same = (integration.alias, integration.display_name, present.former_aliases, present.programmes)
    if same == (told.alias, told.display_name, told.former_aliases, told.programmes):
        return
    described = integration.changed(work.now, caller.actor, alias=told.alias, display_name=told.display_name)
    entry = Entry(described, told.programmes, told.former_aliases, "", b"", b"")
    _keep(work, _decided(work, entry, described, caller, {"integration_described": {}}), cause)


def _follows(row: Row, checkpoint: Checkpoint) -> bool:
    try:
        header = header_of(row.payload)
    except ValueError:
        return False
    return (header.sequence, header.previous_digest) == (checkpoint.sequence + 1, checkpoint.digest)


def at_place(refusal: Refusal, place: str) -> Refusal:
    """Give the refusal of one step of a batch, its field named from the batch: `stage` at `requests[3]`."""
    field = refusal.fields[0] if refusal.fields else ""
    return Refusal(
        refusal.reason,
        refusal.message.removeprefix(f"{field}: "),
        field=f"{place}.{field}" if field else place,
        metadata=refusal.metadata,
        retry_seconds=refusal.retry_seconds,
    )
