"""Tiendo for programs in Python: the calls of its three services, tried again where that helps, and a watch that resumes.

Invariant: nothing of Tiendo but the generated stubs is needed here, so this folder and `proto/gen` stand alone.

    from services.client import Client

    with Client(actor="planning") as tiendo:
        for service in tiendo.list_services():
            print(service.name, service.display_name)
        for message in tiendo.watch():
            print(message.event.kind, message.event.service, message.token)

`AsyncClient` is the same for asyncio.
"""

from services.client.aio import AsyncClient, AsyncWatch
from services.client.errors import RefusedError, StartAfreshError, TiendoError, UnreachableError, read_error
from services.client.rules import DEADLINE_SECONDS, Places
from services.client.sync import Client, Watch

__all__ = [
    "DEADLINE_SECONDS",
    "AsyncClient",
    "AsyncWatch",
    "Client",
    "Places",
    "RefusedError",
    "StartAfreshError",
    "TiendoError",
    "UnreachableError",
    "Watch",
    "read_error",
]
