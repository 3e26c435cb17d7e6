"""The endpoints about what portals really answer.

Invariant: nothing is recorded of a call that ends before its portals have answered or failed.
"""

import asyncio

from services.common.call import Call
from services.common.envelope import chunk
from services.common.listing import page, query_hash
from services.integration import domain, usecases, wire
from services.integration.portal import Portals
from services.integration.rpc.base import DEFAULT_PAGE, MOST_A_PAGE, Base, call_of
from services.integration.storage import IntegrationWork
from tiendo.integration.v1 import integration_service_pb2 as pb


class PortalCalls(Base):
    """CheckPortal and ListPortalChecks."""

    portals: Portals
    """Whoever asks portals; set by the composition root."""

    async def check_portal(self, request: pb.CheckPortalRequest, call: Call) -> bytes:
        """Ask a portal now, and record what it answers."""
        portal = wire.known(request.portal, domain.Portal, "portal") if request.portal else None
        if (kept := await self.answered(request, call)) is not None:
            return kept
        await self.read(request.at_least, call)

        def links() -> tuple[domain.PortalLink, ...]:
            return domain.links_to_ask(self.find(request.name, "name").integration, portal)

        asked = await self.sure(call, lambda: call_of(links))
        found = await asyncio.gather(*(self.portals.ask(link.uri) for link in asked))
        caller = call.caller(request)

        def decide(work: IntegrationWork) -> bytes:
            answers = list(zip(asked, found, strict=True))
            done, checks = usecases.record_portal_checks(work, request.name, answers, caller)
            reply = chunk(1, done.message) + chunk(2, self.revision_of(done.place).encode())
            return reply + b"".join(chunk(3, check) for check in checks)

        return await self.command(request, call, decide)

    async def list_portal_checks(self, request: pb.ListPortalChecksRequest, call: Call) -> bytes:
        """Give the checks of one integration, newest first."""
        portal = wire.known(request.portal, domain.Portal, "portal") if request.portal else None
        await self.read(request.at_least, call)
        entry = await self.sure(call, lambda: call_of(lambda: self.find(request.parent, "parent")))
        integration_id = entry.integration.service_id
        # Before the checks are read: they may be newer than these say, never older.
        revisions = self.revisions(self.live.current)
        kept = await asyncio.to_thread(usecases.portal_checks, self.engine, integration_id, portal)
        cut = page(
            [check.key for check in kept],
            page_size=request.page_size,
            page_token=request.page_token,
            query_hash=query_hash("portal checks", integration_id, str(request.portal)),
            default_size=DEFAULT_PAGE,
            max_size=MOST_A_PAGE,
            descending=(True, True, True),
            size_of=lambda index: len(kept[index].message),
        )
        chunks = b"".join(chunk(1, check.message) for check in kept[cut.start : cut.stop])
        rest = pb.ListPortalChecksResponse(
            next_page_token=cut.next_page_token, total_size=len(kept), revisions=revisions
        )
        return chunks + rest.SerializeToString()
