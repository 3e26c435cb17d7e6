"""Measures reads, writes and the way from commit to watcher, each beside its floor: `make bench`.

Invariant: a figure and its floor alternate in one run on the same cores; nothing here is asserted.
"""

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop
from nats.aio.client import Client

from benchmarks.http2 import Connection, Load
from tests.support.ports import free_port
from tests.support.stack import Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

SERVER_CORE, CLIENT_CORE = 0, 1
ROUNDS = 5
AT_ONCE = (1, 16, 64)
READS, LISTS = 3000, 1500
EVENTS = 400
PER_SECOND = 100
DATE = date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=5))
_CATALOG = "/tiendo.catalog.v1.CatalogService/"
_INTEGRATION = "/tiendo.integration.v1.IntegrationService/"
_FLOOR = "/floor.Floor/"

Run = Callable[[int, int], Load]
"""Calls for one cell: how many in flight, in which round."""


async def main() -> None:
    """Run all and print a table."""
    print(f"Server on core {SERVER_CORE}, client on core {CLIENT_CORE}; a raw HTTP/2 client on one connection.")
    print(
        f"Answers a second: median [range] of {ROUNDS} rounds, each beside its floor; p50 where one call is in flight.\n"
    )
    async with running_stack(seeded=True) as stack:
        # The other services follow on the client's core, as they would on machines of their own.
        stack.pin("catalog", SERVER_CORE)
        pin(0, CLIENT_CORE)
        reads(stack)
        stack.pin("catalog", CLIENT_CORE)
        stack.pin("integration", SERVER_CORE)
        stack.pin("status", CLIENT_CORE)
        writes(stack)
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    async with running_stack(seeded=True) as stack:
        await watch(stack)


def reads(stack: Stack) -> None:
    """GetService and ListServices(227) beside a server that returns the same bytes."""
    get = catalog_service_pb2.GetServiceRequest(name="services/bca-001").SerializeToString()
    listing = catalog_service_pb2.ListServicesRequest(page_size=1000).SerializeToString()
    ours = Connection(stack.ports["catalog"])
    ready = {"Get": ours.call(_CATALOG + "GetService", get), "List": ours.call(_CATALOG + "ListServices", listing)}
    with floor(ready) as bare:
        compare(
            "GetService",
            lambda at_once, _: ours.run(_CATALOG + "GetService", [get] * READS, at_once),
            lambda at_once, _: bare.run(_FLOOR + "Get", [get] * READS, at_once),
            "ready bytes",
            0.80,
        )
        compare(
            f"ListServices(227), {len(ready['List']):,} bytes",
            lambda at_once, _: ours.run(_CATALOG + "ListServices", [listing] * LISTS, at_once),
            lambda at_once, _: bare.run(_FLOOR + "List", [listing] * LISTS, at_once),
            "ready bytes",
            0.95,
        )
    ours.close()


def writes(stack: Stack) -> None:
    """AdvanceIntegration, committed with FULL synchronisation, beside an echo of the same messages."""
    ours = Connection(stack.ports["integration"])
    reply = ours.call(_INTEGRATION + "AdvanceIntegration", step(227, 2, "first").SerializeToString())
    back = integration_service_pb2.RevertIntegrationRequest(
        stage=integration_pb2.STAGE_SELECTED, effective_date=DATE, reason="đo lại"
    )

    def advance_all(at_once: int, turn: int) -> Load:
        commands = [
            step(number, stage, f"{at_once}/{turn}/{number}/{stage}").SerializeToString()
            for stage in (3, 4, 5)
            for number in range(12, 227)
        ]
        load = ours.run(_INTEGRATION + "AdvanceIntegration", commands, at_once)
        reverts = []
        for number in range(12, 227):
            back.name = f"integrations/bca-{number:03}"
            reverts.append(back.SerializeToString())
        ours.run(_INTEGRATION + "RevertIntegration", reverts, 64)
        return load

    with floor({"Advance": reply}) as bare:
        request = step(100, 4, "64/4/100/4").SerializeToString()
        compare(
            "AdvanceIntegration",
            advance_all,
            lambda at_once, _: bare.run(_FLOOR + "Advance", [request] * 645, at_once),
            "echo",
            0.60,
        )
    ours.close()


