"""The writer: commands that arrive together are decided one by one and committed together, by one thread a process.

Invariant: a command is answered only after its commit; one that is refused has added nothing to its transaction, and one
whose write fails takes no other down with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from services.common.db import WriteConnection, described, may_pass
from services.common.errors import Reason, Refusal
from services.common.journal import Head, Journal, Row
from services.common.snapshot import TAIL_ROWS, Live, State
from services.common.work import Work

# Waiting for company costs nothing alone and lets a burst share its commit: grpc.aio hands over one call a loop turn.
_WINDOW_SECONDS = 0.002
_QUIET_TURNS = 8
_GROUP = 64
_WAITING = 4096

S = TypeVar("S", bound=State)

log = structlog.get_logger("writer")


W = TypeVar("W", bound=Work[Any])


@dataclass(slots=True)
class _Command(Generic[W]):
    decide: Callable[[W], Any]
    request_id: str
    content: str
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Outcome:
    results: list[Any] = field(default_factory=list)
    state: Any = None
    rows: Sequence[Row] = ()
    wrote: bool = False


class Writer(Generic[S, W]):
    """Runs commands in groups on a thread of its own, and shows each group's state before answering it."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        live: Live[S],
        *,
        begin: Callable[[Connection, S, datetime], W],
        catch_up: Callable[[Connection, S, Head], tuple[S, Iterable[Row]]],
        clock: Callable[[], datetime],
        on_write: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `start` begins.

        `begin` makes a working set; `catch_up` adds what others committed since `S`, up to the locked head, and gives it with
        the newest of their rows. `on_write` is called on the loop after each commit that changed something, for whoever tells
        other replicas.
        """
        self._database = WriteConnection(engine)
        self._journal = journal
        self._live = live
        self._begin = begin
        self._catch_up = catch_up
        self._clock = clock
        self._on_write = on_write
        self._state: S = live.current
        self._waiting: list[_Command[W]] = []
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to run commands."""
        self._task = asyncio.create_task(self._run())

    @property
    def waiting(self) -> int:
        """How many commands wait for their transaction."""
        return len(self._waiting)

    async def run(self, decide: Callable[[W], Any], *, request_id: str = "", content: str = "") -> Any:
        """Run one command and give what it returned, once it is committed and can be read.

        With a `request_id`, what it returned must be bytes: they are kept, and given again for the same id and `content`
        hash. Raises Refusal: the command's own, REQUEST_ID_REUSED, DATABASE_UNAVAILABLE (nothing was written, or it is not
        known: send it again with the same request_id), OVERLOADED, SHUTTING_DOWN.
        """
        if self._closed:
            raise Refusal(Reason.SHUTTING_DOWN, "the service is stopping; try again", retry_seconds=1)
        if len(self._waiting) >= _WAITING:
            raise Refusal(Reason.OVERLOADED, "too many commands are waiting; try again", retry_seconds=1)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Command(decide, request_id, content, future))
        self._arrived.set()
        return await future

    async def drain(self) -> None:
        """Finish what is waiting, then stop; commands that come later are refused."""
        self._closed = True
        while self._waiting or not self._idle.is_set():
            await self._idle.wait()
            await asyncio.sleep(0)
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=True)
        self._database.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._idle.clear()
            await self._gather_group(loop)
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            if not self._waiting:
                self._arrived.clear()
            try:
                outcome = await loop.run_in_executor(self._thread, self._commit, group)
                if outcome.state is not None:
                    self._live.advance(outcome.state, outcome.rows)
                if outcome.wrote:
                    self._on_write()
                results = outcome.results
            except Exception as failure:
                log.exception("group failed")
                results = [failure] * len(group)
            for command, result in zip(group, results, strict=True):
                if command.future.done():
                    continue
                if isinstance(result, BaseException):
                    command.future.set_exception(result)
                else:
                    command.future.set_result(result)
            if not self._waiting:
                self._idle.set()

    async def _gather_group(self, loop: asyncio.AbstractEventLoop) -> None:
        end = loop.time() + _WINDOW_SECONDS
        quiet = 0
        while quiet < _QUIET_TURNS and len(self._waiting) < _GROUP and loop.time() < end:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0

    def _commit(self, group: list[_Command[W]]) -> _Outcome:
        """Run in the writer's thread: all together, or each alone when together a write failed."""
        try:
            return self._together_again(group)
        except _NoAnswerError as failure:
            return _Outcome(results=[_unavailable(failure)] * len(group))
        except Exception as failure:  # noqa: BLE001 (each command gets its own outcome)
            if len(group) == 1:
                return _Outcome(results=[_unavailable(failure) if may_pass(failure) else failure])
            whole = _Outcome(rows=[])
            rows: list[Row] = []
            for command in group:
                alone = self._commit([command])
                whole.results += alone.results
                rows += alone.rows
                whole.wrote = whole.wrote or alone.wrote
                whole.state = whole.state if alone.state is None else alone.state
            whole.rows = rows
            return whole

    def _together_again(self, group: list[_Command[W]]) -> _Outcome:
        try:
            return self._together(group)
        except DBAPIError as failure:
            if not failure.connection_invalidated:
                raise
        # The kept connection had died meanwhile, and nothing was committed on it: a new one may well work.
        return self._together(group)

    def _together(self, group: list[_Command[W]]) -> _Outcome:
        outcome = _Outcome()
        reached = decided = False
        try:
            with self._database.transaction() as connection:
                head = self._journal.lock_head(connection)
                reached = True
                state, others = self._catch_up(connection, self._state, head)
                work = self._begin(connection, state, self._clock())
                self._decide_all(work, group, outcome)
                work.write()
                after = work.result()
                outcome.rows, outcome.wrote = [*others, *work.rows[-TAIL_ROWS:]], after is not state
                state = after
                decided = True
        except DBAPIError as failure:
            # A COMMIT that failed may have taken hold, so nothing is run again; and where not even the head could be read,
            # nobody fares better alone.
            away = not reached and may_pass(failure) and not failure.connection_invalidated
            if decided or away:
                raise _NoAnswerError from failure
            raise
        self._state = outcome.state = state
        return outcome

    def _decide_all(self, work: W, group: list[_Command[W]], outcome: _Outcome) -> None:
        named = {command.request_id for command in group if command.request_id}
        answered = self._journal.requests(work.connection, named) if named else {}
        new: dict[str, tuple[str, bytes]] = {}
        for command in group:
            before = work.head
            try:
                outcome.results.append(_decide(command, work, answered, new))
            except Refusal as refusal:
                if work.head != before:  # it had emitted already: only a rollback takes that back
                    raise
                outcome.results.append(refusal)
        self._journal.remember(work.connection, new)


def _decide(
    command: _Command[W],
    work: W,
    answered: dict[str, tuple[str, bytes]],
    new: dict[str, tuple[str, bytes]],
) -> Any:
    if not command.request_id:
        return command.decide(work)
    before = answered.get(command.request_id) or new.get(command.request_id)
    if before is None:
        reply = command.decide(work)
        new[command.request_id] = (command.content, reply)
        return reply
    return repeated(command.request_id, command.content, before)


def repeated(request_id: str, content: str, kept: tuple[str, bytes]) -> bytes:
    """Give the reply kept for a request id, with its content's hash. Raises Refusal REQUEST_ID_REUSED for other content."""
    kept_content, reply = kept
    if kept_content != content:
        raise Refusal(
            Reason.REQUEST_ID_REUSED,
            "this id was used before with another content; give each new command an id of its own",
            field="request_id",
            metadata={"request_id": request_id},
        )
    return reply


class _NoAnswerError(Exception):
    """The database is away, or the COMMIT itself failed."""


def _unavailable(failure: Exception) -> Refusal:
    log.error("database unavailable", **described(failure))
    return Refusal(
        Reason.DATABASE_UNAVAILABLE,
        "the database did not answer; send the command again with the same request_id",
        retry_seconds=1,
    )
