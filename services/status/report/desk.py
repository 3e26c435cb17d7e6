"""Makes reports for many who ask at once, beside whatever else the process answers.

Invariant: at most so many are being made at a time; one that nobody waits for any more is given up.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import partial

from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.report.making import Format, ReportFile, make
from services.status.storage import State
from services.status.usecases import Question

_AT_A_TIME = 2


class Desk:
    """One process's reports."""

    def __init__(self, at_a_time: int = _AT_A_TIME) -> None:
        self._places = asyncio.Semaphore(at_a_time)

    @asynccontextmanager
    async def file(
        self,
        state: State,
        question: Question,
        format: Format,  # noqa: A002 (the contract's word)
        lang: Lang,
        *,
        today: date,
        compare: PartialDate | None = None,
    ) -> AsyncIterator[ReportFile]:
        """Give a report made in a thread, after waiting for a place; it is gone at the end of the block.

        Raises Refusal as `make` does.
        """
        halted = threading.Event()
        making = partial(make, state, question, format, lang, today=today, compare=compare, halted=halted.is_set)
        await self._places.acquire()
        work = asyncio.ensure_future(asyncio.to_thread(making))
        # The place is free when the thread is, which is after the caller gave up.
        work.add_done_callback(lambda _: self._places.release())
        try:
            made = await asyncio.shield(work)
        except asyncio.CancelledError:
            halted.set()
            work.add_done_callback(_discard)
            raise
        with made.content:
            yield made


def _discard(work: asyncio.Future[ReportFile]) -> None:
    if not work.cancelled() and work.exception() is None:
        work.result().content.close()
