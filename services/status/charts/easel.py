"""The service's side of the process that draws: hands it orders, one at a time, and keeps what it drew.

Invariant: the process ends with this one, whatever ends this one: it reads orders from a pipe that only this process
holds open. One that ended or does not answer is replaced, and no caller waits longer than was set.
"""

import asyncio
import contextlib
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict

from services.status.charts.order import HEAD, Order

_MOST_KEPT = 64
_END_SECONDS = 0.5
_TRIES = 2


class DrawingError(Exception):
    """A drawing cannot be had; says why."""


class Easel:
    """One process's drawings. The process that draws is started with the first order."""

    def __init__(self, patience_seconds: float = 20.0) -> None:
        """A caller waits for `patience_seconds` at most; the first drawing takes a second, each later one 0.1 s."""
        self._patience_seconds = patience_seconds
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[Order, bytes] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """The process that draws, if there is one."""
        return self._process.pid if self._process else None

    async def draw(self, order: Order) -> bytes:
        """Give the drawing. Raises DrawingError."""
        if order not in self._kept:
            try:
                async with asyncio.timeout(self._patience_seconds), self._turn:
                    if order not in self._kept:
                        self._keep(order, await self._made(order))
            except TimeoutError:
                raise DrawingError(f"no drawing within {self._patience_seconds:g} s") from None
        self._kept.move_to_end(order)
        return self._kept[order]

    def _keep(self, order: Order, content: bytes) -> None:
        self._kept[order] = content
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    async def _made(self, order: Order) -> bytes:
        for _ in range(_TRIES):
            try:
                done, content = await self._exchange(order)
            except (OSError, EOFError) as failure:
                # It was ended from outside, perhaps long ago; another one may do better.
                self._drop()
                reason = f"the process that draws ended ({type(failure).__name__})"
                continue
            except asyncio.CancelledError:
                # Its answer would be taken for the next order's.
                self._drop()
                raise
            if done:
                return content
            reason = content.decode()
            break
        raise DrawingError(reason)

    async def _exchange(self, order: Order) -> tuple[bool, bytes]:
        if self._process is None:
            command = (sys.executable, "-m", "services.status.charts.worker")
            self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        orders, drawings = self._process.stdin, self._process.stdout
        assert orders
        assert drawings
        orders.write(pickle.dumps(order))
        await orders.drain()
        done, size = HEAD.unpack(await drawings.readexactly(HEAD.size))
        return done, await drawings.readexactly(size)

    def _drop(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process = None

    async def close(self) -> None:
        """End the process that draws, if there is one."""
        process = self._process
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        self._drop()
        await process.wait()
