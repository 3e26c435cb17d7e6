"""The sources of status as a test wants them: journals of real stamped events, and a gRPC server that hands them out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio

from services.common.envelope import join_events, seal
from services.common.journal import Head, Row, digest_of, stamp
from services.common.resources import Revision
from services.common.text import alias_of
from tests.support.ports import free_port
from tiendo.catalog.v1 import catalog_service_pb2, programme_pb2, service_pb2
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.common.v1 import date_pb2, event_pb2, provenance_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2, transition_pb2

PROGRAMME = "programmes/bca-2022"
SEEDED = datetime(2024, 6, 14, 1, 0, tzinfo=UTC)
CATALOG_EPOCH, INTEGRATION_EPOCH = "ca7a106000000001", "17e64a7100000001"


def service_name(number: int) -> str:
    """The name of a place of the plan."""
    return f"services/bca-{number:03}"


class Source:
    """One source's journal."""

    def __init__(self, name: str, epoch: str) -> None:
        self.name = name
        self.begin(epoch)

    def begin(self, epoch: str) -> None:
        """Be another journal, without rows."""
        self.rows: list[Row] = []
        self.head = Head(epoch, 0, "", SEEDED)

    def add(self, event: Any, *, seconds: float = 1.0) -> str:
        """Append an event, recorded so long after the one before; give its revision."""
        row, self.head = stamp(event, self.head, self.head.recorded_time + timedelta(seconds=seconds))
        self.rows.append(row)
        return self.revision

    def add_unreadable(self) -> str:
        """Append a row whose header and digest are right and whose rest is no event."""
        event_type = (
            catalog_events_pb2.CatalogEvent if self.name == "catalog" else integration_events_pb2.IntegrationEvent
        )
        head = self.head
        event = event_type(epoch=head.epoch, sequence=head.sequence + 1, previous_digest=head.digest)
        payload = event.SerializeToString(deterministic=True) + b"\x2a\x02\xff\xfe"
        self.rows.append(Row(head.epoch, head.sequence + 1, digest_of(payload), payload))
        self.head = Head(head.epoch, head.sequence + 1, digest_of(payload), head.recorded_time)
        return self.revision

    @property
    def revision(self) -> str:
        """The revision of the newest row."""
        return Revision(self.name, self.head.epoch, self.head.sequence).encode()

    async def list_events(self, request: Any, context: Any) -> bytes:
        """Answer as the service does."""
        if request.epoch and request.epoch != self.head.epoch:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another epoch")
        rows = self.rows[request.after_sequence : request.after_sequence + request.page_size]
        head = event_pb2.JournalHead(epoch=self.head.epoch, sequence=self.head.sequence, digest=self.head.digest)
        return join_events([seal(row.payload, row.digest) for row in rows], head.SerializeToString())


