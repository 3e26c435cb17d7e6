"""A catalog on a free port over a database of either engine, with no broker to reach; and requests to fill it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.catalog import app, storage
from services.catalog.config import CatalogSettings
from services.catalog.storage import CatalogWork, State
from services.common.config import Settings
from services.common.migrations import migrate_service
from services.common.runtime import Runtime
from tests.support.databases import url_of
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import catalog_service_pb2_grpc, programme_pb2, service_pb2

_NOBODY_LISTENS = "nats://127.0.0.1:9"


@dataclass(frozen=True)
class Catalog:
    """A serving catalog: a client of it, and its inside."""

    stub: "catalog_service_pb2_grpc.CatalogServiceAsyncStub"
    channel: grpc.aio.Channel
    runtime: Runtime[State, CatalogWork]


@asynccontextmanager
async def running_catalog(where: Path | str) -> AsyncIterator[Catalog]:
    """Migrate the database of that URL, or in that folder, and serve it, until the block ends."""
    shared = Settings(nats_url=_NOBODY_LISTENS, trace_ratio=0, drain_seconds=4)
    own = CatalogSettings(port=0, database_url=url_of(where, "catalog"))
    await asyncio.to_thread(migrate_service, "catalog", shared, own, storage.journal)
    runtime, rpc = app.build(shared, own)
    stopping = asyncio.Event()
    serving = asyncio.create_task(runtime.serve(stopping, descriptor=app.DESCRIPTOR, rpc=rpc))
    started = asyncio.create_task(runtime.serving.wait())
    await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{runtime.bound_port}")
    try:
        yield Catalog(catalog_service_pb2_grpc.CatalogServiceStub(channel), channel, runtime)
    finally:
        await channel.close()
        stopping.set()
        await serving


async def fill(catalog: Catalog, count: int = 3, planned: int = 227) -> None:
    """Create programme bca-2022 and `count` slots, bca-001 with plan number 1 and so on."""
    programme = programme_pb2.Programme(display_name="Đề án 2022", planned_count=planned)
    await catalog.stub.CreateProgramme(pb.CreateProgrammeRequest(programme_id="bca-2022", programme=programme))
    await asyncio.gather(*(create(catalog, number) for number in range(1, count + 1)))


async def create(catalog: Catalog, number: int, name: str = "", **fields: Any) -> service_pb2.Service:
    """Create service bca-<number> with that plan number; a slot without a name."""
    place = service_pb2.Membership(programme="programmes/bca-2022", plan_number=number)
    service = service_pb2.Service(display_name=name, memberships=[place], **fields)
    reply = await catalog.stub.CreateService(
        pb.CreateServiceRequest(service_id=f"bca-{number:03}", service=service),
    )
    return reply.service


async def name(catalog: Catalog, service: str, display_name: str, **fields: Any) -> service_pb2.Service:
    """Give a service a name."""
    changed = service_pb2.Service(name=f"services/{service}", display_name=display_name, **fields)
    return (await catalog.stub.UpdateService(pb.UpdateServiceRequest(service=changed))).service


async def everything(catalog: Catalog, request: pb.ListServicesRequest) -> list[str]:
    """Walk all pages of a list and give the ids, as often as they came."""
    found: list[str] = []
    while True:
        reply = await catalog.stub.ListServices(request)
        found += [service.name.removeprefix("services/") for service in reply.services]
        if not reply.next_page_token:
            return found
        request.page_token = reply.next_page_token


async def refusal(call: Awaitable[Message]) -> tuple[str, str, str]:
    """Make a call that must be refused: give its status code, reason and first field."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status_pb2.Status.FromString(bytes(details)).details:
            with contextlib.suppress(ValueError):
                detail.Unpack(info)
                detail.Unpack(bad)
        field = bad.field_violations[0].field if bad.field_violations else ""
        return error.code().name, info.reason, field
    raise AssertionError(f"not refused: {reply}")
