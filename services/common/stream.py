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
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
_ROLLUP = "Nats-Rollup"
_NO_MESSAGE = 10037
_NO_STREAM = 10059
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
    """Where to go on: after which row, and the headers by which the next message says what it expects of the stream."""

    after: int
    headers: Mapping[str, str]


class Stream:
    """A stream and the journal that it delivers."""

    def __init__(self, broker: Broker, name: str, journal: JournalReader) -> None:
        self._broker = broker
        self._name = name
        self._journal = journal

    async def info(self) -> dict[str, Any]:
        """Give the server's description: `config` and `state`. Raises RelayStopError."""
        return await self._ask(f"STREAM.INFO.{self._name}")

    async def locate(self) -> tuple[Place, int]:
        """Give where to go on, and the stream's own last number.

        Raises RelayStopError, also where the stream's last message contradicts the journal.
        """
        state = (await self.info())["state"]
        last: int = state["last_seq"]
        # The newest message may be deleted or a stranger's; then what is expected is the stream's own number, as for
        # an empty stream, because the broker's memory of the last id holds neither.
        for at in range(last, max(state["first_seq"] - 1, last - _LOOK_BACK, 0), -1):
            found, body = await self._message(at)
            if found is None:
                continue
            headers = {EXPECTED_ID: f"{found[0]}.{found[1]}"} if at == last else {EXPECTED_SEQUENCE: str(last)}
            return Place(await self._follow(*found, body), headers), last
        return Place(0, {EXPECTED_SEQUENCE: str(last)}), last

    async def lacking(self, info: Mapping[str, Any], published: int) -> Place | None:
        """Give from where to fill it again, where it lacks rows up to `published` that its limit did not push out.

        Rows before the first one it holds are lacking where they would have room; rows between, where it holds fewer
        than there are. The place's headers let the broker put the row there in the place of everything the stream
        holds, in one step, and only if nothing came to it since. A stream with other limits than its size is left as it
        is: they may be why. Raises RelayStopError.
        """
        config, state = info["config"], info["state"]
        if not state["messages"] or not config.get("allow_rollup_hdrs") or not _by_size_alone(config):
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
        return Place(kept[0].sequence - 1, {EXPECTED_SEQUENCE: str(state["last_seq"]), _ROLLUP: "all"})

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
            message = await self._broker.request(f"$JS.API.{subject}", json.dumps(question or {}).encode())
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


def _by_size_alone(config: Mapping[str, Any]) -> bool:
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
