"""One stream, as the relay that fills it sees it: where it ends, and whether it still holds what it should.

Invariant: what is here only looks. What is said of the stream's rows is said after its last one was compared with the
journal, byte for byte.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from services.common.broker import Broker, BrokerAwayError, NoAnswerError
from services.common.envelope import digest_in, parse_event_id
from services.common.journal import Head, Row

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
_ROLLUP = "Nats-Rollup"
_NO_MESSAGE = 10037
_NO_STREAM = 10059
_ANSWER_SECONDS = 1.0  # a stream without a leader answers nothing; the next attempt may find one
_LOOK_BACK = 1000
_LOOK_AHEAD = 20
_MESSAGE_BYTES = 1 << 20


class RelayState(Enum):
    """What a relay is doing; all but RUNNING come with a reason."""

    RUNNING = "running"
    STANDBY = "standby"  # another replica publishes
    WAITING = "waiting"  # for the broker; goes on by itself
    STREAM_MISSING = "stream missing"  # goes on by itself once it is made
    AHEAD = "stream ahead of the journal"  # stopped, as are the two below
    FORKED = "stream differs from the journal"
    TOO_LARGE = "row too large"


class RelayStopError(Exception):
    """The relay cannot go on now; in which state it is then, and why."""

    def __init__(self, state: RelayState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class JournalReader(Protocol):
    """What the relay needs of a journal: committed rows only."""

    async def head(self) -> Head:
        """Return the newest row."""

    async def read(self, after: int, limit: int) -> Sequence[Row]:
        """Return at most `limit` rows that follow sequence `after`, in order."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on: after which row, the stream's own last number then, and whether to clear the stream first."""

    after: int
    last: int
    clears: bool = False

    def number_of(self, row: int) -> int:
        """Give the stream's own number of a row that comes from here on."""
        return self.last + row - self.after

    def expects(self, row: int) -> dict[str, str]:
        """Say in headers what a row's message expects of the stream: all rows before it, and nobody else's message.

        By number, never by `Nats-Expected-Last-Msg-Id`: nats-server looks at numbers before it copies a message to its
        sisters, and at ids after. There an unexpected id stops the stream on all of them (2.15.1), for good.
        """
        clearing = {_ROLLUP: "all"} if self.clears and row == self.after + 1 else {}
        return {EXPECTED_SEQUENCE: str(self.number_of(row) - 1), **clearing}


