"""All three services in the test's own process: their real composition roots, use cases and consumers, without a network.

Each has a database of its own. Rows go from a journal to its follower when the test carries them there.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.catalog import app as catalog_app
from services.catalog.config import CatalogSettings
from services.common.call import Call
from services.common.config import Settings
from services.common.envelope import header_of, split_events, unseal
from services.common.errors import Reason, Refusal
from services.common.feed import EpochChangedError, Feed
from services.common.journal import Row
from services.common.peer import Peer
from services.common.runtime import Runtime
from services.integration import app as integration_app
from services.integration.config import IntegrationSettings
from services.status import app as status_app
from services.status.config import StatusSettings
from tests.support.databases import migrated_database

ACTOR = "Nguyễn Văn Đức"
SERVICES = ("catalog", "integration", "status")


@dataclass(frozen=True)
class Part:
    """One service: its process without a server, and its endpoints."""

    runtime: Runtime[Any, Any]
    rpc: Any
    descriptor: ServiceDescriptor
    feeds: dict[str, Feed]

    async def raw(self, method: str, request: Message) -> bytes:
        """Make a call and give the reply's bytes. Raises Refusal."""
        handler = getattr(self.rpc, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())
        reply = await handler(request, Call(f"{self.descriptor.full_name}/{method}", ACTOR, "", None, lambda: False))
        return reply if isinstance(reply, bytes) else reply.SerializeToString()

    async def ask(self, method: str, request: Message) -> Any:
        """Make a call and give the reply. Raises Refusal."""
        reply = GetMessageClass(self.descriptor.methods_by_name[method].output_type)
        return reply.FromString(await self.raw(method, request))


class _Near(Peer):
    """A source in the same process."""

    def __init__(self, parts: dict[str, Part], source: str) -> None:
        self._parts, self._source = parts, source

    async def list_events(self, after: int, epoch: str, page_size: int) -> bytes:
        """Ask the source as it is now, restarted or not."""
        part = self._parts[self._source]
        kind = GetMessageClass(part.descriptor.methods_by_name["ListEvents"].input_type)
        try:
            return await part.raw("ListEvents", kind(after_sequence=after, epoch=epoch, page_size=page_size))
        except Refusal as refusal:
            assert refusal.reason is Reason.EPOCH_CHANGED
            raise EpochChangedError from None

    async def close(self) -> None:
        """Nothing is open."""


class Installation:
    """The parts by their names; each can be started again on its database."""

    def __init__(self, urls: dict[str, str], clock: Callable[[], datetime]) -> None:
        self.urls, self.clock = urls, clock
        self.parts: dict[str, Part] = {}
        self._shared = Settings(
            data_dir=Path("nowhere"), nats_url="nats://127.0.0.1:1", trace_ratio=0, lease_seconds=60
        )

    def __getattr__(self, name: str) -> Part:
        try:
            return self.parts[name]
        except KeyError:
            raise AttributeError(name) from None

    async def start(self, name: str) -> None:
        """Load a service's state from its database and begin to take commands."""
        url, shared = self.urls[name], self._shared
        runtime: Runtime[Any, Any]
        rpc: Any
        feeds: dict[str, Feed] = {}
        descriptor: ServiceDescriptor
        if name == "catalog":
            runtime, rpc = catalog_app.build(shared, CatalogSettings(database_url=url), self.clock)
            descriptor = catalog_app.DESCRIPTOR
        elif name == "integration":
            own = IntegrationSettings(database_url=url)
            runtime, rpc, _ = integration_app.build(shared, own, self.clock, _Near(self.parts, "catalog"))
            descriptor, feeds = integration_app.DESCRIPTOR, {"catalog": rpc.feed}
        else:
            near: dict[str, Peer] = {source: _Near(self.parts, source) for source in ("catalog", "integration")}
            runtime, rpc, _ = status_app.build(shared, StatusSettings(database_url=url), self.clock, near)
            descriptor, feeds = status_app.DESCRIPTOR, dict(rpc.feeds)
        # Nobody else is there to have it, and only its holder follows others.
        await asyncio.to_thread(runtime.replicas.lease.step)
        runtime.writer.start()
        self.parts[name] = Part(runtime, rpc, descriptor, feeds)

    async def stop(self, name: str) -> None:
        """Finish what waits and let go of the database."""
        runtime = self.parts[name].runtime
        await runtime.writer.drain()
        await runtime.replicas.end()
        runtime.engine.dispose()

    async def restart(self, name: str) -> None:
        """Be another process on the same database."""
        await self.stop(name)
        await self.start(name)

    async def carry(self, source: str, follower: str, *, most: int = 1000, again: int = 0) -> int:
        """Hand rows that follow the follower's checkpoint to its consumer, up to `most` of them and `again` old ones first.

        Gives the sequence that the follower reached.
        """
        after = self._checkpoint(source, follower)
        answer = await _Near(self.parts, source).list_events(max(0, after - again), "", most)
        rows = []
        for sealed in split_events(answer)[0]:
            payload, digest = unseal(sealed)
            header = header_of(payload)
            rows.append(Row(header.epoch, header.sequence, digest, payload))
        if rows:
            # Nobody runs here who would keep the lease without which nothing is applied.
            await asyncio.to_thread(self.parts[follower].runtime.replicas.lease.step)
            await self.parts[follower].feeds[source]._apply(rows)
        return self._checkpoint(source, follower)

    async def carry_all(self) -> None:
        """Carry until nobody is behind."""
        for source, follower in (("catalog", "integration"), ("catalog", "status"), ("integration", "status")):
            while await self.carry(source, follower) < self.head(source):
                pass

    def head(self, name: str) -> int:
        """The newest journal row that a service shows."""
        return int(self.parts[name].runtime.live.current.head.sequence)

    def _checkpoint(self, source: str, follower: str) -> int:
        state = self.parts[follower].runtime.live.current
        return int((state.checkpoint(source) if follower == "status" else state.checkpoint).sequence)


async def start_installation(kind: str, folder: Path, clock: Callable[[], datetime]) -> Installation:
    """Start all three on new databases of that engine, their schema made by the migrations."""
    urls = {name: await asyncio.to_thread(migrated_database, kind, name, folder) for name in SERVICES}
    installation = Installation(urls, clock)
    for name in SERVICES:
        await installation.start(name)
    return installation


@asynccontextmanager
async def running_installation(kind: str, folder: Path, clock: Callable[[], datetime]) -> AsyncIterator[Installation]:
    """Start all three, and stop them after use."""
    installation = await start_installation(kind, folder, clock)
    try:
        yield installation
    finally:
        for name in SERVICES:
            await installation.stop(name)
