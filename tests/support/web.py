"""A portal: a real web server of this machine, under every loopback address, that can be stopped and started again."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit


class Web:
    """Answers by path: /page, /status/404, /hops/3, /to?uri=…, /silent, /held, /endless, /cut, /raw."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.heads: list[str] = []
        """What each request began with: its first line and its headers."""
        self.statuses: list[int] = []
        """What /page answers next, one each; then 200."""
        self.raw = b""
        """What /raw answers, byte for byte, before it closes the connection."""
        self.present = self.most_at_once = 0
        self.gate = asyncio.Event()
        """/held waits for it."""
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    def uri(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a page."""
        return f"http{'s' if self._tls else ''}://{host}:{self.port}{path}"

    async def start(self) -> None:
        """Answer from now on, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "0.0.0.0", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse every connection, and cut off those that are open."""
        if self._server:
            self._server.close()
            for task in self._answering:
                task.cancel()
            await asyncio.gather(*self._answering, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Whoever asks may go at any time.
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                if await reader.readexactly(4) != b"GET ":
                    writer.write(_answer(400))
                    return
                head = "GET " + (await reader.readuntil(b"\r\n\r\n")).decode()
                target = urlsplit(head.split()[1])
                self.heads.append(head)
                self.asked.append(target.path)
                self.present += 1
                self.most_at_once = max(self.most_at_once, self.present)
                try:
                    await self._page(target.path, parse_qs(target.query), reader, writer)
                    await writer.drain()
                finally:
                    self.present -= 1
            finally:
                writer.close()

    async def _page(self, path: str, query: dict[str, list[str]], reader: StreamReader, writer: StreamWriter) -> None:
        match path.strip("/").split("/"):
            case ["page"]:
                writer.write(_answer(self.statuses.pop(0) if self.statuses else 200, body="Đăng ký"))
            case ["status", number]:
                writer.write(_answer(int(number)))
            case ["hops", number]:
                left = int(number)
                writer.write(_answer(302, location=f"/hops/{left - 1}" if left > 1 else "/page"))
            case ["to"]:
                writer.write(_answer(302, location=query["uri"][0]))
            case ["silent"]:
                await reader.read()
            case ["held"]:
                await self.gate.wait()
                writer.write(_answer(200))
            case ["endless"]:
                # Also a redirect may have a body that never ends.
                location = query.get("to", [""])[0]
                writer.write(_answer(302 if location else 200, location=location, length=1 << 40))
                while True:
                    writer.write(b"x" * 16_384)
                    await writer.drain()
            case ["cut"]:
                pass
            case ["raw"]:
                writer.write(self.raw)
            case _:
                writer.write(_answer(404))


def _answer(status: int, *, body: str = "", location: str = "", length: int | None = None) -> bytes:
    content = body.encode()
    lines = [f"HTTP/1.1 {status} ", "Connection: close", "Content-Type: text/plain; charset=utf-8"]
    if status != 204:
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    if location:
        lines.append(f"Location: {location}")
    return "\r\n".join([*lines, "", ""]).encode() + content


@asynccontextmanager
async def running_web(tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """Serve until the block ends."""
    served = Web(tls)
    await served.start()
    try:
        yield served
    finally:
        await served.stop()
