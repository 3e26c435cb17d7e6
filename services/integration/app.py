"""Integration's composition root: what is wired to what.

Invariant: the only module that knows all the others; nothing is opened before `serve`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from services.common.config import Settings
from services.common.journal import utc_now
from services.common.peer import Peer
from services.common.runtime import Runtime
from services.integration import consumers, metrics, storage, usecases, wire
from services.integration.config import IntegrationSettings
from services.integration.portal import Clock, Portals, is_public
from services.integration.rpc import Rpc
from services.integration.storage import CATALOG, IntegrationWork, State
from tiendo.integration.v1 import integration_service_pb2

DESCRIPTOR = integration_service_pb2.DESCRIPTOR.services_by_name["IntegrationService"]


def build(
    shared: Settings,
    own: IntegrationSettings,
    clock: Callable[[], datetime] = utc_now,
    peer: Peer | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[Runtime[State, IntegrationWork], Rpc, Peer]:
    """Open the database, load the state and wire the service; the peer is the caller's to close.

    `peer` takes the place of the catalog at its address; `sleep` waits between two tries of a portal. Raises SchemaError.
    """
    runtime: Runtime[State, IntegrationWork] = Runtime(
        "integration",
        shared,
        own,
        storage.journal,
        journal_name="integration",
        stream="TIENDO_INTEGRATION",
        load=lambda connection: storage.load(connection, usecases.stored_entry),
        begin=IntegrationWork,
        catch_up=lambda connection, state, head: storage.catch_up(connection, state, head, usecases.decode),
        publication=wire.publication,
        clock=clock,
    )
    rpc = Rpc(
        runtime.live,
        runtime.writer,
        runtime.reached,
        engine=runtime.engine,
        journal=storage.journal,
        journal_name="integration",
        clock=runtime.clock,
        default_programme=shared.default_programme,
    )
    metrics.observe(runtime.metrics, runtime.live)
    peer = peer or Peer(shared.address_of(CATALOG), consumers.CATALOG_SERVICE)
    rpc.feed = consumers.catalog_feed(runtime, peer, shared)
    rpc.portals = Portals(
        may_ask=(lambda _: True) if own.portal_private_addresses else is_public,
        period=timedelta(seconds=own.portal_check_seconds),
        sleep=sleep,
    )
    return runtime, rpc, peer


async def run(runtime: Runtime[State, IntegrationWork], rpc: Rpc, peer: Peer, stopping: asyncio.Event) -> None:
    """Serve what `build` wired until `stopping` is set. Raises PortTakenError."""
    try:
        await runtime.serve(
            stopping,
            descriptor=DESCRIPTOR,
            rpc=rpc,
            feeds=[rpc.feed],
            jobs=[consumers.resume_when_attached(runtime, rpc.feed), Clock(runtime, rpc.portals).run()],
        )
    finally:
        await peer.close()


async def serve(shared: Settings, own: IntegrationSettings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Raises SchemaError, PortTakenError."""
    await run(*build(shared, own), stopping)
