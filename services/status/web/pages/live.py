"""Progress as it happens: the last events first, then each as it comes.

Invariant: an event reads the same whether it was there when the page was made or came later.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from services.common.dates import EffectiveDate, PartialDate
from services.common.words import keys
from services.status import watch
from services.status.domain import EventKind, Stage
from services.status.web.asked import Asked
from services.status.web.desk import Desk, data_reference
from services.status.web.wording import Words
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import events_pb2

LAST_EVENTS = 50
_MOVES = {EventKind.SERVICE_ADVANCED, EventKind.SERVICE_REVERTED}
_COUNTED = {EventKind.SERVICE_INTEGRATED, EventKind.SERVICE_CORRECTED}
_DATELESS = {EventKind.SERVICE_ADDED, EventKind.SERVICE_NAMED}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the page."""

    sequence: int
    recorded: str
    kind: str
    what: str
    service_id: str
    title: str
    slot: bool
    detail: tuple[str, ...]
    date: str
    count: str


def event_view(event: events_pb2.ProgressEvent, words: Words) -> Event:
    """Word a progress event; of a kind this version does not know its number is shown."""
    kind = EventKind(event.kind) if int(event.kind) in set(EventKind) else None
    key = f"event.{kind.type}" if kind else ""
    what = words(key, percent=event.milestone_percent) if key in keys() else str(int(event.kind))
    detail = []
    if kind in _MOVES and event.from_stage and event.to_stage:
        detail.append(f"{words.stage(event.from_stage)} → {words.stage(event.to_stage)}")
    elif kind is EventKind.SERVICE_CORRECTED:
        detail.append(words("page.event_annulled" if event.correction.annulled else "page.event_redated"))
        if event.to_stage:
            detail.append(words("page.event_stage_now", stage=words.stage(Stage(event.to_stage))))
    dated = kind not in _DATELESS and event.effective_date.date.year
    if event.reason:
        detail.append(event.reason)
    counts = event.completion
    count = ""
    if counts.planned and (kind in _COUNTED or not event.service):
        values = {name: words.number(getattr(counts, name)) for name in ("completed", "planned")}
        count = words("screen.watch.count", **values)
    return Event(
        event.sequence,
        words.instant(event.recorded_time.ToDatetime(UTC), seconds=True),
        kind.token if kind else "",
        what,
        event.service.partition("/")[2],
        words.title(event.display_name, event.plan_number) if event.service else "",
        not event.display_name,
        tuple(detail),
        words.effective(_effective(event.effective_date)) if dated else "",
        count,
    )


def _effective(message: date_pb2.EffectiveDate) -> EffectiveDate:
    date = message.date
    return EffectiveDate(PartialDate(date.year, date.month, date.day), message.at_latest)


async def live(desk: Desk, ask: Asked, words: Words) -> dict[str, Any]:
    """Give the last events, newest first, and the token that goes on after them. Raises Refusal."""
    state = desk.live.current
    programme = state.model.programme(ask.programme)
    wanted = watch.Filter(programme.id)
    epoch, head = state.head.epoch, state.head.sequence
    rows = await asyncio.to_thread(
        desk.find_progress,
        epoch,
        range(head, state.first_sequence - 1, -1),
        lambda payload: wanted.matches(watch.read_event(payload)),
        LAST_EVENTS,
    )
    return {
        "page": "live",
        "events": [event_view(watch.read_event(row.payload), words) for row in rows],
        "after": watch.token_of(epoch, head),
        "afresh": bool(ask.get("afresh")),
        "reference": data_reference(state),
    }
