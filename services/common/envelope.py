"""How one journal row looks on its three ways: stored, passed on, and as a CloudEvent.

Invariant: whoever receives a row can restore the stored bytes exactly and check them against their digest.

Stored bytes are the event message with an empty digest, serialized deterministically. Passed on, the digest follows
them as field 2047, the highest one, so it always takes the last 67 bytes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from services.common.journal import Row, digest_of
from services.common.protojson import from_dict, to_dict

_DIGEST_TAG = b"\xfa\x7f\x40"  # field 2047, a string of 64 bytes
_DIGEST_LENGTH = 64
_SUFFIX_LENGTH = len(_DIGEST_TAG) + _DIGEST_LENGTH
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_EVENT_ID = re.compile(r"([^.]{1,64})\.([1-9][0-9]{0,18})", re.ASCII)
_FIRST_ATTRIBUTES = re.compile(rb'\{"specversion":"1\.0","id":"([^".\\]{1,64})\.([1-9][0-9]{0,18})"', re.ASCII)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Header:
    """The first fields that every event message shares."""

    epoch: str
    sequence: int
    previous_digest: str


def seal(payload: bytes, digest: str) -> bytes:
    """Append the digest (64 lower-case hexadecimal digits, else ValueError) to stored bytes, as they are passed on."""
    encoded = digest.encode()
    if not _DIGEST.fullmatch(encoded):
        raise ValueError("a digest has 64 lower-case hexadecimal digits")
    return payload + _DIGEST_TAG + encoded


def unseal(sealed: bytes) -> tuple[bytes, str]:
    """Take stored bytes and digest apart; does not compare them. Raises ValueError where no digest ends the bytes."""
    suffix = sealed[-_SUFFIX_LENGTH:]
    digest = suffix[len(_DIGEST_TAG) :]
    if not suffix.startswith(_DIGEST_TAG) or not _DIGEST.fullmatch(digest):
        raise ValueError("the event does not end with its digest")
    return sealed[:-_SUFFIX_LENGTH], digest.decode()


def split_events(response: bytes) -> tuple[list[bytes], bytes]:
    """Take a ListEventsResponse apart: its events (field 1) as the bytes they came in, and its head (field 2).

    Raises ValueError for bytes that are no protobuf message.
    """
    events: list[bytes] = []
    head = b""
    for number, value in _fields(response):
        if number == 1 and isinstance(value, bytes):
            events.append(value)
        elif number == 2 and isinstance(value, bytes):
            head = value
    return events, head


def join_events(sealed: Sequence[bytes], head: bytes) -> bytes:
    """Build the ListEventsResponse of these sealed events and this serialized head."""
    parts: list[bytes] = []
    for event in sealed:
        parts += (b"\x0a", _varint(len(event)), event)
    parts += (b"\x12", _varint(len(head)), head)
    return b"".join(parts)


def header_of(payload: bytes) -> Header:
    """Read the shared first fields of stored bytes without knowing their message, so that the rest may be unreadable.

    Raises ValueError where they can't be read.
    """
    epoch, sequence, previous_digest = "", 0, ""
    for number, value in _fields(payload):
        if number == 1 and isinstance(value, bytes):
            epoch = value.decode()
        elif number == 2 and isinstance(value, int):
            sequence = value
        elif number == 3 and isinstance(value, bytes):
            previous_digest = value.decode()
        elif number > 3:
            break
    return Header(epoch, sequence, previous_digest)


def parse_event_id(text: str) -> tuple[str, int] | None:
    """Read an event id; None where the text is none."""
    found = _EVENT_ID.fullmatch(text)
    return (found[1], int(found[2])) if found else None


def token(text: str) -> str:
    """Make one subject token: what would split or match (".", " ", "*", ">") becomes "_"; an empty text is "_"."""
    return re.sub(r"[.*>\s]", "_", text) or "_"


def cloud_event(event: Message, *, source: str, type: str, subject: str) -> bytes:  # noqa: A002  the attribute's name
    """Word an event, its digest set, as CloudEvents 1.0 structured JSON in UTF-8.

    `subject` and the `traceparent` extension are left out when empty. `id` comes second: `peek` relies on it.
    """
    told: Any = event
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{told.epoch}.{told.sequence}",
        "source": source,
        "type": type,
        "subject": subject,
        "time": told.recorded_time.ToJsonString(),
        "datacontenttype": "application/json",
        "traceparent": told.traceparent,
    }
    present = {name: value for name, value in attributes.items() if value}
    present["data"] = to_dict(event)
    return json.dumps(present, ensure_ascii=False, separators=(",", ":")).encode()


def peek(body: bytes) -> tuple[str, int] | None:
    """Read epoch and sequence of a CloudEvent, cheaply where we worded it; None where it has no such id."""
    found = _FIRST_ATTRIBUTES.match(body)
    if found:
        return found[1].decode(errors="replace"), int(found[2])
    attributes = _attributes(body)
    return parse_event_id(str(attributes.get("id", "")))


def open_cloud_event(body: bytes, event_type: type[Message]) -> Row | None:
    """Restore the row of a CloudEvent, its payload being exactly the stored bytes.

    None where that can't be shown by the digest: the event was tampered with, or its producer knows fields that
    `event_type` does not. The journal itself has to be read then.
    """
    try:
        event: Any = from_dict(_attributes(body)["data"], event_type)
    except (LookupError, ValueError, TypeError, AttributeError):
        return None
    digest: str = event.digest
    event.ClearField("digest")
    payload: bytes = event.SerializeToString(deterministic=True)
    if digest_of(payload) != digest:
        return None
    return Row(event.epoch, event.sequence, digest, payload)


def digest_in(body: bytes) -> str:
    """Return the digest that a CloudEvent's data names; empty where it names none."""
    data = _attributes(body).get("data")
    return str(data.get("digest", "")) if isinstance(data, dict) else ""


def _attributes(body: bytes) -> dict[str, Any]:
    try:
        attributes = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return attributes if isinstance(attributes, dict) else {}


def chunk(number: int, content: bytes) -> bytes:
    """Encode bytes, text or a message as field `number` (1 to 15) of the message they will be joined into."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def content(chunk: bytes) -> bytes:
    """Give what `chunk` encoded."""
    length, at = _read_varint(chunk, 1)
    return chunk[at : at + length]


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("the message ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than ten bytes")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Walk the top level of a message: field number, and its number or bytes."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, at = _read_varint(data, at)
        elif wire_type in {_FIXED64, _FIXED32}:
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type} is not used by protobuf 3")
        if at + length > len(data):
            raise ValueError("the message ends within a field")
        yield number, data[at : at + length]
        at += length
