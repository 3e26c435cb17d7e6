"""The catalog's composition root: what is wired to what.

Invariant: the only module that knows all the others; nothing is opened before `serve`.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from services.catalog import storage, usecases, wire
from services.catalog.config import CatalogSettings
from services.catalog.rpc import Rpc
from services.catalog.storage import CatalogWork, State
from services.common.config import Settings
from services.common.journal import utc_now
from services.common.runtime import Runtime
from tiendo.catalog.v1 import catalog_service_pb2

DESCRIPTOR = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]


def build(
    shared: Settings,
    own: CatalogSettings,
    clock: Callable[[], datetime] = utc_now,
) -> tuple[Runtime[State, CatalogWork], Rpc]:
    """Open the database, load the state and wire the service. Raises SchemaError."""
    runtime: Runtime[State, CatalogWork] = Runtime(
        "catalog",
        shared,
        own,
        storage.journal,
        journal_name="catalog",
        stream="TIENDO_CATALOG",
        load=lambda connection: storage.load(connection, usecases.stored_programme, usecases.stored_service),
        begin=CatalogWork,
        catch_up=lambda connection, state, head: storage.catch_up(connection, state, head, usecases.decode),
        publication=wire.publication,
        clock=clock,
    )
    rpc = Rpc(
        runtime.live,
        runtime.writer,
        runtime.reached,
        engine=runtime.engine,
        journal=storage.journal,
        journal_name="catalog",
        clock=runtime.clock,
        default_programme=shared.default_programme,
    )
    return runtime, rpc


async def serve(shared: Settings, own: CatalogSettings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set."""
    runtime, rpc = build(shared, own)
    await runtime.serve(stopping, descriptor=DESCRIPTOR, rpc=rpc)
