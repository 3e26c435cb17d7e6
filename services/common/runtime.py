"""What every composition root wires the same way: database, state, writer, relay, feeds, server, and their end.

Invariant: nothing is served on a schema this code does not know; at the end calls finish first, then the writer, then one
last relay, and only then the connections close.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from google.protobuf.descriptor import ServiceDescriptor
from sqlalchemy import Connection, Engine

from services.common import db, gauges
from services.common.broker import Broker
from services.common.call import Calls
from services.common.config import ServiceSettings, Settings
from services.common.errors import Refusal
from services.common.feed import Feed, FeedState
from services.common.health import Health, Part
from services.common.journal import Head, Journal, Row, utc_now
from services.common.metrics import Metrics
from services.common.ports import check_port
from services.common.relay import Publication, Relay
from services.common.replicas import Replicas, look
from services.common.schema import check_schema
from services.common.server import Server
from services.common.snapshot import Live, Reached, State
from services.common.stream import RelayState
from services.common.telemetry import Telemetry
from services.common.work import Work
from services.common.writer import Writer

_RELAY_SECONDS = 1.5
_CLOSE_SECONDS = 1.0
_USAGE = 2
_WELL = {RelayState.RUNNING, RelayState.STANDBY}

S = TypeVar("S", bound=State)
W = TypeVar("W", bound=Work[Any])

log = structlog.get_logger("runtime")


class _LiveReader:
    """The relay's view of the journal: rows in memory, or the table for what is older."""

    def __init__(self, live: Live[Any], writer: Writer[Any, Any], engine: Engine, journal: Journal) -> None:
        self._live, self._writer, self._engine, self._journal = live, writer, engine, journal

    async def head(self) -> Head:
        """Give the newest committed row, another replica's too; the newest one known where the database does not answer."""
        with contextlib.suppress(Refusal):
            await self._writer.run(look)
        head: Head = self._live.current.head
        return head

    async def read(self, after: int, limit: int) -> Sequence[Row]:
        """Give rows after a sequence."""
        recent = self._live.tail.after(after, limit)
        if recent is not None:
            return [kept.row for kept in recent]
        return await asyncio.to_thread(self._read, after, limit)

    def _read(self, after: int, limit: int) -> list[Row]:
        with db.read_transaction(self._engine) as connection:
            return self._journal.read(connection, after, limit)


