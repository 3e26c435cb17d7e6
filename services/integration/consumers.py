"""Follows the catalog: makes and describes integrations from its rows.

Invariant: what the catalog's rows do and how far they were taken is one transaction, so doing them twice adds nothing.
"""

import asyncio
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from services.common.config import ServiceSettings, Settings, SettingsError
from services.common.envelope import header_of, split_events, unseal
from services.common.feed import Checkpoint, Feed, FeedState, PeerUnavailableError
from services.common.journal import Row
from services.common.runtime import Peer, Runtime
from services.integration import storage, usecases
from services.integration.storage import CATALOG, IntegrationWork, State
from tiendo.catalog.v1 import catalog_service_pb2, events_pb2

CATALOG_SERVICE = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]
_REMEDY = "Look at the catalog; if it was replaced on purpose, run `tiendo integration attach`."


def catalog_feed(runtime: Runtime[State, IntegrationWork], peer: Peer, shared: Settings) -> Feed:
    """Give the feed that keeps integrations in step with the catalog."""

    async def apply(rows: Sequence[Row]) -> Checkpoint:
        def follow(work: IntegrationWork) -> Checkpoint:
            return usecases.follow_catalog(work, rows, storage.read_checkpoint(work.connection))

        with runtime.telemetry.follow_span("follow catalog", [_traceparent(row) for row in rows]):
            reached: Checkpoint = await runtime.writer.run(follow)
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
        if feed.state is FeedState.HALTED:
            stored = await asyncio.to_thread(usecases.stored_checkpoint, runtime.engine)
            if stored != feed.checkpoint:
                runtime.reached.move(CATALOG, stored.epoch, stored.sequence)
                feed.reset(stored)


async def attach(shared: Settings, own: ServiceSettings) -> str:
    """Read the catalog from its start and add what integrations lack; give a sentence that says what was done."""
    peer = Peer(shared.address_of(CATALOG), CATALOG_SERVICE)
    rows: list[Row] = []
    try:
        while True:
            answer = await peer.list_events(rows[-1].sequence if rows else 0, rows[-1].epoch if rows else "", 1000)
            events, _ = split_events(answer)
            if not events:
                break
            for sealed in events:
                payload, digest = unseal(sealed)
                header = header_of(payload)
                rows.append(Row(header.epoch, header.sequence, digest, payload))
    except PeerUnavailableError as away:
        raise SettingsError(f"the catalog cannot be read: {away}; start it, then run this again") from None
    finally:
        await peer.close()
    return await asyncio.to_thread(usecases.attach, own.database("integration", shared), rows)


def _traceparent(row: Row) -> str:
    try:
        return events_pb2.CatalogEvent.FromString(row.payload).traceparent
    except DecodeError:
        return ""
