"""What all pages stand on: the present state, what was worked out from it, and how fresh it is.

Invariant: one page is made from one state.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

from services.common.dates import vietnam_day
from services.common.feed import Feed, FeedState
from services.common.journal import Row
from services.common.snapshot import Live
from services.status.charts import Easel
from services.status.domain import Stage
from services.status.report import Desk as Reports
from services.status.storage import State
from services.status.watch import Watches
from services.status.web.kept import Kept
from services.status.web.wording import Words

T = TypeVar("T")


@dataclass
class Desk:
    """Given to every page by the composition root."""

    live: Live[State]
    watches: Watches
    find_progress: Callable[[str, range, Callable[[bytes], bool], int], Sequence[Row]]
    """Gives the first so many wanted rows of the progress journal, of an epoch and among these numbers."""
    feeds: Mapping[str, Feed]
    clock: Callable[[], datetime]
    default_programme: str
    stopping: asyncio.Event
    allowed_days: Mapping[Stage, int]
    reports: Reports
    easel: Easel = field(default_factory=Easel)
    kept: Kept = field(default_factory=Kept)

    def today(self) -> date:
        """The day it is in Vietnam."""
        return vietnam_day(self.clock())

    async def work_out(self, state: State, asked: Hashable, make: Callable[[], T]) -> T:
        """Give what `make` makes of the state, made once for all who ask the same on the same day."""
        return await self.kept.get(state, (self.today(), asked), make)

    def freshness(self, words: Words) -> str:
        """Say in a sentence how far the figures are behind the sources."""
        away = [
            words(f"page.source_{source}")
            for source, feed in self.feeds.items()
            if feed.state in {FeedState.UNREACHABLE, FeedState.HALTED}
        ]
        if away:
            return words("page.not_followed", source=", ".join(away))
        behind = sum(feed.lag_rows for feed in self.feeds.values())
        if behind:
            return words("page.behind", rows=words.number(behind))
        return words("page.up_to_date")


def data_reference(state: State) -> str:
    """Give the one code at the foot of a page: with it the figures can be asked for again, and told apart from later ones."""
    return " · ".join(state.revisions)
