"""Measures reads, writes and the way from commit to watcher, each beside its floor: `make bench`.

Invariant: a figure and its floor alternate in one run on the same cores; nothing here is asserted.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc.aio
import uvloop
from nats.aio.client import Client

from benchmarks.load import CLIENT_CORE, SERVER_CORE, method, middle, pin, rate, ratio
from tests.support.stack import Stack, free_port, running_stack
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

ROUNDS = 5
READS = 3000
LISTS = 1000
AT_ONCE = 16
EVENTS = 300
PER_SECOND = 100
STAGES = range(2, 7)


async def main() -> None:
    """Run all four and print a table."""
    async with running_stack(seeded=True) as stack:
        stack.pin_services(SERVER_CORE)
        pin(0, CLIENT_CORE)
        print(f"server on core {SERVER_CORE}, client on core {CLIENT_CORE}, {AT_ONCE} calls in flight, {ROUNDS} rounds")
        print("client: grpc.aio with raw bytes; figures are answers a second, median [range]\n")
        await reads(stack)
        await writes(stack)
        await watch(stack)


async def reads(stack: Stack) -> None:
    """GetService and ListServices(227) beside a server that returns the same bytes."""
    channel = stack.channel("catalog")
    service = "/tiendo.catalog.v1.CatalogService"
    get = catalog_service_pb2.GetServiceRequest(name="services/bca-001").SerializeToString()
    listing = catalog_service_pb2.ListServicesRequest(page_size=1000).SerializeToString()
    ready = {
        "get": await method(channel, f"{service}/GetService")(get),
        "list": await method(channel, f"{service}/ListServices")(listing),
    }
    async with floor(ready) as floors:
        for label, name, request, count in (
            ("GetService", "get", get, READS),
            (f"ListServices(227), {len(ready['list']):,} bytes", "list", listing, LISTS),
        ):
            ours, bare = [], []
            call = method(channel, f"{service}/{'GetService' if name == 'get' else 'ListServices'}")
            for turn in range(ROUNDS + 1):
                figures = [await rate(call, [request] * count, AT_ONCE)]
                figures.append(await rate(method(floors, f"/floor.Floor/{name}"), [request] * count, AT_ONCE))
                if turn:  # the first round warms up
                    ours.append(figures[0])
                    bare.append(figures[1])
            report(label, ours, "ready bytes", bare, 0.80 if name == "get" else 0.95)


async def writes(stack: Stack) -> None:
    """AdvanceIntegration, committed with FULL synchronisation, beside an answer with the same bytes."""
    channel = stack.channel("integration")
    call = method(channel, "/tiendo.integration.v1.IntegrationService/AdvanceIntegration")
    reply = await call(advance(227, 2).SerializeToString())
    async with floor({"advance": reply}) as floors:
        ours, bare = [], []
        for stage in STAGES:
            requests = [advance(number, stage).SerializeToString() for number in range(12, 227)]
            ours.append(await rate(call, requests, AT_ONCE))
            bare.append(await rate(method(floors, "/floor.Floor/advance"), requests, AT_ONCE))
        report("AdvanceIntegration", ours, "same bytes", bare, 0.60)


def advance(number: int, stage: int) -> integration_service_pb2.AdvanceIntegrationRequest:
    """Word one step of one integration."""
    return integration_service_pb2.AdvanceIntegrationRequest(
        name=f"integrations/bca-{number:03}",
        stage=integration_pb2.Stage.Name(integration_pb2.Stage.ValueType(stage)),  # type: ignore[arg-type]
        effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=stage)),
        evidence=[provenance_pb2.Evidence(document_number="12/BC-X05")],
    )


async def watch(stack: Stack) -> None:
    """From sending a command to its event at a watcher, beside a bare JetStream hop, at a steady pace."""
    hops = await jetstream_hops(stack)
    begun: dict[str, float] = {}
    took: list[float] = []
    stream = stack.status_stub.WatchProgress(status_service_pb2.WatchProgressRequest())

    async def listen() -> None:
        async for message in stream:
            if message.event.request_id in begun:
                took.append((time.perf_counter() - begun[message.event.request_id]) * 1000)
            if len(took) == EVENTS:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    for turn in range(EVENTS):
        verb = "Unblock" if turn % 2 else "Block"
        kind = getattr(integration_service_pb2, f"{verb}IntegrationRequest")
        request = kind(name=f"integrations/bca-{12 + turn // 2:03}", request_id=f"bench/{turn}", reason="đo")
        begun[request.request_id] = time.perf_counter()
        await getattr(stack.integration_stub, f"{verb}Integration")(request)
        await asyncio.sleep(max(0.0, 1 / PER_SECOND - (time.perf_counter() - begun[request.request_id])))
    await asyncio.wait_for(listening, 30)
    ours, bare = statistics.median(took), statistics.median(hops)
    print(f"command sent → watcher, {PER_SECOND}/s       p50 {ours:.2f} ms, p99 {sorted(took)[-EVENTS // 100]:.2f} ms")
    print(f"  floor: JetStream publish → subscriber  p50 {bare:.2f} ms   ratio {ours / bare:.1f} (expected 2.5)")


async def jetstream_hops(stack: Stack) -> list[float]:
    """Publish to a stream and receive on a plain subscription of another connection; milliseconds each."""
    sender, receiver = Client(), Client()
    await sender.connect(stack.nats.url)
    await receiver.connect(stack.nats.url)
    js = sender.jetstream()
    await js.add_stream(name="BENCH", subjects=["bench.>"])
    subscription = await receiver.subscribe("bench.>")
    await receiver.flush()
    took = []
    for _ in range(EVENTS):
        begun = time.perf_counter()
        publishing = asyncio.create_task(js.publish("bench.hop", b"x" * 1200))
        await subscription.next_msg(5)
        took.append((time.perf_counter() - begun) * 1000)
        await publishing
        await asyncio.sleep(1 / PER_SECOND)
    await js.delete_stream("BENCH")
    await sender.close()
    await receiver.close()
    return took


class floor:  # noqa: N801 (read as a context, `async with floor(…)`)
    """A floor server in a process of its own; gives a channel to it."""

    def __init__(self, replies: dict[str, bytes]) -> None:
        self._replies = replies

    async def __aenter__(self) -> grpc.aio.Channel:
        self._folder = tempfile.TemporaryDirectory()
        files = []
        for name, reply in self._replies.items():
            files.append(Path(self._folder.name) / name)
            files[-1].write_bytes(reply)
        port = free_port()
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.floors", str(port), *map(str, files)])
        pin(self._process.pid, SERVER_CORE)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await asyncio.wait_for(self._channel.channel_ready(), 20)
        return self._channel

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def report(label: str, ours: list[float], floor_label: str, bare: list[float], expected: float) -> None:
    """Print a figure beside its floor."""
    print(f"{label:<40} {middle(ours):>24}")
    print(f"  floor: {floor_label:<32}{middle(bare):>24}   ratio {ratio(ours, bare):.2f} (expected {expected:.2f})\n")


if __name__ == "__main__":
    uvloop.run(main())
