"""The feed: follows another service's journal, in order and without gaps, through NATS and ListEvents.

Invariant: `apply` gets rows that continue the checkpoint and whose bytes and chain were checked, never two calls at
once; where the source contradicts what is held, the feed stops and says so, and never guesses.

NATS is a hint that may lose or repeat. A message is used only if it is the very next row and proves itself by its
digest; in every other case, and every few seconds, the source is asked, and only its answer can stop the feed.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from enum import Enum

import structlog
from google.protobuf.message import Message
from nats.aio.msg import Msg

from services.common.backlog import Backlog, Checkpoint, ContradictionError
from services.common.broker import Broker
from services.common.journal import Row

__all__ = ["Checkpoint", "EpochChangedError", "Feed", "FeedHaltedError", "FeedState", "PeerUnavailableError"]

_PAGE_SIZE = 500
_MOST_WAITING = 2000
_MOST_MESSAGES = 10_000
_FIRST_RETRY_SECONDS = 0.2


class PeerUnavailableError(Exception):
    """The source can't be asked now; the text says why."""


class EpochChangedError(Exception):
    """The source has another epoch than the one it was asked for."""


class FeedHaltedError(Exception):
    """The feed has stopped; the text is its reason."""


class FeedState(Enum):
    """How well the source is followed."""

    CURRENT = "current"
    CATCHING_UP = "catching up"
    UNREACHABLE = "unreachable"
    HALTED = "halted"


_TROUBLE = {FeedState.UNREACHABLE, FeedState.HALTED}


