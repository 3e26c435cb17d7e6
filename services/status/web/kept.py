"""What was worked out from the present state, once for everybody who asks.

Invariant: an answer is never older than the state it was asked of; what takes long runs beside the event loop.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_MOST = 256

T = TypeVar("T")


class Kept:
    """Answers by what was asked; all are dropped when the state changes, or when there are too many."""

    def __init__(self) -> None:
        self._state: object = None
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, state: object, asked: Hashable, make: Callable[[], T]) -> T:
        """Give the answer to what is asked of the state; `make` makes it, in a thread. What it raises is not kept."""
        if state is not self._state or len(self._tasks) >= _MOST:
            self._state, self._tasks = state, {}
        tasks = self._tasks
        task = tasks.get(asked)
        if task is None:
            task = tasks[asked] = asyncio.create_task(asyncio.to_thread(make))
            task.add_done_callback(
                lambda done: tasks.pop(asked, None) if done.cancelled() or done.exception() else None
            )
        answer: T = await asyncio.shield(task)
        return answer