class Runtime(Generic[S, W]):
    """One service's process."""

    def __init__(
        self,
        service: str,
        shared: Settings,
        own: ServiceSettings,
        journal: Journal,
        *,
        journal_name: str,
        stream: str,
        load: Callable[[Connection], S],
        begin: Callable[[Connection, S, datetime], W],
        catch_up: Callable[[Connection, S, Head], tuple[S, Iterable[Row]]],
        publication: Callable[[Row], Publication],
        clock: Callable[[], datetime] = utc_now,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Open the database and load the state. Raises SchemaError. Needs a running event loop."""
        self.service, self.shared, self.own, self.journal, self.clock = service, shared, own, journal, clock
        self.engine = db.open_engine(own.database(service, shared))
        check_schema(self.engine, service)
        self.reached = Reached()
        with db.read_transaction(self.engine) as connection:
            first = load(connection)
        self.live: Live[S] = Live(first, journal_name, self.reached)
        self.broker = Broker(shared.nats_url.split(","), name=f"tiendo-{service}")
        self.replicas = Replicas(
            service,
            self.engine,
            journal.lease,
            self.broker,
            random=secrets.token_hex(8),
            lease_seconds=shared.lease_seconds,
            follow_seconds=shared.follow_seconds,
        )
        self.writer: Writer[S, W] = Writer(
            self.engine, journal, self.live, begin=begin, catch_up=catch_up, clock=clock, on_write=self.replicas.wrote
        )
        self.telemetry = telemetry or Telemetry(service, endpoint=shared.otlp_endpoint, ratio=shared.trace_ratio)
        self.metrics = Metrics(
            self.telemetry.resource, endpoint=shared.otlp_endpoint, scraped=own.metrics_port is not None
        )
        self.calls = Calls(self.telemetry, self.metrics.calls)
        self.relay = Relay(
            broker=self.broker,
            stream=stream,
            journal=_LiveReader(self.live, self.writer, self.engine, journal),
            publication=publication,
            active=lambda: self.replicas.lease.held,
        )
        self.live.on_change(self.relay.wake)
        self.active: dict[str, Callable[[], bool]] = {"relay": lambda: self.replicas.lease.held}
        self._loop_lag = gauges.LoopLag()
        gauges.observe_process(self.metrics, self._loop_lag, self.engine, service, self.broker, self.active)
        gauges.observe_journal(self.metrics, journal_name, self.live, self.writer, self.relay, self.active)
        self.stopping = asyncio.Event()
        self.bound_port = self.metrics_port = 0
        self.serving = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(
        self,
        stopping: asyncio.Event,
        *,
        descriptor: ServiceDescriptor,
        rpc: object,
        feeds: Sequence[Feed] = (),
        parts: Sequence[Part] = (),
        jobs: Sequence[Coroutine[Any, Any, None]] = (),
    ) -> None:
        """Serve until `stopping` is set, then end in order. `jobs` run meanwhile. Raises PortTakenError."""
        setting = f"TIENDO_{self.service.upper()}_PORT"
        if self.own.port and not self.shared.reuse_port:
            check_port(self.shared.host, self.own.port, setting)
        if feeds:
            self.active.setdefault("projector", lambda: self.replicas.lease.held)
            gauges.observe_feeds(self.metrics, feeds, self.active, self.clock)
        self._serve_metrics()
        health = Health(descriptor.full_name, [*self._parts(feeds), *parts])
        server = Server(
            [self.calls.handlers(descriptor, rpc)],
            [descriptor.full_name],
            health,
            reuse_port=self.shared.reuse_port,
        )
        self.broker.start()
        self.writer.start()
        self._tasks = [
            asyncio.create_task(job)
            for job in (
                self.relay.run(),
                self.replicas.run(self.writer, lambda: self._lease_changed(feeds), lambda: self._looked(feeds)),
                self._loop_lag.run(),
                *(feed.run() for feed in feeds),
                *jobs,
            )
        ]
        self.bound_port = await server.start(self.shared.host, self.own.port)
        log.info("serving", address=f"{self.shared.host}:{self.bound_port}", sequence=self.live.current.head.sequence)
        self.serving.set()
        await stopping.wait()
        await self._end(server)

    def _lease_changed(self, feeds: Sequence[Feed]) -> None:
        self.relay.wake()
        for feed in feeds:
            feed.poke()

    def _looked(self, feeds: Sequence[Feed]) -> None:
        # What another replica applied may be what a feed here waits for.
        if not self.replicas.lease.held:
            for feed in feeds:
                feed.poke()

    def _serve_metrics(self) -> None:
        port = self.own.metrics_port
        if port is None:
            return
        check_port(self.shared.host, port, f"TIENDO_{self.service.upper()}_METRICS_PORT")
        self.metrics_port = self.metrics.listen(self.shared.host, port)
        log.info("metrics", address=f"http://{self.shared.host}:{self.metrics_port}/metrics")

    async def _end(self, server: Server) -> None:
        self.stopping.set()
        await server.stop(max(0.5, self.shared.drain_seconds - _RELAY_SECONDS - 2 * _CLOSE_SECONDS))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.writer.drain()
        await self.relay.drain(_RELAY_SECONDS)
        await self.replicas.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.broker.close()
        await asyncio.gather(asyncio.to_thread(self.telemetry.close), asyncio.to_thread(self.metrics.close))
        self.engine.dispose()
        log.info("stopped", sequence=self.live.current.head.sequence)

    def _parts(self, feeds: Sequence[Feed]) -> list[Part]:
        return [
            Part("database", lambda: self.replicas.database_reason),
            Part("relay", lambda: self.relay.reason if self.relay.state not in _WELL else ""),
            *(Part(f"feed.{feed.source}", _feed_reason(feed)) for feed in feeds),
        ]


def _feed_reason(feed: Feed) -> Callable[[], str]:
    return lambda: feed.reason if feed.state in {FeedState.UNREACHABLE, FeedState.HALTED} else ""
