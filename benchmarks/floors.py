"""The floors: a gRPC server that does nothing but answer with ready bytes. `python -m benchmarks.floors PORT FILE…`.

Invariant: same library, same loop, same options as the services; only the work is missing.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop


def handler(reply: bytes) -> Any:
    """Answer every request with the same bytes."""

    async def answer(_request: bytes, _context: Any) -> bytes:
        return reply

    return grpc.unary_unary_rpc_method_handler(answer)


async def serve(port: int, files: list[Path]) -> None:
    """Serve `/floor.Floor/<file's name>` for each file, until killed."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    methods = {file.name: handler(file.read_bytes()) for file in files}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("floor.Floor", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
