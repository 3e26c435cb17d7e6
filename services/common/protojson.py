"""Messages as JSON values and back, by protobuf's own mapping but several times as fast as its library does it.

Invariant: what is written is exactly what `google.protobuf.json_format.MessageToDict` writes, and what that wrote is read
back as the same message. Only the kinds of field that our contracts use are known here.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_Convert = Callable[[Any], Any]
M = TypeVar("M", bound=Message)

_AS_THEY_ARE = {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_UINT32,
}
_AS_TEXT = {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64}


def to_dict(message: Message) -> dict[str, Any]:
    """Give a message's set fields: names in lowerCamelCase, enums by name, 64-bit numbers, instants and lengths of time as text.

    Raises TypeError for a kind of field that no contract of ours uses.
    """
    made: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, convert = _writing(field)
        made[name] = convert(value) if convert else value
    return made


def from_dict(values: dict[str, Any], message_type: type[M]) -> M:
    """Read what `to_dict` wrote; fields that the type does not have are passed over.

    Raises ValueError, TypeError, AttributeError or KeyError for values that are no such message.
    """
    return message_type(**_arguments(values, _reading(message_type.DESCRIPTOR)))


@cache
def _writing(field: FieldDescriptor) -> tuple[str, _Convert | None]:
    convert: _Convert | None
    if field.type in _AS_THEY_ARE:
        convert = None
    elif field.type in _AS_TEXT:
        convert = str
    elif field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        convert = lambda number: names.get(number, number)  # noqa: E731 (its type is that of the others)
    else:
        convert = _TEXTS[name][0] if (name := _kind_of_message(field)) in _TEXTS else to_dict
    return field.json_name, _each(convert) if field.is_repeated else convert


@cache
def _reading(descriptor: Descriptor) -> dict[str, tuple[str, _Convert | None]]:
    return {field.json_name: (field.name, _reading_of(field)) for field in descriptor.fields}


def _reading_of(field: FieldDescriptor) -> _Convert | None:
    # Enums are taken by their names as they are.
    if field.type in _AS_THEY_ARE or field.type == FieldDescriptor.TYPE_ENUM:
        return None
    convert: _Convert
    if field.type in _AS_TEXT:
        convert = int
    elif (name := _kind_of_message(field)) in _TEXTS:
        convert = _TEXTS[name][1]
    else:
        convert = lambda values: _arguments(values, _reading(field.message_type))  # noqa: E731
    return _each(convert) if field.is_repeated else convert


def _arguments(values: dict[str, Any], reading: dict[str, tuple[str, _Convert | None]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key in reading:
            name, convert = reading[key]
            made[name] = convert(value) if convert else value
    return made


def _each(convert: _Convert | None) -> _Convert:
    return list if convert is None else lambda values: [convert(value) for value in values]


def _kind_of_message(field: FieldDescriptor) -> str:
    message_type = field.message_type
    name = "" if message_type is None else str(message_type.full_name)
    usual = message_type is not None and not message_type.GetOptions().map_entry
    if not usual or (name.startswith("google.") and name not in _TEXTS):
        raise TypeError(f"{field.full_name} is of a kind that is not written as JSON here")
    return name


def _write_instant(timestamp: Timestamp) -> str:
    return _instant(timestamp.seconds, timestamp.nanos)


# One event names the same instant several times, and events of one commit share it.
@lru_cache(maxsize=256)
def _instant(seconds: int, nanos: int) -> str:
    return Timestamp(seconds=seconds, nanos=nanos).ToJsonString()


@lru_cache(maxsize=256)
def _read_instant(text: str) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromJsonString(text)
    return timestamp


def _read_duration(text: str) -> Duration:
    duration = Duration()
    duration.FromJsonString(text)
    return duration


_TEXTS: dict[str, tuple[_Convert, _Convert]] = {
    Timestamp.DESCRIPTOR.full_name: (_write_instant, _read_instant),
    Duration.DESCRIPTOR.full_name: (Duration.ToJsonString, _read_duration),
}
