"""Another service that is far away, or busy, is reached all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.client import AsyncClient, Places
from services.common.peer import Peer
from tests.support.catalog import fill, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.common.v1 import event_pb2

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["CatalogService"]
SLOW_SECONDS = 0.7


@asynccontextmanager
async def far_away(port: int) -> AsyncIterator[str]:
    """An address from which whatever listens on a port is reached, each new connection only after a while."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SLOW_SECONDS)
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer), return_exceptions=True)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_connection_has_time_to_be_made(tmp_path: Path) -> None:
    """A first call over a connection that takes 0.7 s to be made is answered: a feed's, and the client library's."""
    async with running_catalog(tmp_path) as catalog, far_away(catalog.runtime.bound_port) as address:
        await fill(catalog, 1)
        peer = Peer(address, DESCRIPTOR)
        events = pb.ListEventsResponse.FromString(await peer.list_events(0, "", 10))
        await peer.close()
        async with AsyncClient(Places(catalog=address), patience_seconds=0) as tiendo:
            found = await tiendo.catalog.GetService(pb.GetServiceRequest(name="services/bca-001"))

    assert events.head == event_pb2.JournalHead(epoch=events.head.epoch, sequence=2, digest=events.events[1].digest)
    assert found.service.name == "services/bca-001"
