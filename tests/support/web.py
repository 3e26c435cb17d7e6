"""A portal: a real web server of this machine, under every loopback address, that can be stopped and started again."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Web:
    """Answers by path: /page, /status/404, /hops/3, /to?uri=…, /silent, /endless, /cut."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.statuses: list[int] = []
        """What /page answers next, one each; then 200."""
        self.present = self.most_at_once = 0
        self.gate = asyncio.Event()
        """/held waits for it."""
        self._tls = tls
        self._runner: web.AppRunner | None = None

    def uri(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a page."""
        return f"http{'s' if self._tls else ''}://{host}:{self.port}{path}"

    async def start(self) -> None:
        """Answer from now on, on the same port as before."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "0.0.0.0", self.port, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse every connection."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.present += 1
        self.most_at_once = max(self.most_at_once, self.present)
        try:
            return await self._page(request)
        finally:
            self.present -= 1

    async def _page(self, request: web.Request) -> web.StreamResponse:
        match request.path.strip("/").split("/"):
            case ["page"]:
                return web.Response(status=self.statuses.pop(0) if self.statuses else 200, text="Đăng ký")
            case ["status", number]:
                return web.Response(status=int(number))
            case ["hops", number]:
                left = int(number)
                raise web.HTTPFound(f"/hops/{left - 1}" if left > 1 else "/page")
            case ["to"]:
                return web.Response(status=302, headers={"Location": request.query["uri"]})
            case ["silent"]:
                await asyncio.Event().wait()
            case ["held"]:
                await self.gate.wait()
                return web.Response()
            case ["endless"]:
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 16_384)
            case ["cut"]:
                assert request.transport
                request.transport.close()
        return web.Response(status=404)


@asynccontextmanager
async def running_web(tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """Serve until the block ends."""
    served = Web(tls)
    await served.start()
    try:
        yield served
    finally:
        await served.stop()