def step(number: int, stage: int, request_id: str) -> integration_service_pb2.AdvanceIntegrationRequest:
    """Word one step of one integration."""
    return integration_service_pb2.AdvanceIntegrationRequest(
        name=f"integrations/bca-{number:03}",
        stage=integration_pb2.Stage.Name(integration_pb2.Stage.ValueType(stage)),  # type: ignore[arg-type]
        effective_date=DATE,
        evidence=[provenance_pb2.Evidence(document_number="12/BC-X05")],
        request_id=request_id,
    )


def compare(label: str, ours: Run, bare: Run, floor_label: str, aim: float) -> None:
    """Alternate a figure with its floor, and print both with their ratio; the first round warms up."""
    for at_once in AT_ONCE:
        figures: list[Load] = []
        floors: list[Load] = []
        for turn in range(ROUNDS + 1):
            figures.append(ours(at_once, turn))
            floors.append(bare(at_once, turn))
        ratio = rate(figures) / rate(floors)
        line = f"{label}, {at_once} in flight".ljust(52) + f"{shown(figures):>24}"
        line += f"   {floor_label} {shown(floors):>24}   ratio {ratio:.2f}" + (
            f" (aim {aim:.2f})" if at_once > 1 else ""
        )
        if at_once == 1:
            line += f", p50 {p50(figures):.2f} / {p50(floors):.2f} ms"
        print(line, flush=True)
    print()


def rate(loads: Sequence[Load]) -> float:
    """Give the median of all rounds but the first, which warms up."""
    return statistics.median(load.per_second for load in loads[1:])


def shown(loads: Sequence[Load]) -> str:
    """Show median and range, the first round left out."""
    figures = [load.per_second for load in loads[1:]]
    return f"{statistics.median(figures):,.0f} [{min(figures):,.0f}-{max(figures):,.0f}]"


def p50(loads: Sequence[Load]) -> float:
    """Give the median duration of a call, ms."""
    return statistics.median(seconds for load in loads[1:] for seconds in load.seconds) * 1000


async def watch(stack: Stack) -> None:
    """From sending a command to its event at a watcher, beside a bare JetStream hop, at a steady pace."""
    hops = await jetstream_hops(stack)
    sent: dict[str, float] = {}
    done: dict[str, float] = {}
    arrived: dict[str, float] = {}
    stream = stack.status_stub.WatchProgress(status_service_pb2.WatchProgressRequest())

    async def listen() -> None:
        async for message in stream:
            if message.event.request_id in sent:
                arrived[message.event.request_id] = time.perf_counter()
            if len(arrived) == EVENTS:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    for turn in range(EVENTS):
        verb = "Unblock" if turn % 2 else "Block"
        kind = getattr(integration_service_pb2, f"{verb}IntegrationRequest")
        request = kind(name=f"integrations/bca-{12 + turn // 2:03}", request_id=f"bench/{turn}", reason="đo")
        sent[request.request_id] = time.perf_counter()
        await getattr(stack.integration_stub, f"{verb}Integration")(request)
        done[request.request_id] = time.perf_counter()
        await asyncio.sleep(max(0.0, 1 / PER_SECOND - (time.perf_counter() - sent[request.request_id])))
    await asyncio.wait_for(listening, 30)
    bare = statistics.median(hops)
    print(f"A bare JetStream hop, {PER_SECOND}/s, all cores: p50 {bare:.2f} ms")
    for label, begun in (("command sent", sent), ("command answered", done)):
        took = sorted((arrived[key] - begun[key]) * 1000 for key in begun)
        middle, late = statistics.median(took), took[len(took) * 99 // 100]
        print(
            f"{label} → watcher, {PER_SECOND}/s: p50 {middle:.2f} ms, p99 {late:.2f} ms, ratio {middle / bare:.1f} (aim 2.5)"
        )


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


def pin(process_id: int, core: int) -> None:
    """Keep a process on one core, where the machine has it."""
    if (os.cpu_count() or 1) > core:
        os.sched_setaffinity(process_id, {core})


@contextmanager
def floor(replies: dict[str, bytes]) -> Iterator[Connection]:
    """A floor server in a process of its own; gives a connection to it."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, reply in replies.items():
            files.append(Path(folder) / name)
            files[-1].write_bytes(reply)
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.floors", str(port), *map(str, files)])
        pin(process.pid, SERVER_CORE)
        try:
            connection = None
            while connection is None:
                try:
                    connection = Connection(port)
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield connection
            connection.close()
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    gc.disable()
    uvloop.run(main())