class Peers:
    """Catalog and integration on one port, as far as status asks them."""

    def __init__(self) -> None:
        self.catalog = Source("catalog", CATALOG_EPOCH)
        self.integration = Source("integration", INTEGRATION_EPOCH)
        self.port = free_port()
        self._server: grpc.aio.Server | None = None

    @property
    def revisions(self) -> list[str]:
        """Everything there is: what a read names in `at_least` to see it."""
        return [source.revision for source in (self.catalog, self.integration) if source.rows]

    async def start(self) -> None:
        """Answer from now on."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        for source, module, service in (
            (self.catalog, catalog_service_pb2, "tiendo.catalog.v1.CatalogService"),
            (self.integration, integration_service_pb2, "tiendo.integration.v1.IntegrationService"),
        ):
            handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
                source.list_events, module.ListEventsRequest.FromString
            )
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"ListEvents": handler}),)
            )
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def seed(self, listed: int = 227, done: int = 11) -> None:
        """Record the programme, its services, their integrations, and those that were done by 09/2022."""
        self.catalog.add(programme_created())
        for number in range(1, listed + 1):
            self.catalog.add(service_created(number, f"Dịch vụ {number}" if number <= done else ""))
        for number in range(1, listed + 1):
            self.integration.add(integration_created(number, self.catalog.revision))
        for number in range(1, done + 1):
            self.integration.add(integrated(number, self.catalog.revision, at_latest=True, year=2022, month=9))


@asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    """Start the sources, and end them after use."""
    peers = Peers()
    await peers.start()
    try:
        yield peers
    finally:
        await peers.stop()


def programme_created(planned: int = 227, name: str = PROGRAMME) -> catalog_events_pb2.CatalogEvent:
    """The plan of 2022."""
    programme = programme_pb2.Programme(
        name=name,
        display_name="227 dịch vụ công trực tuyến của Bộ Công an",
        planned_count=planned,
        start_date=date_pb2.PartialDate(year=2022),
        target_date=date_pb2.PartialDate(year=2022),
    )
    return catalog_events_pb2.CatalogEvent(programme_created=catalog_events_pb2.ProgrammeCreated(programme=programme))


def _service(number: int, display_name: str, programmes: tuple[str, ...]) -> service_pb2.Service:
    return service_pb2.Service(
        name=service_name(number),
        alias=alias_of(display_name),
        display_name=display_name,
        memberships=[service_pb2.Membership(programme=name, plan_number=number) for name in programmes],
    )


def service_created(
    number: int, display_name: str = "", programmes: tuple[str, ...] = (PROGRAMME,)
) -> catalog_events_pb2.CatalogEvent:
    """A place of the plan, a slot unless named."""
    service = _service(number, display_name, programmes)
    return catalog_events_pb2.CatalogEvent(service_created=catalog_events_pb2.ServiceCreated(service=service))


def service_named(number: int, display_name: str) -> catalog_events_pb2.CatalogEvent:
    """A slot gets its name."""
    service = _service(number, display_name, (PROGRAMME,))
    return catalog_events_pb2.CatalogEvent(service_named=catalog_events_pb2.ServiceNamed(service=service))


def _integration(number: int, catalog_revision: str) -> integration_events_pb2.IntegrationEvent:
    return integration_events_pb2.IntegrationEvent(
        actor="Nguyễn Văn Đức",
        request_id=f"request-{number}",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        catalog_revision=catalog_revision,
        integration=integration_pb2.Integration(
            name=f"integrations/bca-{number:03}",
            service=service_name(number),
        ),
    )


def integration_created(number: int, catalog_revision: str) -> integration_events_pb2.IntegrationEvent:
    """The integration of a service begins."""
    event = _integration(number, catalog_revision)
    event.integration_created.SetInParent()
    return event


def integrated(
    number: int, catalog_revision: str, *, transition: int = 1, at_latest: bool = False, **date: int
) -> integration_events_pb2.IntegrationEvent:
    """A service is live on both portals."""
    event = _integration(number, catalog_revision)
    event.integration_advanced.transition.CopyFrom(
        transition_pb2.Transition(
            number=transition,
            kind=transition_pb2.TRANSITION_KIND_ADVANCED,
            from_stage=integration_pb2.STAGE_SELECTED,
            to_stage=integration_pb2.STAGE_INTEGRATED,
            effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(**date), at_latest=at_latest),
            evidence=[provenance_pb2.Evidence(note="báo cáo")],
        )
    )
    return event


def blocked(
    number: int, catalog_revision: str, *, transition: int, blocks: bool
) -> integration_events_pb2.IntegrationEvent:
    """Work on a service is held up, or goes on."""
    event = _integration(number, catalog_revision)
    kind = "BLOCKED" if blocks else "UNBLOCKED"
    entry = transition_pb2.Transition(
        number=transition,
        kind=transition_pb2.TransitionKind.Value(f"TRANSITION_KIND_{kind}"),
        to_condition=integration_pb2.CONDITION_BLOCKED if blocks else integration_pb2.CONDITION_ACTIVE,
        effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10)),
        reason="chờ kết nối",
    )
    (event.integration_blocked if blocks else event.integration_unblocked).transition.CopyFrom(entry)
    return event
