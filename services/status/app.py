"""Status's composition root: what is wired to what.

Invariant: the only module that knows all the others; nothing is opened before `serve`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

from services.common.config import Settings
from services.common.journal import utc_now
from services.common.peer import Peer
from services.common.runtime import Runtime
from services.status import consumers, metrics, storage, usecases, web, wire
from services.status.charts import Easel
from services.status.clock import Clock
from services.status.config import StatusSettings
from services.status.consumers import Feeds
from services.status.report import Desk as Reports
from services.status.rpc import Rpc
from services.status.storage import State, StatusWork
from services.status.watch import JOURNAL, Watches
from tiendo.status.v1 import status_service_pb2

DESCRIPTOR = status_service_pb2.DESCRIPTOR.services_by_name["StatusService"]


def build(
    shared: Settings,
    own: StatusSettings,
    clock: Callable[[], datetime] = utc_now,
    peers: dict[str, Peer] | None = None,
) -> tuple[Runtime[State, StatusWork], Rpc, dict[str, Peer]]:
    """Open the database, load the state and wire the service; the peers are the caller's to close.

    `peers`, by source, take the place of the sources at their addresses. Raises SchemaError.
    """
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
        clock=clock,
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
    peers = peers or {
        source: Peer(shared.address_of(source), service) for source, service in consumers.SERVICES.items()
    }
    rpc.allowed_days = own.allowed_days
    rpc.desk = Reports()
    rpc.feeds = Feeds(runtime, peers, shared).all
    rpc.watches = Watches(
        runtime.live,
        runtime.engine,
        runtime.stopping,
        bookmark_seconds=shared.bookmark_seconds,
        longest_seconds=shared.watch_seconds,
    )
    metrics.observe(runtime.metrics, runtime.live, rpc.watches, runtime.clock)
    return runtime, rpc, peers


def website(
    runtime: Runtime[State, StatusWork], rpc: Rpc, shared: Settings, own: StatusSettings, easel: Easel
) -> web.Website | None:
    """Wire the pages; None where none are wanted."""
    if own.web_port is None:
        return None
    desk = web.Desk(
        live=runtime.live,
        watches=rpc.watches,
        find_progress=partial(usecases.find_progress, runtime.engine),
        feeds=rpc.feeds,
        clock=runtime.clock,
        default_programme=shared.default_programme,
        stopping=runtime.stopping,
        allowed_days=own.allowed_days,
        reports=rpc.desk,
        easel=easel,
    )
    app = web.build_app(desk, runtime.metrics.requests)
    return web.Website(app, shared.host, own.web_port, reuse_port=shared.reuse_port)


async def serve(shared: Settings, own: StatusSettings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Raises SchemaError, PortTakenError."""
    runtime, rpc, peers = build(shared, own)
    easel = Easel()
    site = website(runtime, rpc, shared, own, easel)
    jobs: list[Coroutine[Any, Any, None]] = []
    try:
        if site:
            site.listen()
        feeds = list(rpc.feeds.values())
        clock = Clock(runtime, feeds, own.allowed_days, own.calendar_seconds)
        jobs = [clock.run(), *([site.run(runtime.stopping)] if site else [])]
        await runtime.serve(stopping, descriptor=DESCRIPTOR, rpc=rpc, feeds=feeds, jobs=jobs)
    finally:
        for job in jobs:
            job.close()
        if site:
            site.close()
        await easel.close()
        for peer in peers.values():
            await peer.close()
