"""What can be done with integrations: one function a verb.

Invariant: a verb decides everything before it puts or emits anything, so a refusal leaves the working set as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.dates import EffectiveDate, iso_instant, vietnam_day
from services.common.db import open_engine, read_transaction, write_transaction
from services.common.envelope import chunk, header_of
from services.common.errors import Reason, Refusal
from services.common.feed import Checkpoint
from services.common.journal import Head, Row, utc_now
from services.common.resources import parse_name
from services.common.writer import Caller
from services.integration import domain, storage, wire
from services.integration.domain import Integration, Transition
from services.integration.storage import CATALOG, Entry, IntegrationWork, catalog_revision
from tiendo.integration.v1 import events_pb2, integration_pb2, transition_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Done:
    """An integration after a verb, the entry it added if any, and the journal position that includes it."""

    message: bytes
    place: Row | Head
    transition: transition_pb2.Transition | None = None
    corrected: transition_pb2.Transition | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What every transition command says besides its stage."""

    name: str
    effective_date: EffectiveDate | None
    reason: str
    evidence: tuple[domain.Evidence, ...]
    etag: str


Step = Callable[..., tuple[Integration, Transition]]


def entry_of(integration: Integration, programmes: Sequence[str], former_aliases: Sequence[str], change: str) -> Entry:
    """Prepare an integration for reading and storing."""
    message = wire.integration_out(integration, programmes, former_aliases).SerializeToString(deterministic=True)
    return Entry(integration, tuple(programmes), tuple(former_aliases), change, message, chunk(1, message))


def stored_entry(message: bytes, version: int, _actor: str, change: str) -> Entry:
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
        entries.append(stored_entry(message, event.sequence, event.actor, wire.change_words(event)))
    return entries


def today_of(work: IntegrationWork) -> date:
    """Give the day in Vietnam on which the transaction runs."""
    return vietnam_day(work.now)


def take_step(work: IntegrationWork, step: Step, told: Told, caller: Caller, *stage: domain.Stage) -> Done:
    """Run one transition verb of the domain (`advance`, `block` …) and record it."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after, entry = _decide(work, step, before.integration, told, caller, *stage)
    return record(work, before, after, entry, caller)


def batch_advance(
    work: IntegrationWork,
    steps: Sequence[tuple[Told, domain.Stage]],
    caller: Caller,
) -> list[Done]:
    """Advance many, all or nothing; a refusal names its place, `requests[3].stage`."""
    present: dict[str, Entry] = {}
    decided: list[tuple[Entry, Integration, Transition]] = []
    for index, (told, stage) in enumerate(steps):
        try:
            found = find(work, told.name, "name")
            before = present.get(found.integration.service_id, found)
            if before is found:
                check_etag(before, told.etag)
            after, entry = _decide(work, domain.advance, before.integration, told, caller, stage)
        except Refusal as refusal:
            raise _at(refusal, f"requests[{index}].") from None
        decided.append((before, after, entry))
        present[found.integration.service_id] = replace(before, integration=after)
    return [record(work, before, after, entry, caller) for before, after, entry in decided]


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
    return record(work, before, after, entry, caller, corrected)


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
    return _keep(work, before, after, caller, {"connection_check_set": what})


def set_portal_link(work: IntegrationWork, told: Told, portal: domain.Portal, uri: str, caller: Caller) -> Done:
    """Record or remove a portal link; nothing is written when nothing changes."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after = domain.set_portal_link(before.integration, portal, uri, now=work.now, actor=caller.actor)
    if after is before.integration:
        return Done(before.message, work.head)
    link = next((link for link in after.portal_links if link.portal is portal), domain.PortalLink(portal, ""))
    what = events_pb2.PortalLinkSet(
        link=integration_pb2.PortalLink(portal=int(link.portal), uri=link.uri),  # type: ignore[arg-type]
    )
    return _keep(work, before, after, caller, {"portal_link_set": what})


def follow_catalog(work: IntegrationWork, rows: Sequence[Row], stored: Checkpoint) -> Checkpoint:
    """Make and describe integrations from catalog rows, and move the checkpoint; rows taken before add nothing.

    `stored` is the checkpoint as this transaction reads it. A row that cannot be read is put aside with its reason.
    """
    if stored.sequence >= work.checkpoint.sequence or stored.epoch != work.checkpoint.epoch:
        work.checkpoint = stored
    for row in rows:
        if row.epoch == work.checkpoint.epoch and row.sequence <= work.checkpoint.sequence:
            continue
        if not _follows(row, work.checkpoint):
            break
        work.checkpoint = Checkpoint(row.epoch, row.sequence, row.digest)
        try:
            told, actor, traceparent = wire.description_of(row)
        except (DecodeError, ValueError) as fault:
            work.put_aside(row, f"{type(fault).__name__}: {fault}")
            continue
        if told is not None:
            _describe(work, told, Caller(actor, "", traceparent), f"{CATALOG}/{row.epoch}/{row.sequence}")
    return work.checkpoint


def stored_checkpoint(engine: Engine) -> Checkpoint:
    """Give how far the catalog was followed, as the table has it."""
    with read_transaction(engine) as connection:
        return storage.read_checkpoint(connection)


