"""The floors: a gRPC server that only answers. `python -m benchmarks.floors PORT FILE…`.

Invariant: same library, same loop, same options as the services; only the work is missing.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

from services.common.server import OPTIONS
from tiendo.integration.v1 import integration_service_pb2


def ready(reply: bytes) -> Any:
    """Answer every request with the same bytes."""

    async def answer(_request: bytes, _context: Any) -> bytes:
        return reply

    return grpc.unary_unary_rpc_method_handler(answer)


def echo(reply: bytes) -> Any:
    """Read the request of a step and write the same response to each, as any server of these messages must."""
    response = integration_service_pb2.AdvanceIntegrationResponse.FromString(reply)

    async def answer(_request: Any, _context: Any) -> Any:
        return response

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=integration_service_pb2.AdvanceIntegrationRequest.FromString,
        response_serializer=integration_service_pb2.AdvanceIntegrationResponse.SerializeToString,
    )


async def serve(port: int, files: list[Path]) -> None:
    """Serve `/floor.Floor/<file's name>` for each file, until killed."""
    server = grpc.aio.server(options=OPTIONS)
    methods = {file.name: (echo if file.name == "Advance" else ready)(file.read_bytes()) for file in files}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("floor.Floor", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
