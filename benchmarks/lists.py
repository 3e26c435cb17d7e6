"""A list of 100,000 rows imported while the catalog goes on answering: `python -m benchmarks.lists [rows]`.

Invariant: Health is asked by a process of its own once every 20 ms, so what is measured is the server and not the client.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.lists import HEADINGS, procedure, workbook
from tests.support.ports import free_port
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import catalog_service_pb2_grpc, import_pb2

_ROWS = 100_000
_CHUNK = 64 * 1024
_EVERY_SECONDS = 0.02


async def ask_health(address: str) -> None:
    """Ask until the input ends; print how many answers there were, the p99 and the longest, in milliseconds."""
    took: list[float] = []
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while not ended.done():
            begun = time.perf_counter()
            await stub.Check(health_pb2.HealthCheckRequest())
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(_EVERY_SECONDS)
    took.sort()
    print(
        f"Health: {len(took)} answers, p99 {took[len(took) * 99 // 100] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms"
    )


async def _requests(file: Path) -> AsyncIterator[pb.ImportServicesRequest]:
    yield pb.ImportServicesRequest(options=import_pb2.ImportOptions(register=True, file_name=file.name))
    content = await asyncio.to_thread(file.read_bytes)
    for start in range(0, len(content), _CHUNK):
        yield pb.ImportServicesRequest(chunk=content[start : start + _CHUNK])


async def _import(address: str, file: Path, pid: int) -> None:
    asked = subprocess.Popen([sys.executable, "-m", "benchmarks.lists", "health", address], stdin=subprocess.PIPE)
    begun, phase, read = time.perf_counter(), "", 0.0
    async with grpc.aio.insecure_channel(address) as channel:
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        async for part in stub.ImportServices(_requests(file)):
            now = import_pb2.ImportPhase.Name(part.progress.phase)
            if part.HasField("progress") and now != phase:
                phase, read = now, time.perf_counter() - begun
                print(f"{now}: after {read:.1f} s, the catalog's memory {_memory(pid)}")
            if part.HasField("summary"):
                summary = part.summary
    taken = time.perf_counter() - begun
    print(
        f"{summary.created} created, {summary.unchanged} unchanged in {taken:.1f} s, the catalog's memory {_memory(pid)}"
    )
    asked.communicate()


def _memory(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("VmRSS"))


async def main(count: int) -> None:
    """Run a catalog without a broker, import the list twice, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [HEADINGS, *((f"{n // 1_000_000}.{n % 1_000_000:06d}", *procedure(n)[1:]) for n in range(count))]
        file = workbook(Path(folder) / "list.xlsx", rows)
        print(f"{count} rows, {file.stat().st_size / 1e6:.1f} MB")
        address = f"127.0.0.1:{free_port()}"
        environ = os.environ | {
            "TIENDO_DATA_DIR": folder,
            "TIENDO_CATALOG_ADDRESS": address,
            "TIENDO_CATALOG_PORT": address.rpartition(":")[2],
            "TIENDO_NATS_URL": "nats://127.0.0.1:9",
        }
        migrating = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.catalog", "migrate", env=environ
        )
        await migrating.wait()
        server = subprocess.Popen([sys.executable, "-m", "services.catalog"], env=environ, stdout=subprocess.DEVNULL)
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            await _import(address, file, server.pid)
            await _import(address, file, server.pid)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["health"]:
        asyncio.run(ask_health(sys.argv[2]))
    else:
        asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else _ROWS))
