"""Watches: the progress journal as it grows, for any number of watchers.

Invariant: each watcher pulls from its own position, from memory or from the journal when it is far behind, so what it gets
is ordered, unique and gap-free, and a slow one holds up nobody; between two pulls nothing is held open.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.envelope import chunk, seal
from services.common.errors import Reason, Refusal
from services.common.resources import Revision, decode_revision
from services.common.snapshot import Live
from services.status import usecases
from services.status.storage import State
from tiendo.status.v1 import events_pb2

JOURNAL = "progress"
_PAGE = 500
_AHEAD_SECONDS = 5.0
_AFRESH = "read GetCompletion, then watch from its watch_token"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a watcher wants; empty parts mean everything. Ids, not names."""

    programme: str = ""
    service: str = ""
    kinds: frozenset[int] = frozenset()

    def matches(self, event: events_pb2.ProgressEvent) -> bool:
        """Whether the event is wanted."""
        return (
            (not self.programme or event.programme == f"programmes/{self.programme}")
            and (not self.service or event.service == f"services/{self.service}")
            and (not self.kinds or event.kind in self.kinds)
        )


def token_of(epoch: str, sequence: int) -> str:
    """Give the token that goes on after a row."""
    return Revision(JOURNAL, epoch, sequence).encode()


class Watches:
    """All watches of this process."""

    def __init__(
        self,
        live: Live[State],
        engine: Engine,
        stopping: asyncio.Event,
        *,
        bookmark_seconds: float,
        longest_seconds: float,
    ) -> None:
        self._live = live
        self._engine = engine
        self._stopping = stopping
        self._bookmark_seconds = bookmark_seconds
        self._longest_seconds = longest_seconds
        self.open = 0
        # Reading an event costs as much as sending it: all watchers share what was read of the newest ones.
        self._read: dict[tuple[str, int], events_pb2.ProgressEvent] = {}

    async def position(self, token: str) -> int:
        """Give the sequence that a token goes on after.

        Raises Refusal INVALID_TOKEN, TOKEN_EXPIRED, or NOT_CAUGHT_UP when this replica does not have that row in 5 s.
        """
        revision = decode_revision(token, "after")
        if revision.journal != JOURNAL:
            raise Refusal(Reason.INVALID_TOKEN, "is no token of a watch; send one from its last message", field="after")
        loop = asyncio.get_running_loop()
        end = loop.time() + _AHEAD_SECONDS
        while True:
            changed = self._live.changed()
            state = self._live.current
            if revision.epoch != state.head.epoch or revision.sequence + 1 < state.first_sequence:
                raise Refusal(Reason.TOKEN_EXPIRED, f"lies before the history that is kept; {_AFRESH}", field="after")
            if revision.sequence <= state.head.sequence:
                return revision.sequence
            try:
                async with asyncio.timeout_at(end):
                    await changed.wait()
            except TimeoutError:
                raise Refusal(
                    Reason.NOT_CAUGHT_UP,
                    "this replica is not as far as that token yet; try again",
                    field="after",
                    retry_seconds=1,
                ) from None

    async def follow(self, after: int, wanted: Filter) -> AsyncIterator[bytes]:
        """Give messages of a watch from a position on, a bookmark first.

        Ends by Refusal: SHUTTING_DOWN when the process stops or the watch has lived its longest, TOKEN_EXPIRED when the
        journal is replaced. The metadata holds the last token.
        """
        epoch, position = self._live.current.head.epoch, after
        loop = asyncio.get_running_loop()
        end = loop.time() + self._longest_seconds
        self.open += 1
        try:
            yield chunk(1, token_of(epoch, position).encode())
            told, told_time = position, loop.time()
            while True:
                changed = self._live.changed()
                state = self._live.current
                if state.head.epoch != epoch:
                    raise Refusal(Reason.TOKEN_EXPIRED, f"the progress journal was replaced; {_AFRESH}", field="after")
                for sequence, sealed, event in await self._next(epoch, position, state.head.sequence):
                    position = sequence
                    if wanted.matches(event):
                        yield chunk(1, token_of(epoch, sequence).encode()) + chunk(2, sealed)
                        told, told_time = sequence, loop.time()
                if self._stopping.is_set() or loop.time() >= end:
                    raise _farewell(token_of(epoch, position))
                if position >= state.head.sequence:
                    silent = loop.time() - told_time
                    if silent < self._bookmark_seconds:
                        await self._wait(changed, min(self._bookmark_seconds - silent, end - loop.time()))
                        continue
                elif position - told < _PAGE:
                    continue
                yield chunk(1, token_of(epoch, position).encode())
                told, told_time = position, loop.time()
        finally:
            self.open -= 1

    async def _wait(self, changed: asyncio.Event, seconds: float) -> None:
        waits = {asyncio.ensure_future(event.wait()) for event in (changed, self._stopping)}
        try:
            await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _next(self, epoch: str, after: int, head: int) -> list[tuple[int, bytes, events_pb2.ProgressEvent]]:
        """Give the rows after a position that are shown already, with what was read of them."""
        recent = self._live.tail.after(after, _PAGE)
        if recent is not None:
            return [
                (kept.row.sequence, kept.sealed, self._event(epoch, kept.row.sequence, kept.row.payload))
                for kept in recent
                if kept.row.sequence <= head
            ]
        rows, first = await asyncio.to_thread(usecases.read_progress, self._engine, after, _PAGE)
        if not rows or (rows[0].epoch, rows[0].sequence) != (epoch, after + 1):
            raise Refusal(
                Reason.TOKEN_EXPIRED,
                f"the history is kept from row {first} on; {_AFRESH}",
                field="after",
                metadata={"token": token_of(epoch, after)},
            )
        return [
            (row.sequence, seal(row.payload, row.digest), read_event(row.payload))
            for row in rows
            if row.sequence <= head
        ]

    def _event(self, epoch: str, sequence: int, payload: bytes) -> events_pb2.ProgressEvent:
        event = self._read.get((epoch, sequence))
        if event is None:
            if len(self._read) >= 2 * _PAGE:
                self._read.clear()
            event = self._read[epoch, sequence] = read_event(payload)
        return event


def read_event(payload: bytes) -> events_pb2.ProgressEvent:
    """Read a stored progress event; one that cannot be read matches no narrower filter."""
    try:
        return events_pb2.ProgressEvent.FromString(payload)
    except DecodeError:
        return events_pb2.ProgressEvent()


def _farewell(token: str) -> Refusal:
    return Refusal(
        Reason.SHUTTING_DOWN,
        "this watch ends here; go on from its last token",
        metadata={"token": token},
        retry_seconds=1,
    )