def attach(url: str, rows: Sequence[Row]) -> str:
    """Take a catalog's journal from its start, in one transaction; nothing that is there is removed."""
    engine = open_engine(url)
    try:
        with write_transaction(engine) as connection:
            storage.journal.lock_head(connection)
            state = storage.load(connection, stored_entry)
            work = IntegrationWork(connection, state, utc_now())
            # Only what the catalog says in the end counts: what it said on the way was told when it was said.
            newest: dict[str, tuple[wire.Description, Caller]] = {}
            for row in rows:
                work.checkpoint = Checkpoint(row.epoch, row.sequence, row.digest)
                try:
                    told, actor, traceparent = wire.description_of(row)
                except (DecodeError, ValueError) as fault:
                    work.put_aside(row, f"{type(fault).__name__}: {fault}")
                    continue
                if told is not None:
                    newest[told.service_id] = told, Caller(actor, "", traceparent)
            for told, caller in newest.values():
                _describe(work, told, caller, None)
            work.write()
        return f"catalog read up to row {len(rows)}: {len(work.rows)} integrations made or described anew"
    finally:
        engine.dispose()


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


def record(
    work: IntegrationWork,
    before: Entry,
    after: Integration,
    entry: Transition,
    caller: Caller,
    corrected: Transition | None = None,
) -> Done:
    """Write a decided entry: history, integration, event."""
    transition = wire.transition_out(after.service_id, entry)
    what: dict[str, Any] = {"transition": transition}
    wrong = None
    if corrected is not None:
        wrong = what["corrected"] = wire.transition_out(after.service_id, corrected)
    # An integration may be advanced twice in one batch: what the catalog told of it is the same both times.
    done = _keep(work, before, after, caller, {wire.EVENT_OF_KIND[entry.kind]: what})
    body = transition.SerializeToString(deterministic=True)
    work.add_transition(after.service_id, entry.number, int(entry.kind), body)
    return replace(done, transition=transition, corrected=wrong)


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


def _keep(work: IntegrationWork, before: Entry, after: Integration, caller: Caller, what: dict[str, Any]) -> Done:
    return _emit(work, replace(before, integration=after), caller, what, None)


def _emit(work: IntegrationWork, entry: Entry, caller: Caller, what: dict[str, Any], cause: str | None) -> Done:
    integration = replace(entry.integration, version=work.head.sequence + 1)
    message = wire.integration_out(integration, entry.programmes, entry.former_aliases)
    fields: dict[str, Any] = {
        "actor": caller.actor,
        "request_id": caller.request_id,
        "traceparent": caller.traceparent,
        "catalog_revision": catalog_revision(work.checkpoint),
        "integration": message,
        **what,
    }
    event = events_pb2.IntegrationEvent(**fields)
    row = work.emit(event, cause)
    body = message.SerializeToString(deterministic=True)
    kept = replace(entry, integration=integration, change=wire.change_words(event), message=body, chunk=chunk(1, body))
    work.put(kept)
    return Done(body, row)


def _describe(work: IntegrationWork, told: wire.Description, caller: Caller, cause: str | None) -> None:
    present = work.find(told.service_id)
    if present is None:
        made = domain.new_integration(told.service_id, told.alias, told.display_name, work.now, caller.actor)
        entry = Entry(made, told.programmes, told.former_aliases, "", b"", b"")
        _emit(work, entry, caller, {"integration_created": {}}, cause)
        return
    integration = present.integration
    same = (integration.alias, integration.display_name, present.former_aliases, present.programmes)
    if same == (told.alias, told.display_name, told.former_aliases, told.programmes):
        return
    # What the catalog says of a service is no change of its integration's state: who changed that last stays named.
    described = replace(integration, alias=told.alias, display_name=told.display_name, update_time=work.now)
    entry = replace(present, integration=described, programmes=told.programmes, former_aliases=told.former_aliases)
    _emit(work, entry, caller, {"integration_described": {}}, cause)


def _follows(row: Row, checkpoint: Checkpoint) -> bool:
    try:
        header = header_of(row.payload)
    except ValueError:
        return False
    return (header.sequence, header.previous_digest) == (checkpoint.sequence + 1, checkpoint.digest)


def _at(refusal: Refusal, place: str) -> Refusal:
    field = refusal.fields[0] if refusal.fields else ""
    text = refusal.message.removeprefix(f"{field}: ")
    return Refusal(
        refusal.reason,
        text,
        field=f"{place}{field}",
        metadata=refusal.metadata,
        retry_seconds=refusal.retry_seconds,
    )


def told_of(request: Any) -> Told:
    """Read what a transition command says besides its stage. Raises Refusal for a date that cannot be."""
    return Told(
        request.name,
        wire.date_in(request.effective_date, "effective_date"),
        request.reason,
        wire.evidence_in(request.evidence),
        request.etag,
    )


def told_in_batch(requests: Sequence[pb.AdvanceIntegrationRequest]) -> list[tuple[Told, domain.Stage]]:
    """Read the steps of a batch. Raises Refusal naming the place of what cannot be read."""
    steps: list[tuple[Told, domain.Stage]] = []
    for index, request in enumerate(requests):
        for field in ("request_id", "at_least"):
            if getattr(request, field):
                raise Refusal(
                    Reason.INVALID_VALUE,
                    "must be empty inside a batch; the batch has its own",
                    field=f"requests[{index}].{field}",
                )
        try:
            steps.append((told_of(request), wire.known(request.stage, domain.Stage, "stage")))
        except Refusal as refusal:
            raise _at(refusal, f"requests[{index}].") from None
    return steps
