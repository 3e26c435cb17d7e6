"""Serve one service on one event loop, and stop it without losing anything.

Invariant: after SIGTERM no call is left without a status and the process is gone within its grace period, whatever watchers,
broker or collector do; a second server on a taken port never starts.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence

import grpc
import grpc.aio
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.call import TRANSPORT_BYTES
from services.common.health import Health
from services.common.ports import PortTakenError

_LAST_SECONDS = 1.5
# How long a thread may keep the interpreter while another waits for it. One that reads in small pieces gives it up so often
# that within Python's own 5 ms nobody ever claims it: calls then wait for seconds (measured over an import of 100,000 rows:
# the longest 2.4 s, with this 0.1 s).
_SWITCH_SECONDS = 0.0005

log = structlog.get_logger("server")

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", TRANSPORT_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    # Clients may ping every 20 s, on idle watches too; one that pings every second is cut.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A client that vanished without a word is noticed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Server:
    """One grpc.aio server with health and reflection."""

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        names: Sequence[str],
        health: Health,
        *,
        reuse_port: bool,
    ) -> None:
        options = (*OPTIONS, ("grpc.so_reuseport", int(reuse_port)))
        self._server = grpc.aio.server(options=options)
        self._health = health
        self._server.add_generic_rpc_handlers(tuple(handlers))
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, self._server)
        reflection.enable_server_reflection(
            (*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME),
            self._server,
        )

    async def start(self, host: str, port: int) -> int:
        """Listen, and give the port (the one chosen, where 0 was asked)."""
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as failure:
            raise PortTakenError(f"port {port} on {host} cannot be listened on") from failure
        await self._server.start()
        await self._health.start()
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Take no new calls, let present ones finish for so long, then end them."""
        await self._health.stop()
        await self._server.stop(grace_seconds)


def run(main: Callable[[asyncio.Event], Awaitable[None]], *, grace_seconds: float) -> None:
    """Run `main(stopping)` on a new event loop until SIGTERM or SIGINT sets `stopping` and it has ended.

    A main that hangs in its farewell is cut off `grace_seconds` and a little after the signal.
    """

    async def supervised() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            if not stopping.is_set():
                log.info("stopping", signal=signal.Signals(number).name)
                watchdog = threading.Timer(grace_seconds + _LAST_SECONDS, _cut_off)
                watchdog.daemon = True
                watchdog.start()
                stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, number)
        await main(stopping)

    sys.setswitchinterval(_SWITCH_SECONDS)
    uvloop.run(supervised())


def _cut_off() -> None:
    log.warning("cut off at the end of the grace period")
    sys.stderr.flush()
    os._exit(0)
