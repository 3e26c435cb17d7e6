"""JSON of messages: the same as protobuf's own, for every event of ours."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.common.protojson import from_dict, to_dict
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import events_pb2 as status_events_pb2

EVENTS: list[type[Message]] = [
    catalog_events_pb2.CatalogEvent,
    integration_events_pb2.IntegrationEvent,
    status_events_pb2.ProgressEvent,
]
_LEAST_SECONDS, _MOST_SECONDS = -62135596800, 253402300799  # years 1 to 9999


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Any value of a field, one of them where it is repeated."""
    if field.message_type is not None:
        return messages(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=8)
    if field.type == FieldDescriptor.TYPE_INT64:
        return st.integers(-(2**63), 2**63 - 1)
    assert field.type == FieldDescriptor.TYPE_INT32
    return st.integers(-(2**31), 2**31 - 1)


@st.composite
def messages(draw: st.DrawFn, descriptor: Any) -> dict[str, Any]:
    """The arguments of a message with some of its fields set."""
    if descriptor.full_name == Timestamp.DESCRIPTOR.full_name:
        nanos = st.sampled_from([0, 1, 1_000, 1_000_000, 999_999_999])
        return {"seconds": draw(st.integers(_LEAST_SECONDS, _MOST_SECONDS)), "nanos": draw(nanos)}
    if descriptor.full_name == Duration.DESCRIPTOR.full_name:
        return {"seconds": draw(st.integers(0, 3600)), "nanos": draw(st.integers(0, 999_999_999))}
    made: dict[str, Any] = {}
    for field in descriptor.fields:
        if draw(st.integers(0, 2)) == 0:
            one = values(field)
            made[field.name] = draw(st.lists(one, max_size=2)) if field.is_repeated else draw(one)
    return made


@pytest.mark.parametrize("event_type", EVENTS, ids=lambda event_type: str(event_type.__name__))
@given(data=st.data())
def test_an_event_is_written_as_protobuf_writes_it_and_read_back(
    event_type: type[Message], data: st.DataObject
) -> None:
    """Whatever fields are set: the same values as the library's, and the same message again from its text."""
    event = event_type(**data.draw(messages(event_type.DESCRIPTOR)))

    assert to_dict(event) == MessageToDict(event)
    assert from_dict(json.loads(json.dumps(to_dict(event))), event_type) == event


def test_values_look_like_this() -> None:
    """Enums by name, and by number where a newer producer knows more; a presence that is set to nothing is kept."""
    integration = integration_pb2.Integration(name="integrations/bca-012", stage=4, condition=77)  # type: ignore[arg-type]
    integration.create_time.seconds = 1664928000
    integration.effective_date.SetInParent()

    written = to_dict(integration)

    assert written == {
        "name": "integrations/bca-012",
        "stage": "STAGE_BUILT",
        "condition": 77,
        "effectiveDate": {},
        "createTime": "2022-10-05T00:00:00Z",
    }
    assert from_dict(written, integration_pb2.Integration) == integration


def test_a_field_of_a_newer_producer_is_passed_over() -> None:
    """What the type does not have is not read."""
    read = from_dict({"name": "integrations/x", "colour": "blue"}, integration_pb2.Integration)

    assert read == integration_pb2.Integration(name="integrations/x")


@pytest.mark.parametrize(
    "values",
    [{"stage": "STAGE_NEVER"}, {"createTime": "yesterday"}, {"checks": [1]}, {"name": 7}, {"transitionCount": "x"}],
    ids=lambda values: next(iter(values)),
)
def test_other_values_are_refused(values: dict[str, Any]) -> None:
    """What is no such message raises, and reads as nothing."""
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)) as refused:
        from_dict(values, integration_pb2.Integration)

    assert refused.value.args


def test_a_kind_of_field_without_a_rule_is_refused() -> None:
    """No contract of ours has maps; one that gets them is not written wrongly in silence."""
    message = Struct()
    message["a"] = True

    with pytest.raises(TypeError, match="fields"):
        to_dict(message)
