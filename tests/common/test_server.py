"""A server listens alone, answers with health and reflection, and on SIGTERM loses no call."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.common.health import Health
from services.common.ports import PortTakenError, check_port
from services.common.server import Server
from tests.support.calls import SERVICE, Client, refused
from tests.support.ports import free_port


def server_of_nothing(*, reuse_port: bool = False) -> Server:
    """A server with health and reflection only."""
    return Server([], [SERVICE.full_name], Health(SERVICE.full_name, []), reuse_port=reuse_port)


def test_a_taken_port_is_refused_with_its_setting() -> None:
    """The message names port, address and the variable that changes it; a free port says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            check_port("127.0.0.1", port, "TIENDO_CATALOG_PORT")
    check_port("127.0.0.1", port, "TIENDO_CATALOG_PORT")

    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is taken by another program; stop it or set TIENDO_CATALOG_PORT"
    )


def test_an_address_of_another_machine_is_not_called_taken() -> None:
    """Where the address is not this machine's, the message does not blame another program."""
    with pytest.raises(PortTakenError) as caught:
        check_port("192.0.2.1", 7101, "TIENDO_CATALOG_PORT")

    assert "cannot be listened on" in str(caught.value)
    assert "TIENDO_HOST" in str(caught.value)


async def test_a_second_server_on_a_port_never_starts() -> None:
    """Two servers on one port: the second raises; where both share it on purpose, both start."""
    port = free_port()
    first, second = server_of_nothing(), server_of_nothing()
    await first.start("127.0.0.1", port)
    with pytest.raises(PortTakenError, match=str(port)):
        await second.start("127.0.0.1", port)
    await first.stop(0)

    shared = [server_of_nothing(reuse_port=True) for _ in range(2)]
    assert [await server.start("127.0.0.1", port) for server in shared] == [port, port]
    for server in shared:
        await server.stop(0)


async def test_health_and_reflection_are_served() -> None:
    """A tool that knows nothing of Tiendo finds its service, health and reflection by name."""
    server = server_of_nothing()
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        status = (await health.Check(health_pb2.HealthCheckRequest(), timeout=5)).status
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        call = stub.ServerReflectionInfo(iter([request]), timeout=5)
        found = {service.name for service in (await call.read()).list_services_response.service}
    await server.stop(0)

    assert status == health_pb2.HealthCheckResponse.SERVING
    assert found == {
        "tiendo.status.v1.StatusService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


# One unary call that finishes only after the signal, one stream that never ends by itself.
_SERVICE = """
import asyncio, sys
from services.common.call import Calls
from services.common.health import Health
from services.common.log import configure
from services.common.server import Server, run
from services.common.telemetry import Telemetry
from tests.support.calls import SERVICE, Rpc
from tiendo.status.v1 import status_service_pb2

async def main(stopping):
    async def unary(_request, _call):
        print("asked", flush=True)
        await stopping.wait()
        await asyncio.sleep(0.1)
        return status_service_pb2.GetCompletionResponse(programme="done")

    async def stream(_request, _call):
        yield status_service_pb2.WatchProgressResponse(token="1")
        await asyncio.Event().wait()

    handlers = Calls(Telemetry("status")).handlers(SERVICE, Rpc(unary, stream))
    server = Server([handlers], [SERVICE.full_name], Health(SERVICE.full_name, []), reuse_port=False)
    print(await server.start("127.0.0.1", 0), flush=True)
    await stopping.wait()
    if sys.argv[1] == "hangs":
        await asyncio.Event().wait()
    await server.stop(0.5)

configure("status", "json", "info")
run(main, grace_seconds=0.5)
"""


@asynccontextmanager
async def service(how: str) -> AsyncIterator[tuple[Process, Client]]:
    """A process that serves, and a client of it."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVICE, how, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield process, Client(channel)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lines_of(process: Process) -> list[dict[str, Any]]:
    """What a process logged, to its end."""
    assert process.stderr is not None
    content = (await process.stderr.read()).decode()
    return [json.loads(line) for line in content.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_loses_no_call(number: signal.Signals) -> None:
    """A unary call in flight is answered, a stream ends UNAVAILABLE, no new call is taken, the exit code is 0 in time."""
    async with service("ends") as (process, client):
        assert process.stdout is not None
        asking = asyncio.create_task(client.ask())
        await process.stdout.readline()
        watch = client.watch(b"")
        await watch.read()
        begun = time.monotonic()
        process.send_signal(number)
        answer = await asking
        of_stream = await refused(watch.read())
        code = await asyncio.wait_for(process.wait(), 10)
        took = time.monotonic() - begun
        of_late = await refused(client.ask())
        lines = await lines_of(process)

    assert answer.programme == "done"
    assert of_stream.code() is grpc.StatusCode.UNAVAILABLE
    assert of_late.code() is grpc.StatusCode.UNAVAILABLE
    assert code == 0
    assert took < 5
    assert [line["signal"] for line in lines if line["event"] == "stopping"] == [number.name]
    assert {line["service"] for line in lines} == {"status"}


async def test_a_farewell_that_hangs_is_cut_off() -> None:
    """A process whose end never comes is gone 1.5 s after its grace period."""
    async with service("hangs") as (process, client):
        await client.freshness(b"", timeout=5)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 10)
        took = time.monotonic() - begun

    assert code == 0
    assert 1.9 < took < 4


def test_no_thread_keeps_the_interpreter_for_long() -> None:
    """In a process that serves, a thread that waits for the interpreter has it within a millisecond, not Python's five."""
    program = """
import sys
from services.common.server import run

async def main(stopping):
    print(sys.getswitchinterval())

run(main, grace_seconds=1)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert float(told.stdout) < 0.001
