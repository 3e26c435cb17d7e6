"""Health: what each part says of itself, by name, as grpc.health.v1 serves it.

Invariant: the overall name "" means "answers calls" and nothing more; an absent broker or peer shows only under its own part.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a service. `check` is cheap and gives "" when all is well, else the reason with its remedy."""

    name: str
    check: Callable[[], str]


class Health:
    """Keeps the health service in step with the parts that are really wired."""

    def __init__(self, service: str, parts: list[Part]) -> None:
        self.servicer = HealthServicer()
        self._service = service
        self._parts = parts
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say SERVING for the whole, and begin to look at the parts."""
        await self._set("", ok=True)
        await self._set(self._service, ok=True)
        await self.look()
        self._task = asyncio.create_task(self._run())

    async def look(self) -> None:
        """Ask every part once."""
        for part in self._parts:
            await self._set(part.name, ok=not part.check())

    def reasons(self) -> dict[str, str]:
        """Give the parts that are not well, with why."""
        return {part.name: reason for part in self._parts if (reason := part.check())}

    async def stop(self) -> None:
        """Say NOT_SERVING for everything, so that callers go elsewhere while calls finish."""
        if self._task is not None:
            self._task.cancel()
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, name: str, *, ok: bool) -> None:
        await self.servicer.set(name, _SERVING if ok else _NOT_SERVING)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self.look()
