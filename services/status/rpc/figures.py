"""The endpoints that answer with figures: how complete, how it grew, when it may be done, what holds it up.

Invariant: what may take long is worked out on another thread, and what was asked before is answered from what is kept.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from services.common.call import Call
from services.common.dates import PartialDate, vietnam_day, write_instant
from services.common.endpoint import Endpoint, checked_instant
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.listing import page, query_hash
from services.common.resources import parse_name
from services.status import domain, usecases, watch, wire
from services.status.domain import EVERYTHING, AttentionKind, GroupBy, Interval, Stage
from services.status.storage import State, StatusWork
from tiendo.status.v1 import status_service_pb2 as pb

DEFAULT_PAGE = 50
MOST_A_PAGE = 1000
_MOST_KINDS = 50
_MOST_GROUPS = 1000

E = TypeVar("E", bound=IntEnum)


class _Asked(NamedTuple):
    """What every question of this module names."""

    programme_id: str
    as_of: PartialDate
    known_at: datetime | None

    @property
    def programme(self) -> str:
        """The resource's name."""
        return f"programmes/{self.programme_id}"

    @property
    def of(self) -> tuple[str, date, datetime]:
        """Programme, day and instant, as use cases take them."""
        return self.programme_id, self.as_of.last_day(), self.known_at or EVERYTHING


class Figures(Endpoint[State, StatusWork]):
    """GetCompletion, GetBurnUp, GetForecast, ListAttention."""

    allowed_days: Mapping[Stage, int]
    """Set by the composition root."""

    def revisions(self, state: State) -> list[str]:
        """Catalog's and integration's journal, as far as the state includes them."""
        return state.revisions

    def _asked(self, request: Any) -> _Asked:
        programme_id = parse_name(request.programme, "programmes", "programme", default=self.default_programme)
        given = request.as_of
        if given.year or given.month or given.day:
            as_of = PartialDate.of(given.year, given.month, given.day, field="as_of")
        else:
            as_of = PartialDate.of_day(vietnam_day(self.clock()))
        known_at = checked_instant(request.known_at, "known_at") if request.HasField("known_at") else None
        return _Asked(programme_id, as_of, known_at)

    async def get_completion(self, request: pb.GetCompletionRequest, call: Call) -> bytes:
        """How many are complete."""
        state = await self.read(request.at_least, call)
        asked = self._asked(request)
        by = value_of(GroupBy, request.group_by, "group_by") if request.group_by else None
        question = usecases.Question(asked.programme_id, asked.as_of, asked.known_at, request.filter, by)

        def kept() -> bytes:
            return state.answers.get(question, lambda: _count(state, asked, question))

        # What is let through is found out service by service, and takes several times as long as counting them all.
        answer = await asyncio.to_thread(kept) if request.filter else kept()
        rest = pb.GetCompletionResponse(
            revisions=self.revisions(state),
            watch_token=watch.token_of(state.head.epoch, state.head.sequence),
        )
        write_instant(rest.known_at, asked.known_at or self.clock())
        joined: bytes = answer + rest.SerializeToString()
        return joined

    async def get_burn_up(self, request: pb.GetBurnUpRequest, call: Call) -> pb.GetBurnUpResponse:
        """How completion grew."""
        state = await self.read(request.at_least, call)
        asked = self._asked(request)
        interval = value_of(Interval, request.interval, "interval") if request.interval else Interval.MONTH

        def work() -> pb.GetBurnUpResponse:
            burn_up = usecases.burn_up(state, *asked.of, interval=interval)
            return wire.burn_up_out(asked.programme, asked.as_of, burn_up, usecases.forecast(state, *asked.of))

        reply = await asyncio.to_thread(work)
        reply.revisions.extend(self.revisions(state))
        return reply

    async def get_forecast(self, request: pb.GetForecastRequest, call: Call) -> pb.GetForecastResponse:
        """When the plan may be complete."""
        state = await self.read(request.at_least, call)
        asked = self._asked(request)
        needed_from = asked.as_of.last_day() if request.as_of.year else None
        forecast = await asyncio.to_thread(usecases.forecast, state, *asked.of, needed_from=needed_from)
        reply = wire.forecast_out(asked.programme, asked.as_of, forecast)
        reply.revisions.extend(self.revisions(state))
        return reply

    async def list_attention(self, request: pb.ListAttentionRequest, call: Call) -> bytes:
        """What wants attention, in pages."""
        state = await self.read(request.at_least, call)
        asked = self._asked(request)
        check_number(request.kinds)
        kinds = {value_of(AttentionKind, kind, f"kinds[{index}]") for index, kind in enumerate(request.kinds)}
        return await asyncio.to_thread(self._attention, state, asked, kinds, request)

    def _attention(
        self, state: State, asked: _Asked, kinds: set[AttentionKind], request: pb.ListAttentionRequest
    ) -> bytes:
        attention = usecases.attention(state, *asked.of, allowed_days=self.allowed_days)
        items = [item for item in attention.items if not kinds or item.kind in kinds]
        encoded: dict[int, bytes] = {}

        def size_of(index: int) -> int:
            encoded[index] = chunk(1, wire.attention_item_out(items[index]).SerializeToString())
            return len(encoded[index])

        cut = page(
            [domain.item_key(item) for item in items],
            page_size=request.page_size,
            page_token=request.page_token,
            query_hash=query_hash(
                "attention", asked.programme, repr(request.as_of), repr(asked.known_at), repr(sorted(kinds))
            ),
            default_size=DEFAULT_PAGE,
            max_size=MOST_A_PAGE,
            size_of=size_of,
        )
        rest = wire.attention_out(asked.programme, asked.as_of, attention)
        rest.next_page_token = cut.next_page_token
        rest.revisions.extend(self.revisions(state))
        return b"".join(encoded[index] for index in range(cut.start, cut.stop)) + rest.SerializeToString()


def check_number(kinds: Any) -> None:
    """Refuse (TOO_MANY) more kinds than a request may name."""
    if len(kinds) > _MOST_KINDS:
        raise Refusal(
            Reason.TOO_MANY,
            f"{len(kinds)} kinds; give at most {_MOST_KINDS}",
            field="kinds",
            metadata={"limit": str(_MOST_KINDS), "count": str(len(kinds))},
        )


def value_of(kind: type[E], number: int, field: str) -> E:
    """Give the value of an enum. Raises Refusal UNKNOWN_VALUE."""
    try:
        return kind(number)
    except ValueError:
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{number} is not known to this version; give one of {', '.join(one.name for one in kind)}",
            field=field,
            metadata={"value": str(number)},
        ) from None


def _count(state: State, asked: _Asked, question: usecases.Question) -> bytes:
    answer = usecases.completion(state, question, asked.as_of.last_day())
    if len(answer.groups) > _MOST_GROUPS:
        raise Refusal(
            Reason.TOO_MANY,
            f"{question.by.name if question.by else ''} would divide it into {len(answer.groups)} groups, and a reply "
            f"holds {_MOST_GROUPS}; divide it by something else",
            field="group_by",
            metadata={"limit": str(_MOST_GROUPS), "count": str(len(answer.groups))},
        )
    return pb.GetCompletionResponse(
        total=wire.counts_out(answer.total),
        groups=wire.groups_out(answer.groups),
        groups_overlap=question.by is GroupBy.LEVEL,
        programme=asked.programme,
        as_of=wire.date_out(asked.as_of),
        facts_through=wire.date_out(answer.facts_through),
        programme_display_name=answer.programme.display_name,
        start_date=wire.date_out(answer.programme.start),
        target_date=wire.date_out(answer.programme.target),
    ).SerializeToString()
