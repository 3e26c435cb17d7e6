"""A watcher as internal systems write it: reconnects by its last token, and remembers all it was told."""

import asyncio
from collections.abc import Callable

import grpc.aio

from tests.support.stack import Stack
from tiendo.status.v1 import events_pb2, status_service_pb2


class Watcher:
    """One watch that goes on over restarts; `seen` is its history, `tokens` where each message left it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.seen: list[events_pb2.ProgressEvent] = []
        self.tokens: list[str] = []
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

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            request = status_service_pb2.WatchProgressRequest(after=self.tokens[-1] if self.tokens else "")
            try:
                async for message in self._stack.status_stub.WatchProgress(request):
                    self.tokens.append(message.token)
                    if message.HasField("event"):
                        self.seen.append(message.event)
                    self._heard.set()
            except grpc.aio.AioRpcError as failure:
                self.endings.append(failure.code())
                self._heard.set()
                await asyncio.sleep(0.05)
