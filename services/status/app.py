"""Status's composition root: what is wired to what.

Invariant: the only module that knows all the others; nothing is opened before `serve`.
"""

import asyncio

from services.common.config import Settings
from services.common.runtime import Peer, Runtime
from services.status import consumers, metrics, storage, usecases, wire
from services.status.config import StatusSettings
from services.status.consumers import Feeds
from services.status.rpc import Rpc
from services.status.storage import State, StatusWork
from services.status.watch import JOURNAL, Watches
from tiendo.status.v1 import status_service_pb2

DESCRIPTOR = status_service_pb2.DESCRIPTOR.services_by_name["StatusService"]


async def serve(shared: Settings, own: StatusSettings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Raises SchemaError, PortTakenError."""
    runtime: Runtime[State, StatusWork] = Runtime(
        "status",
        shared,
        own,
        storage.journal,
        journal_name=JOURNAL,
        stream="TIENDO_PROGRESS",
        load=lambda connection: storage.load(connection, usecases.decode),
        begin=StatusWork,
        catch_up=lambda connection, state, head: storage.catch_up(connection, state, head, usecases.decode),
        publication=wire.publication,
    )
    rpc = Rpc(
        runtime.live,
        runtime.writer,
        runtime.reached,
        engine=runtime.engine,
        journal=storage.journal,
        journal_name=JOURNAL,
        clock=runtime.clock,
        default_programme=shared.default_programme,
    )
    peers = {source: Peer(shared.address_of(source), service) for source, service in consumers.SERVICES.items()}
    feeds = Feeds(runtime, peers, shared)
    rpc.feeds = feeds.all
    rpc.watches = Watches(
        runtime.live,
        runtime.engine,
        runtime.stopping,
        bookmark_seconds=shared.bookmark_seconds,
        longest_seconds=shared.watch_seconds,
    )
    metrics.observe(runtime.metrics, runtime.live, rpc.watches, runtime.clock)
    try:
        await runtime.serve(stopping, descriptor=DESCRIPTOR, rpc=rpc, feeds=list(feeds.all.values()))
    finally:
        for peer in peers.values():
            await peer.close()
