"""The endpoints about integrations and their steps: unpack, use case or state, pack.

Invariant: what an endpoint decides on, and what it answers from, is one state.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from services.common.call import Call
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.filters import FilterField, parse_filter
from services.common.listing import page, parse_order, query_hash
from services.common.resources import parse_name
from services.integration import domain, usecases, wire
from services.integration.rpc.base import DEFAULT_PAGE, MOST_A_PAGE, call_of
from services.integration.rpc.portals import PortalCalls
from services.integration.storage import Entry, IntegrationWork
from services.integration.usecases import Done
from services.integration.wire import Told, told_of
from tiendo.integration.v1 import integration_service_pb2 as pb

_EVERY = "programmes/-"


class Rpc(PortalCalls):
    """tiendo.integration.v1.IntegrationService."""

    async def get_integration(self, request: pb.GetIntegrationRequest, call: Call) -> bytes:
        """One integration, by service id or alias."""
        await self.read(request.at_least, call)
        entry = await self.sure(call, lambda: call_of(lambda: self.find(request.name, "name")))
        return entry.chunk + self.tail(self.live.current, 2)

    async def list_integrations(self, request: pb.ListIntegrationsRequest, call: Call) -> bytes:
        """Integrations in pages."""
        state = await self.read(request.at_least, call)
        programme = ""
        if request.programme != _EVERY:
            programme = parse_name(request.programme, "programmes", "programme", default=self.default_programme)
        order = parse_order(request.order_by, _ORDERS, lambda entry: entry.integration.service_id, default="name")
        entries, keys = state.sorted(programme, order)
        if request.filter:
            matches = parse_filter(request.filter, _FIELDS)
            found = [index for index, entry in enumerate(entries) if matches(entry)]
            entries, keys = [entries[index] for index in found], [keys[index] for index in found]
        cut = page(
            keys,
            page_size=request.page_size,
            page_token=request.page_token,
            query_hash=query_hash("integrations", programme, request.filter, order.text),
            default_size=DEFAULT_PAGE,
            max_size=MOST_A_PAGE,
            descending=order.descending,
            size_of=lambda index: len(entries[index].chunk),
        )
        rest = pb.ListIntegrationsResponse(next_page_token=cut.next_page_token, total_size=len(entries))
        chunks = b"".join([entry.chunk for entry in entries[cut.start : cut.stop]])
        return chunks + rest.SerializeToString() + self.tail(state, 4)

    async def list_transitions(self, request: pb.ListTransitionsRequest, call: Call) -> Message:
        """Give the history of one integration, corrections marked."""
        await self.read(request.at_least, call)
        entry = await self.sure(call, lambda: call_of(lambda: self.find(request.parent, "parent")))
        integration_id = entry.integration.service_id
        # Before the history is read: it may be newer than these say, never older.
        revisions = self.revisions(self.live.current)
        entries = await asyncio.to_thread(usecases.history, self.engine, integration_id)
        cut = page(
            [(kept.number,) for kept in entries],
            page_size=request.page_size,
            page_token=request.page_token,
            query_hash=query_hash("transitions", integration_id),
            default_size=DEFAULT_PAGE,
            max_size=MOST_A_PAGE,
            size_of=lambda index: entries[index].ByteSize(),
        )
        return pb.ListTransitionsResponse(
            transitions=entries[cut.start : cut.stop],
            next_page_token=cut.next_page_token,
            total_size=len(entries),
            revisions=revisions,
        )

    async def advance_integration(self, request: pb.AdvanceIntegrationRequest, call: Call) -> bytes:
        """Move to a later stage."""
        stage = wire.known(request.stage, domain.Stage, "stage")
        return await self._step(request, call, domain.advance, stage)

    async def revert_integration(self, request: pb.RevertIntegrationRequest, call: Call) -> bytes:
        """Move back to an earlier stage."""
        stage = wire.known(request.stage, domain.Stage, "stage")
        return await self._step(request, call, domain.revert, stage)

    async def block_integration(self, request: pb.BlockIntegrationRequest, call: Call) -> bytes:
        """Record that work is held up."""
        return await self._step(request, call, domain.block)

    async def unblock_integration(self, request: pb.UnblockIntegrationRequest, call: Call) -> bytes:
        """Record that work goes on."""
        return await self._step(request, call, domain.unblock)

    async def suspend_integration(self, request: pb.SuspendIntegrationRequest, call: Call) -> bytes:
        """Record that what was live is off."""
        return await self._step(request, call, domain.suspend)

    async def resume_integration(self, request: pb.ResumeIntegrationRequest, call: Call) -> bytes:
        """Record that it is live again."""
        return await self._step(request, call, domain.resume)

    async def withdraw_integration(self, request: pb.WithdrawIntegrationRequest, call: Call) -> bytes:
        """Take it out of the plan."""
        return await self._step(request, call, domain.withdraw)

    async def reinstate_integration(self, request: pb.ReinstateIntegrationRequest, call: Call) -> bytes:
        """Put it back into the plan."""
        return await self._step(request, call, domain.reinstate)

    async def correct_transition(self, request: pb.CorrectTransitionRequest, call: Call) -> bytes:
        """Re-date or annul an earlier entry."""
        told = told_of(request)
        if request.transition < 0:
            raise Refusal(Reason.INVALID_VALUE, "is below 0; give an entry's number, or 0", field="transition")
        if request.HasField("annul") and not request.annul:
            raise Refusal(Reason.INVALID_VALUE, "may only be true; to re-date, give effective_date", field="annul")
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.correct(work, told, request.transition, caller, annul=request.annul),
        )

    async def set_connection_check(self, request: pb.SetConnectionCheckRequest, call: Call) -> bytes:
        """Record how a connection check stands."""
        told = Told(
            request.name,
            wire.date_in(request.date, "date"),
            evidence=wire.evidence_in(request.evidence),
            etag=request.etag,
        )
        check = wire.known(request.check, domain.Check, "check")
        state = wire.known(request.state, domain.CheckState, "state")
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.set_check(work, told, check, state, caller),
        )

    async def set_portal_link(self, request: pb.SetPortalLinkRequest, call: Call) -> bytes:
        """Record or remove a portal link."""
        told = Told(request.name, etag=request.etag)
        portal = wire.known(request.portal, domain.Portal, "portal")
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.set_portal_link(work, told, portal, request.uri, caller),
        )

    async def batch_advance_integrations(self, request: pb.BatchAdvanceIntegrationsRequest, call: Call) -> bytes:
        """Advance many, all or nothing."""
        if not 1 <= len(request.requests) <= MOST_A_PAGE:
            raise Refusal(
                Reason.TOO_MANY if request.requests else Reason.MISSING_VALUE,
                f"{len(request.requests)} steps; give 1 to {MOST_A_PAGE}",
                field="requests",
                metadata={"limit": str(MOST_A_PAGE), "count": str(len(request.requests))},
            )
        steps = [_read_step(step, f"requests[{index}]") for index, step in enumerate(request.requests)]
        caller = call.caller(request)

        def decide(work: IntegrationWork) -> bytes:
            done = usecases.batch_advance(work, steps, caller)
            return b"".join(chunk(1, one.message) for one in done) + chunk(2, self.revision_of(done[-1].place).encode())

        return await self.sure(call, lambda: self.command(request, call, decide))

    async def _step(
        self,
        request: Any,
        call: Call,
        step: usecases.Step,
        *stage: domain.Stage,
    ) -> bytes:
        told = told_of(request)
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.take_step(work, step, told, caller, *stage),
        )

    # Every command's response has the same fields: integration, revision, transition and, of a correction, corrected.
    async def _run(
        self,
        request: Any,
        call: Call,
        verb: Callable[[IntegrationWork], Done],
    ) -> bytes:
        def decide(work: IntegrationWork) -> bytes:
            done = verb(work)
            reply = chunk(1, done.message) + chunk(2, self.revision_of(done.place).encode())
            if done.transition:
                reply += chunk(3, done.transition)
            return reply + chunk(4, done.corrected) if done.corrected else reply

        return await self.sure(call, lambda: self.command(request, call, decide))


def _read_step(request: pb.AdvanceIntegrationRequest, place: str) -> tuple[Told, domain.Stage]:
    """Read one step of a batch. Raises Refusal naming the place of what cannot be read."""
    try:
        for field in ("request_id", "at_least"):
            if getattr(request, field):
                raise Refusal(Reason.INVALID_VALUE, "must be empty inside a batch; the batch has its own", field=field)
        return told_of(request), wire.known(request.stage, domain.Stage, "stage")
    except Refusal as refusal:
        raise usecases.at_place(refusal, place) from None


_ORDERS: dict[str, Callable[[Entry], str | int]] = {
    "name": lambda entry: entry.integration.service_id,
    "stage": lambda entry: int(entry.integration.stage),
    "update_time": lambda entry: entry.integration.update_time.isoformat(),
    "display_name": lambda entry: entry.sort_key,
}
_FIELDS: dict[str, FilterField[Entry]] = {
    "stage": FilterField(
        lambda entry: [entry.integration.stage.name],
        values=frozenset(stage.name for stage in domain.Stage),
    ),
    "condition": FilterField(
        lambda entry: [entry.integration.condition.name],
        values=frozenset(condition.name for condition in domain.Condition),
    ),
    "naming": FilterField(
        lambda entry: ["NAMED" if entry.integration.display_name else "SLOT"],
        values=frozenset({"NAMED", "SLOT"}),
    ),
    "check": FilterField(
        lambda entry: [f"{check.check.name}:{check.state.name}" for check in entry.integration.checks],
        values=frozenset(f"{check.name}:{state.name}" for check in domain.Check for state in domain.CheckState),
    ),
    "portal": FilterField(
        lambda entry: [f"{check.portal.name}:{check.answer.name}" for check in entry.integration.portal_checks],
        values=frozenset(f"{portal.name}:{answer.name}" for portal in domain.Portal for answer in domain.PortalAnswer),
    ),
    "text": FilterField(lambda entry: [entry.haystack], fold=True, words=True),
}
