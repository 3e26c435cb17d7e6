"""Follows catalog and integration, and rebuilds from them.

Invariant: each source is folded by itself, in its own order; an integration row waits for the catalog row it was decided on.
"""

import asyncio
from collections.abc import Sequence

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from services.common.config import ServiceSettings, Settings, SettingsError
from services.common.db import open_engine
from services.common.envelope import header_of, split_events, unseal
from services.common.feed import Checkpoint, EpochChangedError, Feed, PeerUnavailableError
from services.common.journal import Row, digest_of
from services.common.peer import Peer
from services.common.runtime import Runtime
from services.common.schema import check_schema
from services.status import usecases
from services.status.storage import SOURCES, State, StatusWork
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.common.v1 import event_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_service_pb2

SERVICES: dict[str, ServiceDescriptor] = {
    "catalog": catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    "integration": integration_service_pb2.DESCRIPTOR.services_by_name["IntegrationService"],
}
_EVENTS: dict[str, type[Message]] = {
    "catalog": catalog_events_pb2.CatalogEvent,
    "integration": integration_events_pb2.IntegrationEvent,
}
_REMEDY = "Look at the source; if it was replaced or restored on purpose, run `tiendo status rebuild`."


class Feeds:
    """The feeds of both sources, and what keeps them in step with the state."""

    def __init__(self, runtime: Runtime[State, StatusWork], peers: dict[str, Peer], shared: Settings) -> None:
        self._runtime = runtime
        self.all = {source: self._feed(source, peers[source], shared) for source in SOURCES}
        self._generation = runtime.live.current.generation
        runtime.live.on_change(self._on_change)
        self._tell()

    def _feed(self, source: str, peer: Peer, shared: Settings) -> Feed:
        runtime = self._runtime

        async def apply(rows: Sequence[Row]) -> Checkpoint:
            def follow(work: StatusWork) -> Checkpoint:
                return usecases.follow_source(work, source, rows)

            with runtime.telemetry.follow_span(f"follow {source}", [_traceparent(source, row) for row in rows]):
                return await runtime.replicas.apply(runtime.writer, follow, lambda work: work.checkpoint(source))

        return Feed(
            source=source,
            broker=runtime.broker,
            subject=f"tiendo.{source}.v1.>",
            event_type=_EVENTS[source],
            list_events=peer.list_events,
            apply=apply,
            checkpoint=runtime.live.current.checkpoint(source),
            compare_seconds=shared.compare_seconds,
            remedy=_REMEDY,
            clock=runtime.clock,
        )

    def _on_change(self) -> None:
        state = self._runtime.live.current
        if state.generation != self._generation:
            self._generation = state.generation
            for source, feed in self.all.items():
                feed.reset(state.checkpoint(source))
        self._tell()
        for feed in self.all.values():
            feed.poke()

    def _tell(self) -> None:
        state = self._runtime.live.current
        for source in SOURCES:
            place = state.checkpoint(source)
            self._runtime.reached.move(source, place.epoch, place.sequence)


async def rebuild(shared: Settings, own: ServiceSettings) -> str:
    """Read both journals from their start and put the read model together anew; give a sentence that says what was done.

    Raises SchemaError, and SettingsError when a source cannot be read.
    """
    url = own.database("status", shared)
    await asyncio.to_thread(_check_schema, url)
    followed: dict[str, list[Row]] = {source: [] for source in SOURCES}
    while True:
        before = await asyncio.to_thread(usecases.read_checkpoints, url)
        # What integration names of the catalog is then in the catalog's journal, which is read after it.
        for source in reversed(SOURCES):
            await _read_on(shared, source, followed[source])
        try:
            return await asyncio.to_thread(usecases.rebuild, url, followed, before)
        except usecases.MovedOnError:
            continue


def _check_schema(url: str) -> None:
    engine = open_engine(url)
    try:
        check_schema(engine, "status")
    finally:
        engine.dispose()


async def _read_on(shared: Settings, source: str, rows: list[Row]) -> None:
    """Add what the source has after `rows`, up to its head."""
    peer = Peer(shared.address_of(source), SERVICES[source])
    try:
        while True:
            last = rows[-1] if rows else Row("", 0, "", b"")
            events, encoded_head = split_events(await peer.list_events(last.sequence, last.epoch, 1000))
            head = event_pb2.JournalHead.FromString(encoded_head)
            for sealed in events:
                payload, digest = unseal(sealed)
                header = header_of(payload)
                place = (head.epoch, last.sequence + 1, last.digest)
                if (header.epoch, header.sequence, header.previous_digest) != place or digest_of(payload) != digest:
                    raise SettingsError(
                        f"{source}: its row {last.sequence + 1} is damaged or does not follow; see its log"
                    )
                last = Row(header.epoch, header.sequence, digest, payload)
                rows.append(last)
            if not events:
                if (head.sequence, head.digest) != (last.sequence, last.digest):
                    raise EpochChangedError
                return
    except PeerUnavailableError as away:
        raise SettingsError(f"{source} cannot be read: {away}; start it, then run this again") from None
    except EpochChangedError:
        raise SettingsError(f"{source} was replaced while it was read; run this again") from None
    finally:
        await peer.close()


def _traceparent(source: str, row: Row) -> str:
    try:
        event = _EVENTS[source].FromString(row.payload)
    except DecodeError:
        return ""
    return str(event.traceparent)  # type: ignore[attr-defined]
