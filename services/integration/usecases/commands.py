"""What callers can do with integrations: one function a verb.

Invariant: a verb decides everything before it puts or emits anything, so a refusal leaves the working set as it was.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Engine

from services.common.dates import iso_instant, vietnam_day
from services.common.db import read_transaction
from services.common.errors import Reason, Refusal
from services.common.journal import stamp
from services.common.listing import check_reply
from services.common.resources import parse_name
from services.common.work import Caller
from services.integration import domain, storage, wire
from services.integration.domain import Integration, Transition
from services.integration.storage import Entry, IntegrationWork
from services.integration.usecases.recording import Decided, Done, decided, keep
from services.integration.wire import Told
from tiendo.integration.v1 import events_pb2, transition_pb2

Step = Callable[..., tuple[Integration, Transition]]


def today_of(work: IntegrationWork) -> date:
    """Give the day in Vietnam on which the transaction runs."""
    return vietnam_day(work.now)


def take_step(work: IntegrationWork, step: Step, told: Told, caller: Caller, *stage: domain.Stage) -> Done:
    """Run one transition verb of the domain (`advance`, `block` …) and record it."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after, entry = _decide(work, step, before.integration, told, caller, *stage)
    return keep(work, _step_decided(work, before, after, entry, caller))


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
    return [keep(work, step) for step in decided]


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
    return keep(work, _step_decided(work, before, after, entry, caller, corrected))


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
    return keep(work, decided(work, before, after, caller, {"connection_check_set": what}))


def set_portal_link(work: IntegrationWork, told: Told, portal: domain.Portal, uri: str, caller: Caller) -> Done:
    """Record or remove a portal link; nothing is written when nothing changes."""
    before = find(work, told.name, "name")
    check_etag(before, told.etag)
    after = domain.set_portal_link(before.integration, portal, uri, now=work.now, actor=caller.actor)
    if after is before.integration:
        return Done(before.message, work.head)
    link = next((link for link in after.portal_links if link.portal is portal), domain.PortalLink(portal, ""))
    what = events_pb2.PortalLinkSet(link=wire.portal_link_out(link))
    return keep(work, decided(work, before, after, caller, {"portal_link_set": what}))


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
    return decided(
        work,
        before,
        after,
        caller,
        {wire.EVENT_OF_KIND[entry.kind]: what},
        sequence=sequence,
        transition=transition,
        corrected=wrong,
    )
