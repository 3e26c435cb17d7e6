"""Health tells of each part by its name, as every gRPC client can ask it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.health import Health, Part
from tests.support.calls import refused

SERVICE = "tiendo.status.v1.StatusService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def served(health: Health) -> AsyncIterator[Any]:
    """A stub of a server with this health."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await health.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield health_pb2_grpc.HealthStub(channel)
        finally:
            await health.stop()
            await server.stop(0)


async def ask(stub: Any, name: str) -> Any:
    """The status of a part."""
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)).status


async def test_a_part_that_is_not_well_shows_under_its_own_name_only() -> None:
    """With the broker away, "relay" is not serving; the service, the whole and the other parts are."""
    reasons = {"relay": "no broker; start it", "database": ""}
    health = Health(SERVICE, [Part("relay", lambda: reasons["relay"]), Part("database", lambda: reasons["database"])])
    async with served(health) as stub:
        told = [await ask(stub, name) for name in ("", SERVICE, "database", "relay")]

    assert told == [SERVING, SERVING, SERVING, NOT_SERVING]
    assert health.reasons() == {"relay": "no broker; start it"}


async def test_a_part_that_recovers_is_shown() -> None:
    """A watcher of a part's health is told when it falls and when it is well again, without asking."""
    reasons = {"relay": ""}
    health = Health(SERVICE, [Part("relay", lambda: reasons["relay"])])
    seen = []
    async with served(health) as stub:
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="relay"), timeout=10)
        for reason in ("gone", "", "done"):
            seen.append((await watch.read()).status)
            reasons["relay"] = reason
        watch.cancel()

    assert seen == [SERVING, NOT_SERVING, SERVING]


async def test_an_unknown_part_is_not_found() -> None:
    """A name nobody gave is NOT_FOUND, as the health protocol has it."""
    async with served(Health(SERVICE, [])) as stub:
        error = await refused(ask(stub, "nothing"))

    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_a_stopping_service_says_so_and_stays_so() -> None:
    """Once it stops, every name is not serving, and a look at the parts does not change that."""
    health = Health(SERVICE, [Part("database", lambda: "")])
    async with served(health) as stub:
        await health.stop()
        await health.look()
        await asyncio.sleep(0)
        told = [await ask(stub, name) for name in ("", SERVICE, "database")]

    assert told == [NOT_SERVING] * 3