class Feed:
    """One source, followed from a checkpoint."""

    def __init__(
        self,
        *,
        source: str,
        broker: Broker | None,
        subject: str,
        event_type: type[Message],
        list_events: Callable[[int, str, int], Awaitable[bytes]],
        apply: Callable[[Sequence[Row]], Awaitable[Checkpoint]],
        checkpoint: Checkpoint,
        compare_seconds: float = 5.0,
        remedy: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; `run` begins.

        `list_events(after, epoch, page_size)` returns a serialized ListEventsResponse of committed rows and raises
        PeerUnavailableError or EpochChangedError. `apply` stores the effect and the new checkpoint in one transaction
        and returns it: short of the rows given when the rest must wait, further on when another replica did them.
        `remedy` ends the reason of a halt: the command to run. `source` is the name people know it by.
        """
        self.source = source
        self._broker = broker
        self._subject = subject
        self._list_events = list_events
        self._apply = apply
        self._compare_seconds = compare_seconds
        self._remedy = remedy
        self._clock = clock
        self._log = structlog.get_logger("feed").bind(source=source)
        self._lock = asyncio.Lock()
        self._signal = asyncio.Event()
        self._watching: set[asyncio.Event] = set()
        self._messages: deque[bytes] = deque(maxlen=_MOST_MESSAGES)
        self._backlog = Backlog(event_type, checkpoint, clock)
        self._generation = 0
        self._compare = True
        self._compare_at = 0.0
        self._apply_at = 0.0
        self._declined = False
        self._doubtful = False
        self._apply_problem = ""
        self._ask_problem = ""
        self._ask_failures = 0
        self._apply_failures = 0
        self.behind_since: datetime | None = clock()
        self.state = FeedState.CATCHING_UP
        self.reason = "not started"

    @property
    def checkpoint(self) -> Checkpoint:
        """How far the source was applied."""
        return self._backlog.checkpoint

    @property
    def head(self) -> Checkpoint | None:
        """The source's newest row that is known of."""
        return self._backlog.head

    @property
    def heard_time(self) -> datetime | None:
        """When the source was last heard of."""
        return self._backlog.heard_time

    @property
    def lag_rows(self) -> int:
        """How many rows the source is known to have beyond the checkpoint."""
        return self._backlog.lag_rows

    async def run(self) -> None:
        """Follow until cancelled; no failure ends it."""
        subscription = await self._broker.subscribe(self._subject, self._on_message) if self._broker else None
        unlisten = self._broker.listen(self._on_connection) if self._broker else None
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._signal.clear()
                async with self._lock:
                    await self._work(compare=loop.time() >= self._compare_at)
                retry = self._apply_problem and self._backlog.rows
                due = min(self._compare_at, self._apply_at) if retry else self._compare_at
                try:
                    # Not wait_for: Python 3.11's swallows a cancellation that comes together with the event.
                    async with asyncio.timeout_at(due):
                        await self._signal.wait()
                except TimeoutError:
                    continue
        finally:
            if unlisten:
                unlisten()
            if subscription:
                await subscription.close()

    async def catch_up(self, timeout_seconds: float) -> Checkpoint:
        """Ask the source for its head now and apply up to it; works with or without `run`.

        Raises FeedHaltedError, PeerUnavailableError, TimeoutError.
        """
        moved = asyncio.Event()
        self._watching.add(moved)
        target: int | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    moved.clear()
                    async with self._lock:
                        await self._work(compare=target is None)
                        # Whoever works after us sets it again.
                        moved.clear()
                    if self.state is FeedState.HALTED:
                        raise FeedHaltedError(self.reason)
                    if self.state is FeedState.UNREACHABLE:
                        raise PeerUnavailableError(self.reason)
                    if self._compare:
                        continue
                    if target is None:
                        target = self.head.sequence if self.head else 0
                    if self.checkpoint.sequence >= target:
                        return self.checkpoint
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_FIRST_RETRY_SECONDS):
                            await moved.wait()
        finally:
            self._watching.discard(moved)

    def poke(self) -> None:
        """Say that what `apply` waited for may have come."""
        self._declined = False
        self._apply_at = 0.0
        self._signal.set()
        for event in self._watching:
            event.set()

    def reset(self, checkpoint: Checkpoint) -> None:
        """Go on from another checkpoint, after a rebuild; ends a halt."""
        self._generation += 1
        self._backlog.begin(checkpoint)
        self._compare = True
        self._apply_problem = self._ask_problem = ""
        self._enter(FeedState.CATCHING_UP, "starting again")
        self.poke()

    async def _work(self, *, compare: bool) -> None:
        """Take messages, ask the source if need be, apply; sets the state. Raises nothing but cancellation."""
        if self.state is FeedState.HALTED:
            self._messages.clear()
            self._compare_at = asyncio.get_running_loop().time() + self._compare_seconds
            return
        try:
            self._take_messages()
            if compare or (self._compare and not self._ask_problem):
                self._declined = False
                await self._ask()
            await self._apply_waiting()
        except ContradictionError as contradiction:
            if self._backlog.rows and not self._doubtful:
                # What is held but not applied may be what is wrong: look again from the checkpoint.
                self._doubtful = True
                self._backlog.rows.clear()
                self._compare = True
                self._settle()
                return
            reason = f"{self.source}: {contradiction}. Nothing more is applied. {self._remedy}".strip()
            self._enter(FeedState.HALTED, reason)
        else:
            self._settle()

    def _take_messages(self) -> None:
        while self._messages and len(self._backlog.rows) < _MOST_WAITING:
            self._compare = self._backlog.take_message(self._messages.popleft()) or self._compare

    async def _ask(self) -> None:
        """Read the source from what is held to its head, applying on the way."""
        generation = self._generation
        loop = asyncio.get_running_loop()
        try:
            while True:
                held = self._backlog.newest
                self._compare = False
                answer = await self._list_events(held.sequence, held.epoch, _PAGE_SIZE)
                if generation != self._generation:
                    self._compare = True
                    return
                done = self._backlog.take_answer(answer, held)
                await self._apply_waiting()
                if generation != self._generation:
                    return
                if done or len(self._backlog.rows) >= _MOST_WAITING:
                    break
        except PeerUnavailableError as away:
            self._fail_to_ask(str(away) or f"{self.source} does not answer")
        except EpochChangedError:
            raise ContradictionError("it has a new journal (another epoch)") from None
        except ContradictionError:
            raise
        except Exception as problem:  # noqa: BLE001  a feed that dies silently is the worst outcome
            if not self._ask_problem:
                self._log.exception("asking failed")
            self._fail_to_ask(f"{self.source} can't be read ({type(problem).__name__}); see the log")
        else:
            self._ask_problem = ""
            self._ask_failures = 0
            self._doubtful = False
            self._compare_at = loop.time() + self._compare_seconds

    def _fail_to_ask(self, problem: str) -> None:
        self._ask_problem = problem
        self._compare = False
        self._compare_at = asyncio.get_running_loop().time() + self._back_off(self._ask_failures)
        self._ask_failures += 1

    async def _apply_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._backlog.rows and not self._declined and loop.time() >= self._apply_at:
            generation = self._generation
            rows = tuple(self._backlog.rows[:_PAGE_SIZE])
            try:
                reached = await self._apply(rows)
            except Exception as problem:  # noqa: BLE001  a feed that dies silently is the worst outcome
                reason = f"row {rows[0].sequence} of {self.source} can't be applied ({type(problem).__name__})"
                if reason != self._apply_problem:
                    self._log.exception("applying failed", after=self.checkpoint.sequence)
                self._apply_problem = reason
                self._apply_at = loop.time() + self._back_off(self._apply_failures)
                self._apply_failures += 1
                return
            if generation != self._generation:
                return
            self._apply_problem = ""
            self._apply_failures = 0
            self._declined = reached.sequence < rows[-1].sequence
            self._compare = not self._backlog.applied(reached) or self._compare

    def _back_off(self, failures: int) -> float:
        return min(_FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10), self._compare_seconds)

    def _settle(self) -> None:
        if self.lag_rows and not self._backlog.rows:
            self._compare = True
        if self._ask_problem:
            self._enter(FeedState.UNREACHABLE, f"{self._ask_problem}; trying again")
        elif self._apply_problem:
            self._enter(FeedState.CATCHING_UP, f"{self._apply_problem}; see the log; trying again")
        elif self.head is None or self._backlog.rows or self.lag_rows or self._compare:
            self._enter(FeedState.CATCHING_UP, f"{self.lag_rows} rows behind {self.source}")
        else:
            self._enter(FeedState.CURRENT, "")
        for event in self._watching:
            event.set()
        if (self._compare and not self._ask_problem) or (self._messages and len(self._backlog.rows) < _MOST_WAITING):
            self._signal.set()

    def _enter(self, state: FeedState, reason: str) -> None:
        if state is not self.state and _TROUBLE & {state, self.state}:
            (self._log.warning if state in _TROUBLE else self._log.info)("feed", state=state.value, reason=reason)
        if state is FeedState.CURRENT:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = self._clock()
        self.state, self.reason = state, reason

    def _on_message(self, message: Msg) -> None:
        self._messages.append(message.data)
        self._signal.set()

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self._compare = True
            self._signal.set()
