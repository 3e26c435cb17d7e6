"""The step that the clock drives: what a day that passes brings about is told without anyone reporting.

Invariant: only the replica that follows the sources tells, and only once it has followed them to their ends: what is half
read would give counts that never were.
"""

import asyncio
from collections.abc import Collection, Mapping

import structlog

from services.common.dates import vietnam_day
from services.common.errors import Refusal
from services.common.feed import Feed, FeedState
from services.common.runtime import Runtime
from services.status import usecases
from services.status.domain import Stage
from services.status.projection import Due, due
from services.status.storage import State, StatusWork

_AGAIN_SECONDS = 1.0
_TOLD_TOGETHER = 500

log = structlog.get_logger("clock")


class Clock:
    """Looks for what is due at start and then every so often."""

    def __init__(
        self,
        runtime: Runtime[State, StatusWork],
        feeds: Collection[Feed],
        allowed_days: Mapping[Stage, int],
        seconds: float,
    ) -> None:
        """`seconds` between two turns; 0: there is none."""
        self._runtime, self._feeds, self._allowed_days, self._seconds = runtime, feeds, allowed_days, seconds
        self._told: frozenset[tuple[str, str]] = frozenset()
        self._seen: object = None

    async def run(self) -> None:
        """Take turns until cancelled; no failure ends it."""
        while self._seconds:
            try:
                taken = await self.turn()
            except Refusal:
                taken = False
            except Exception:
                log.exception("turn failed")
                taken = False
            await asyncio.sleep(self._seconds if taken else min(self._seconds, _AGAIN_SECONDS))

    async def turn(self) -> bool:
        """Tell what is due; False where it is not for this replica, or not yet. Refusals as for `Writer.run`."""
        runtime = self._runtime
        if not runtime.replicas.lease.held or any(feed.state is not FeedState.CURRENT for feed in self._feeds):
            return False
        state, today = runtime.live.current, vietnam_day(runtime.clock())
        epoch = state.head.epoch
        seen = (epoch, state.model, today)
        if self._seen == seen:
            return True
        found = await asyncio.to_thread(lambda: list(due(state.model, today, self._allowed_days)))
        new = [one for one in found if (epoch, one.cause) not in self._told]
        for start in range(0, len(new), _TOLD_TOGETHER):
            if not await self._tell(new[start : start + _TOLD_TOGETHER]):
                return False
        self._told, self._seen = frozenset((epoch, one.cause) for one in found), seen
        return True

    async def _tell(self, part: list[Due]) -> bool:
        """Tell in one transaction; False where another replica took over."""

        def tell(work: StatusWork) -> bool:
            usecases.tell_due(work, part, self._allowed_days)
            return True

        return await self._runtime.replicas.apply(self._runtime.writer, tell, lambda _: False)
