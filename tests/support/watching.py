"""A watcher of progress, as any client is one."""

import asyncio
from typing import Any

import grpc.aio

from tests.support.status_service import StatusService
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb


class Watching:
    """One open watch, read message by message."""

    def __init__(self, status: StatusService, **fields: Any) -> None:
        self.call: Any = status.stub.WatchProgress(pb.WatchProgressRequest(**fields), timeout=20)
        self.token = ""

    async def message(self, seconds: float = 5.0) -> pb.WatchProgressResponse:
        """Give the next message. Raises AioRpcError when the watch ends, TimeoutError when nothing comes."""
        async with asyncio.timeout(seconds):
            read: pb.WatchProgressResponse = await self.call.read()
        self.token = read.token
        return read

    async def events(self, count: int) -> list[events_pb2.ProgressEvent]:
        """Give the next so many events, bookmarks left out."""
        found: list[events_pb2.ProgressEvent] = []
        while len(found) < count:
            message = await self.message()
            if message.HasField("event"):
                found.append(message.event)
        return found

    async def end(self) -> grpc.aio.AioRpcError:
        """Read to the end and give why it ended."""
        try:
            while True:
                await self.message()
        except grpc.aio.AioRpcError as failure:
            return failure

    def close(self) -> None:
        """Stop watching."""
        self.call.cancel()
