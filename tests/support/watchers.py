"""A watcher as internal systems write it: reconnects by its last token, and remembers all it was told."""

import asyncio
import time
from collections.abc import Callable

import grpc.aio

from services.common.resources import decode_revision
from tests.support.stack import Stack
from tiendo.status.v1 import events_pb2, status_service_pb2, status_service_pb2_grpc


class Watcher:
    """One watch that goes on over restarts; `seen` is its history, `tokens` where each message left it."""

    def __init__(self, stack: Stack) -> None:
        self._stub: status_service_pb2_grpc.StatusServiceAsyncStub = status_service_pb2_grpc.StatusServiceStub(
            stack.channel("status")
        )
        self.seen: list[events_pb2.ProgressEvent] = []
        self.tokens: list[str] = []
        self.broken = ""
        """The first promise that a message broke: events are next after the token before, bookmarks stay at it."""
        self.longest_silence_seconds = 0.0
        self.endings: list[grpc.StatusCode] = []
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; returns once the first bookmark came."""
        self._task = asyncio.create_task(self._run())
        await self.until(lambda: bool(self.tokens))

    async def until(self, reached: Callable[[], bool], seconds: float = 60) -> None:
        """Return once `reached()` is true; looked at after every message."""
        async with asyncio.timeout(seconds):
            while not reached():
                await self._heard.wait()
                self._heard.clear()

    async def has_seen(self, event: events_pb2.ProgressEvent) -> None:
        """Return once this event was the newest one told."""
        await self.until(lambda: bool(self.seen) and self.seen[-1] == event)

    async def has_seen_as_many_as(self, count: int) -> None:
        """Return once so many events were told."""
        await self.until(lambda: len(self.seen) >= count)

    def _take(self, message: status_service_pb2.WatchProgressResponse) -> None:
        before = decode_revision(self.tokens[-1], "token").sequence if self.tokens else None
        now = decode_revision(message.token, "token").sequence
        event = message.event.sequence if message.HasField("event") else None
        follows = now == before if event is None else event == now == (before or 0) + 1
        if before is not None and not follows:
            self.broken = self.broken or f"after {before}: event {event} with a token at {now}"
        self.tokens.append(message.token)
        if event is not None:
            self.seen.append(message.event)

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        heard = time.monotonic()
        while True:
            request = status_service_pb2.WatchProgressRequest(after=self.tokens[-1] if self.tokens else "")
            try:
                async for message in self._stub.WatchProgress(request):
                    now = time.monotonic()
                    self.longest_silence_seconds = max(self.longest_silence_seconds, now - heard)
                    heard = now
                    self._take(message)
                    self._heard.set()
            except grpc.aio.AioRpcError as failure:
                self.endings.append(failure.code())
                self._heard.set()
                await asyncio.sleep(0.05)
