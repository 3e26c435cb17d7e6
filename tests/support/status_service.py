"""Status in the test's own process: its real composition root on a database of its own, following prepared sources."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import text

from services.common.config import Settings
from services.common.db import open_engine, read_transaction
from services.common.migrations import migrate_service
from services.status.app import serve
from services.status.config import StatusSettings
from services.status.storage import journal
from tests.support.databases import new_database
from tests.support.peers import Peers, running_peers
from tests.support.ports import free_port
from tiendo.status.v1 import status_service_pb2 as pb
from tiendo.status.v1 import status_service_pb2_grpc

NO_BROKER = "nats://127.0.0.1:1"


class StatusService:
    """One status service; can be stopped and started again on its database."""

    def __init__(
        self,
        folder: Path,
        peers: Peers,
        kind: str = "sqlite",
        *,
        calendar_seconds: float = 0,
        web_port: int | None = None,
        url: str = "",
        **settings: Any,
    ) -> None:
        """A database is made unless `url` names one; what the clock makes is left out unless `calendar_seconds` are given."""
        self.peers = peers
        address = f"127.0.0.1:{peers.port}"
        shared: dict[str, Any] = {
            "data_dir": folder,
            "nats_url": NO_BROKER,
            "catalog_address": address,
            "integration_address": address,
            "compare_seconds": 0.05,
            "follow_seconds": 0.05,
            "drain_seconds": 4.0,
        }
        self.shared = Settings(**(shared | settings))
        self.url = url or new_database(kind, folder)
        self.own = StatusSettings(
            port=free_port(),
            metrics_port=free_port(),
            calendar_seconds=calendar_seconds,
            web_port=web_port,
            database_url=self.url,
        )
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def stub(self) -> "status_service_pb2_grpc.StatusServiceAsyncStub":
        """A client."""
        return status_service_pb2_grpc.StatusServiceStub(self.channel)

    async def start(self) -> None:
        """Migrate and serve."""
        await asyncio.to_thread(migrate_service, "status", self.shared, self.own, journal)
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(serve(self.shared, self.own, self._stopping))
        self.channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{self.own.port}", options=(("grpc.initial_reconnect_backoff_ms", 20),)
        )
        ready = asyncio.ensure_future(self.channel.channel_ready())
        await asyncio.wait({ready, self._task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), "status does not serve"

    async def begin_to_stop(self) -> None:
        """Ask it to stop, without waiting."""
        self._stopping.set()
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop it and wait for its end."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            await self.channel.close()
            self._task = None

    async def completion(self, **fields: Any) -> pb.GetCompletionResponse:
        """Ask how much is complete, everything of the sources included."""
        return await self.stub.GetCompletion(
            pb.GetCompletionRequest(at_least=self.peers.revisions, **fields), timeout=10
        )

    async def freshness(self) -> dict[str, Any]:
        """Give each source's freshness by its name."""
        answer = await self.stub.GetFreshness(pb.GetFreshnessRequest(), timeout=5)
        return {source.source: source for source in answer.sources}

    async def freshness_when(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Give each source's freshness once it is as wanted. Raises TimeoutError."""
        async with asyncio.timeout(10):
            while True:
                found = await self.freshness()
                if wanted(found):
                    return found
                await asyncio.sleep(0.02)

    def dump(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Give the rows of tables as they are stored."""
        engine = open_engine(self.url)
        try:
            with read_transaction(engine) as connection:
                return {
                    table: sorted(tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
                    for table in tables
                }
        finally:
            engine.dispose()


@asynccontextmanager
async def running_status(
    *,
    kind: str = "sqlite",
    seeded: bool = False,
    listed: int = 227,
    done: int = 11,
    prepare: Callable[[Peers], None] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[StatusService, Peers]]:
    """Start status, on a database of that engine and on sources that `prepare` may fill, and end both after use."""
    with tempfile.TemporaryDirectory(prefix="tiendo-status-", ignore_cleanup_errors=True) as folder:
        async with running_peers() as peers:
            if seeded:
                peers.seed(listed, done)
            if prepare:
                prepare(peers)
            service = StatusService(Path(folder), peers, kind, **settings)
            try:
                await service.start()
                yield service, peers
            finally:
                await service.stop()


def refusal(failure: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Give the code and the reason of a refused call."""
    return failure.code().name, details(failure)[0].reason


def details(failure: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo | None]:
    """Give the ErrorInfo, and the RetryInfo where there is one."""
    found = dict(failure.trailing_metadata() or ())["grpc-status-details-bin"]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    has_retry = False
    for detail in status_pb2.Status.FromString(found).details:
        has_retry = detail.Unpack(retry) or has_retry
        detail.Unpack(info)
    return info, retry if has_retry else None
