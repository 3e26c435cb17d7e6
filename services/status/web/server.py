"""Serves the pages on the status service's own event loop.

Invariant: a taken port is an error before anything is served; when the service ends, pages that are being answered are
finished and streams end, within the time that is left for it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.common.ports import PortTakenError, check_port

SETTING = "TIENDO_STATUS_WEB_PORT"
_BACKLOG = 256
_END_SECONDS = 2
_IDLE_SECONDS = 30

log = structlog.get_logger("web")


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class Website:
    """One listening socket and what answers on it."""

    def __init__(self, app: ASGIApp, host: str, port: int, *, reuse_port: bool) -> None:
        self._host, self._asked, self._reuse_port = host, port, reuse_port
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_END_SECONDS,
        )
        self._server = _Server(config)
        self.port = 0

    def listen(self) -> None:
        """Take the port. Raises PortTakenError."""
        if self._asked and not self._reuse_port:
            check_port(self._host, self._asked, SETTING)
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind((self._host, self._asked))
            listening.listen(_BACKLOG)
        except OSError as failure:
            listening.close()
            raise PortTakenError(
                f"port {self._asked} on {self._host} cannot be listened on ({failure.strerror}); set {SETTING}"
            ) from failure
        listening.setblocking(False)
        self._socket, self.port = listening, int(listening.getsockname()[1])

    async def run(self, stopping: asyncio.Event) -> None:
        """Answer until `stopping` is set or this is cancelled, then end in order. `listen` comes first."""
        assert self._socket is not None
        log.info("pages", address=f"http://{self._host}:{self.port}")
        serving = asyncio.create_task(self._server.serve([self._socket]))
        told = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            self._server.should_exit = True
            while not serving.done():
                # Who cancels this must not cut the end off; it is bounded.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({serving})

    def close(self) -> None:
        """Let go of the port, served or not."""
        if self._socket is not None:
            self._socket.close()
