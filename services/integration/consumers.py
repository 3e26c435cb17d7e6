"""Follows the catalog: makes and describes integrations from its rows.

Invariant: what the catalog's rows do and how far they were taken is one transaction, so doing them twice adds nothing.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from services.common.config import ServiceSettings, Settings, SettingsError
from services.common.db import open_engine
from services.common.errors import Refusal
from services.common.feed import Checkpoint, Feed, FeedHaltedError, FeedState, PeerUnavailableError
from services.common.journal import Row
from services.common.peer import Peer
from services.common.runtime import Runtime
from services.common.schema import check_schema
from services.integration import usecases
from services.integration.storage import CATALOG, IntegrationWork, State
from tiendo.catalog.v1 import catalog_service_pb2, events_pb2

_ATTACH_SECONDS = 600.0

CATALOG_SERVICE = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]
_REMEDY = "Look at the catalog; if it was replaced on purpose, run `tiendo integration attach`."


def catalog_feed(runtime: Runtime[State, IntegrationWork], peer: Peer, shared: Settings) -> Feed:
    """Give the feed that keeps integrations in step with the catalog."""

    async def apply(rows: Sequence[Row]) -> Checkpoint:
        def follow(work: IntegrationWork) -> Checkpoint:
            return usecases.follow_catalog(work, rows)

        with runtime.telemetry.follow_span("follow catalog", [_traceparent(row) for row in rows]):
            reached = await runtime.replicas.apply(runtime.writer, follow, IntegrationWork.reread_checkpoint)
        runtime.reached.move(CATALOG, reached.epoch, reached.sequence)
        return reached

    first = runtime.live.current.checkpoint
    runtime.reached.move(CATALOG, first.epoch, first.sequence)
    return Feed(
        source=CATALOG,
        broker=runtime.broker,
        subject="tiendo.catalog.v1.>",
        event_type=events_pb2.CatalogEvent,
        list_events=peer.list_events,
        apply=apply,
        checkpoint=first,
        compare_seconds=shared.compare_seconds,
        remedy=_REMEDY,
        clock=runtime.clock,
    )


async def resume_when_attached(runtime: Runtime[State, IntegrationWork], feed: Feed) -> None:
    """Let a halted feed go on once `tiendo integration attach` has set the stored checkpoint anew; runs until cancelled."""
    while True:
        await asyncio.sleep(runtime.shared.follow_seconds)
        if feed.state is not FeedState.HALTED:
            continue
        with contextlib.suppress(Refusal):  # the database is away: look again
            # In the writer, so that commands too are decided on the new checkpoint from here on.
            stored: Checkpoint = await runtime.writer.run(IntegrationWork.reread_checkpoint)
            if stored != feed.checkpoint:
                runtime.reached.move(CATALOG, stored.epoch, stored.sequence)
                feed.reset(stored)


async def attach(shared: Settings, own: ServiceSettings) -> str:
    """Read the catalog from its start and add what integrations lack; give a sentence that says what was done.

    Raises SchemaError, and SettingsError when the catalog cannot be read.
    """
    engine = open_engine(own.database("integration", shared))
    try:
        await asyncio.to_thread(check_schema, engine, "integration")
        while True:
            before = await asyncio.to_thread(usecases.stored_checkpoint, engine)
            rows = await _read_catalog(shared)
            with contextlib.suppress(usecases.MovedOnError):
                return await asyncio.to_thread(usecases.attach, engine, rows, before)
    finally:
        engine.dispose()


async def _read_catalog(shared: Settings) -> list[Row]:
    """Give the catalog's rows from the first to its head, their bytes and chain checked as the feed checks them."""
    rows: list[Row] = []

    async def keep(more: Sequence[Row]) -> Checkpoint:
        rows.extend(more)
        return Checkpoint(rows[-1].epoch, rows[-1].sequence, rows[-1].digest)

    peer = Peer(shared.address_of(CATALOG), CATALOG_SERVICE)
    feed = Feed(
        source=CATALOG,
        broker=None,
        subject="",
        event_type=events_pb2.CatalogEvent,
        list_events=peer.list_events,
        apply=keep,
        checkpoint=Checkpoint(),
    )
    try:
        await feed.catch_up(_ATTACH_SECONDS)
    except (PeerUnavailableError, TimeoutError):
        raise SettingsError(
            f"the catalog at {shared.address_of(CATALOG)} does not answer; start it, then run this again"
        ) from None
    except FeedHaltedError as damaged:
        raise SettingsError(f"the catalog cannot be read: {damaged}") from None
    finally:
        await peer.close()
    return rows


def _traceparent(row: Row) -> str:
    try:
        return events_pb2.CatalogEvent.FromString(row.payload).traceparent
    except DecodeError:
        return ""
