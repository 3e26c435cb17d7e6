"""An integration service on a free port over a database of either engine, the catalog's journal it follows, and calls to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.common.config import Settings
from services.common.envelope import join_events, seal
from services.common.feed import FeedState
from services.common.journal import Head, Row, digest_of, stamp
from services.common.migrations import migrate_service
from services.common.resources import Revision
from services.common.runtime import Runtime
from services.common.text import alias_of
from services.integration import app, storage
from services.integration.config import IntegrationSettings
from services.integration.rpc import Rpc
from services.integration.storage import IntegrationWork, State
from tests.support.databases import url_of
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.common.v1 import date_pb2, event_pb2
from tiendo.integration.v1 import events_pb2, integration_pb2, integration_service_pb2_grpc, transition_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb

# Late on 1 March in UTC, 2 March in Vietnam; after the moment the database is made, for time never goes back.
NOW = datetime(2100, 3, 1, 20, 0, tzinfo=UTC)
EPOCH, OTHER_EPOCH = "ca7a106000000001", "ca7a106000000002"
ACTOR = "Nguyễn Văn Đức"
NAMED = "Đăng ký thường trú"
_NOBODY_LISTENS = "nats://127.0.0.1:9"
_LIST_EVENTS = "tiendo.catalog.v1.CatalogService"


class CatalogJournal:
    """A catalog's journal of real stamped events, handed out over gRPC as the catalog does."""

    def __init__(self, epoch: str = EPOCH) -> None:
        self.port = 0
        self._server: grpc.aio.Server | None = None
        self.begin(epoch)

    def begin(self, epoch: str) -> None:
        """Be another journal, without rows."""
        self.rows: list[Row] = []
        self.head = Head(epoch, 0, "", NOW)

    def go_back(self, sequence: int) -> None:
        """Be an older copy of itself, which ends at that row."""
        self.rows = self.rows[:sequence]
        last = self.rows[-1]
        self.head = Head(last.epoch, last.sequence, last.digest, NOW)

    def add(self, kind: str, number: int, name: str = "", *, programme: str = "bca-2022", **fields: Any) -> None:
        """Append an event of that kind with service bca-<number> in it."""
        service = service_pb2.Service(
            name=f"services/bca-{number:03}",
            alias=alias_of(name),
            display_name=name,
            memberships=[service_pb2.Membership(programme=f"programmes/{programme}", plan_number=number)],
            **fields,
        )
        event = catalog_events_pb2.CatalogEvent(actor="catalog clerk")
        getattr(event, kind).service.CopyFrom(service)
        self.append(event)

    def append(self, event: catalog_events_pb2.CatalogEvent) -> None:
        """Append an event."""
        row, self.head = stamp(event, self.head, self.head.recorded_time + timedelta(seconds=1))
        self.rows.append(row)

    def add_unreadable(self) -> None:
        """Append a row whose header and digest are right and whose rest is no event."""
        head = self.head
        event = catalog_events_pb2.CatalogEvent(
            epoch=head.epoch, sequence=head.sequence + 1, previous_digest=head.digest
        )
        payload = event.SerializeToString(deterministic=True) + b"\x2a\x02\xff\xfe"
        self.rows.append(Row(head.epoch, head.sequence + 1, digest_of(payload), payload))
        self.head = Head(head.epoch, head.sequence + 1, digest_of(payload), head.recorded_time)

    @property
    def revision(self) -> str:
        """The revision of the newest row."""
        return Revision("catalog", self.head.epoch, self.head.sequence).encode()

    async def start(self) -> None:
        """Answer from now on, on the same port as before."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            self._list_events, catalog_service_pb2.ListEventsRequest.FromString
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_LIST_EVENTS, {"ListEvents": handler}),)
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def _list_events(self, request: Any, context: Any) -> bytes:
        if request.epoch and request.epoch != self.head.epoch:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another epoch")
        rows = self.rows[request.after_sequence : request.after_sequence + request.page_size]
        head = event_pb2.JournalHead(epoch=self.head.epoch, sequence=self.head.sequence, digest=self.head.digest)
        return join_events([seal(row.payload, row.digest) for row in rows], head.SerializeToString())


@asynccontextmanager
async def running_journal(slots: int = 3) -> AsyncIterator[CatalogJournal]:
    """Hand out a catalog of bca-001, which has a name, and slots after it."""
    catalog = CatalogJournal()
    for number in range(1, slots + 1):
        catalog.add("service_created", number, NAMED if number == 1 else "")
    await catalog.start()
    try:
        yield catalog
    finally:
        await catalog.stop()


@dataclass(frozen=True)
class Integration:
    """A serving integration: a client of it, and its inside."""

    stub: "integration_service_pb2_grpc.IntegrationServiceAsyncStub"
    runtime: Runtime[State, IntegrationWork]
    rpc: Rpc
    shared: Settings
    own: IntegrationSettings

    async def call(self, method: str, request: Message) -> Any:
        """Make a call as ACTOR."""
        metadata = (("tiendo-actor", "Nguy%E1%BB%85n%20V%C4%83n%20%C4%90%E1%BB%A9c"),)
        made: Any = getattr(self.stub, method)
        return await made(request, timeout=10, metadata=metadata)

    async def advance(self, service: str, stage: int, **fields: Any) -> pb.AdvanceIntegrationResponse:
        """Move to a later stage."""
        request = pb.AdvanceIntegrationRequest(name=f"integrations/{service}", stage=stage, **fields)  # type: ignore[arg-type]
        reply: pb.AdvanceIntegrationResponse = await self.call("AdvanceIntegration", request)
        return reply

    async def get(self, service: str, *at_least: str) -> integration_pb2.Integration:
        """Read one integration."""
        request = pb.GetIntegrationRequest(name=f"integrations/{service}", at_least=at_least)
        reply: pb.GetIntegrationResponse = await self.call("GetIntegration", request)
        return reply.integration

    async def history(self, service: str) -> list[transition_pb2.Transition]:
        """Read one history."""
        reply = await self.call("ListTransitions", pb.ListTransitionsRequest(parent=f"integrations/{service}"))
        return list(reply.transitions)

    async def feed_is(self, state: FeedState, sequence: int = 0) -> str:
        """Wait until the feed is in that state, and has come so far; give its reason. Raises TimeoutError."""
        feed = self.rpc.feed
        async with asyncio.timeout(10):
            while True:
                if feed.state is state and feed.checkpoint.sequence >= sequence:
                    return feed.reason
                await asyncio.sleep(0.01)

    async def events(self) -> list[events_pb2.IntegrationEvent]:
        """Read the whole journal."""
        return list((await self.call("ListEvents", pb.ListEventsRequest(page_size=1000))).events)


async def no_wait(_seconds: float) -> None:
    """Wait for nothing."""
    await asyncio.sleep(0)


@asynccontextmanager
async def running_integration(
    where: Path | str,
    catalog_port: int,
    now: datetime = NOW,
    metrics_port: int | None = None,
    portal_check_seconds: float = 0,
) -> AsyncIterator[Integration]:
    """Migrate the database of that URL, or in that folder, and serve it, following the catalog on that port.

    Portals on this machine may be asked, and those that do not answer are asked again at once.
    """
    shared = Settings(
        nats_url=_NOBODY_LISTENS,
        catalog_address=f"127.0.0.1:{catalog_port}",
        trace_ratio=0,
        drain_seconds=4,
        compare_seconds=0.05,
        follow_seconds=0.05,
    )
    own = IntegrationSettings(
        port=0,
        metrics_port=metrics_port,
        portal_check_seconds=portal_check_seconds,
        portal_private_addresses=True,
        database_url=url_of(where, "integration"),
    )
    await asyncio.to_thread(migrate_service, "integration", shared, own, storage.journal)
    runtime, rpc, peer = app.build(shared, own, lambda: now, sleep=no_wait)
    stopping = asyncio.Event()
    serving = asyncio.create_task(app.run(runtime, rpc, peer, stopping))
    started = asyncio.create_task(runtime.serving.wait())
    await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{runtime.bound_port}")
    stub = integration_service_pb2_grpc.IntegrationServiceStub(channel)
    try:
        yield Integration(stub, runtime, rpc, shared, own)
    finally:
        await channel.close()
        stopping.set()
        await serving


@asynccontextmanager
async def integration_of(where: Path | str, slots: int = 3) -> AsyncIterator[Integration]:
    """Serve integration with everything of a small catalog taken in."""
    async with running_journal(slots) as catalog, running_integration(where, catalog.port) as service:
        await service.rpc.feed.catch_up(10)
        yield service


def day(year: int, month: int = 0, day: int = 0, *, at_latest: bool = False) -> date_pb2.EffectiveDate:
    """An effective date."""
    return date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=year, month=month, day=day), at_latest=at_latest)


@dataclass(frozen=True)
class Refused:
    """A refusal as a client sees it."""

    code: str
    reason: str
    field: str
    message: str
    metadata: dict[str, str]
    retry_seconds: float | None

    @property
    def short(self) -> tuple[str, str, str]:
        """Status code, reason and first field."""
        return self.code, self.reason, self.field


async def refused(call: Awaitable[Any]) -> Refused:
    """Make a call that must be refused, and give the refusal."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        found = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        has_retry = False
        for detail in status_pb2.Status.FromString(bytes(found)).details:
            with contextlib.suppress(ValueError):
                detail.Unpack(info)
                detail.Unpack(bad)
                has_retry = detail.Unpack(retry) or has_retry
        place = bad.field_violations[0].field if bad.field_violations else ""
        seconds = retry.retry_delay.ToMilliseconds() / 1000 if has_retry else None
        message = error.details() or ""
        return Refused(error.code().name, info.reason, place, message, dict(info.metadata), seconds)
    raise AssertionError(f"not refused: {reply}")