class Stream:
    """A stream and the journal that it delivers."""

    def __init__(self, broker: Broker, name: str, journal: JournalReader) -> None:
        self._broker = broker
        self._name = name
        self._journal = journal

    async def info(self) -> dict[str, Any]:
        """Give the server's description: `config` and `state`. Raises RelayStopError."""
        return await self._ask(f"STREAM.INFO.{self._name}")

    async def locate(self) -> Place:
        """Give where to go on. Raises RelayStopError, also where the stream's last message contradicts the journal."""
        state = (await self.info())["state"]
        last: int = state["last_seq"]
        # The newest message may be deleted or a stranger's.
        for at in range(last, max(state["first_seq"] - 1, last - _LOOK_BACK, 0), -1):
            found, body = await self._message(at)
            if found is not None:
                return Place(await self._follow(*found, body), last)
        return Place(0, last)

    async def lacking(self, info: Mapping[str, Any], published: int) -> Place | None:
        """Give from where to fill it again, where it lacks rows up to `published` that its limit did not push out.

        Rows before the first one it holds are lacking where they would have room; rows between, where it holds fewer
        than there are. A stream with other limits than its size is left as it is: they may be why. Raises RelayStopError.
        """
        config, state = info["config"], info["state"]
        if not state["messages"] or not _may_clear(config):
            return None
        first = None
        for at in range(state["first_seq"], min(state["first_seq"] + _LOOK_AHEAD, state["last_seq"] + 1)):
            first, _ = await self._message(at)
            if first is not None:
                break
        if first is None or first[0] != (await self._journal.head()).epoch:
            return None
        between = state["messages"] < published - first[1] + 1
        before = first[1] > 1 and _has_room(config, state)
        if not (between or before):
            return None
        kept = await self._journal.read(0, 1)
        # What a trimmed journal has no more, the stream alone still holds.
        if not kept or kept[0].sequence > first[1] or (kept[0].sequence == first[1] and not between):
            return None
        return Place(kept[0].sequence - 1, state["last_seq"], clears=True)

    async def mended(self, row: int, number: int) -> Place | None:
        """Give from where to fill it again, where another's message has the number that was meant for a row.

        Rows after it may have been taken, for they found the number before theirs. Raises RelayStopError.
        """
        found, _ = await self._message(number)
        info, kept = await self.info(), await self._journal.read(0, 1)
        if found == ((await self._journal.head()).epoch, row) or not kept or not _may_clear(info["config"]):
            return None
        return Place(kept[0].sequence - 1, info["state"]["last_seq"], clears=True)

    async def _follow(self, epoch: str, sequence: int, body: bytes) -> int:
        # Read after the stream was, so that a row that another replica committed and published is in it.
        head = await self._journal.head()
        if epoch != head.epoch:
            return 0
        remedy = (
            f"make sure that the right database is in use; if it is, empty the stream with "
            f"tiendo migrate --refill {self._name}: it is filled again"
        )
        if sequence > head.sequence:
            raise RelayStopError(
                RelayState.AHEAD, f"stream at row {sequence}, journal at {head.sequence} (an older copy?): {remedy}"
            )
        rows = await self._journal.read(sequence - 1, 1)
        if not rows or rows[0].digest != digest_in(body):
            raise RelayStopError(RelayState.FORKED, f"row {sequence} differs between stream and journal: {remedy}")
        return sequence

    async def _message(self, at: int) -> tuple[tuple[str, int] | None, bytes]:
        """Give epoch and sequence of the row at a place of the stream, None where there is none, and its body."""
        message = (await self._ask(f"STREAM.MSG.GET.{self._name}", {"seq": at})).get("message", {})
        return parse_event_id(_header(message.get("hdrs", ""), MESSAGE_ID)), base64.b64decode(message.get("data", ""))

    async def _ask(self, subject: str, question: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the JetStream API; {} for a message that is not there. Its own client hands ids on as header objects."""
        try:
            message = await self._broker.request(
                f"$JS.API.{subject}", json.dumps(question or {}).encode(), timeout_seconds=_ANSWER_SECONDS
            )
        except BrokerAwayError:
            raise RelayStopError(RelayState.WAITING, f"the broker is away: {self._broker.reason}") from None
        except NoAnswerError:
            raise RelayStopError(RelayState.WAITING, "the broker's JetStream does not answer; trying again") from None
        answer: dict[str, Any] = json.loads(message.data)
        error = answer.get("error")
        if not error:
            return answer
        if error.get("err_code") == _NO_MESSAGE:
            return {}
        if error.get("err_code") == _NO_STREAM:
            reason = f"stream {self._name} is missing: make it with tiendo migrate; it is filled then"
            raise RelayStopError(RelayState.STREAM_MISSING, reason)
        raise RelayStopError(RelayState.WAITING, f"the broker refuses: {error.get('description')}; trying again")


def _may_clear(config: Mapping[str, Any]) -> bool:
    """Whether one message can take the place of all others in one step, and size alone decides what stays."""
    if not config.get("allow_rollup_hdrs"):
        return False
    limits = (config.get("max_msgs", -1), config.get("max_msgs_per_subject", -1), config.get("max_age", 0))
    return config.get("retention", "limits") == "limits" and all(limit <= 0 for limit in limits)


def _has_room(config: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    # What the size pushed out last did not fit beside what is there; two of the largest messages are a safe distance.
    most, largest = config.get("max_bytes", -1), config.get("max_msg_size", -1)
    return bool(most <= 0 or state["bytes"] + 2 * max(largest, _MESSAGE_BYTES) <= most)


def _header(encoded: str, name: str) -> str:
    """Find one header in the server's base64 block; empty when it is not there."""
    for line in base64.b64decode(encoded).decode(errors="replace").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
