"""What a row looks like stored, passed on and as a CloudEvent, and that each way leads back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.envelope import (
    Header,
    cloud_event,
    digest_in,
    header_of,
    join_events,
    open_cloud_event,
    parse_event_id,
    peek,
    seal,
    split_events,
    token,
    unseal,
)
from services.common.journal import Row, digest_of
from tests.support.journal import EPOCH, MemoryJournal, body_of, event_of
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.common.v1 import event_pb2
from tiendo.status.v1 import events_pb2

DIGEST = "0123456789abcdef" * 4


def test_sealed_bytes_are_the_event_with_its_digest() -> None:
    """Whoever parses what is passed on finds the event and its digest in it."""
    row = MemoryJournal().add()[0]

    event = events_pb2.ProgressEvent.FromString(seal(row.payload, row.digest))

    assert event == event_of(row)
    assert event.SerializeToString(deterministic=True) == seal(row.payload, row.digest)


@given(st.binary(max_size=300))
def test_unseal_is_the_inverse_of_seal(payload: bytes) -> None:
    """Any stored bytes come back exactly."""
    assert unseal(seal(payload, DIGEST)) == (payload, DIGEST)


@pytest.mark.parametrize("sealed", [b"", b"\xfa\x7f\x40", b"x" * 67, b"\xfa\x7f\x40" + b"G" * 64])
def test_bytes_without_a_digest_are_refused(sealed: bytes) -> None:
    """What doesn't end with a digest is no sealed event."""
    with pytest.raises(ValueError, match="digest"):
        unseal(sealed)


@pytest.mark.parametrize("digest", ["", "0" * 63, "A" * 64])
def test_a_wrong_digest_seals_nothing(digest: str) -> None:
    """A digest that could not be taken off again is not put on."""
    with pytest.raises(ValueError, match="64"):
        seal(b"", digest)


def test_a_response_keeps_the_bytes_of_its_events() -> None:
    """ListEvents' answer is the real message, and its events come out as the bytes they went in, unknown fields too."""
    plain = catalog_events_pb2.CatalogEvent(epoch=EPOCH, sequence=1, actor="Đức").SerializeToString(deterministic=True)
    newer = plain + b"\xf8\x07\x01"  # field 127 of a newer producer
    sealed = [seal(payload, digest_of(payload)) for payload in (plain, newer)]
    head = event_pb2.JournalHead(epoch=EPOCH, sequence=2, digest=DIGEST)

    response = join_events(sealed, head.SerializeToString())
    message = catalog_service_pb2.ListEventsResponse.FromString(response)

    assert split_events(response) == (sealed, head.SerializeToString())
    assert [event.actor for event in message.events] == ["Đức", "Đức"]
    assert [event.digest for event in message.events] == [digest_of(plain), digest_of(newer)]
    assert message.head == head


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    """A damaged answer is a ValueError, never another failure."""
    try:
        events, head = split_events(data)
    except ValueError:
        return

    assert sum(map(len, events)) + len(head) <= len(data)


def test_the_shared_fields_are_read_without_the_message() -> None:
    """A row whose rest can't be read still has its place in the chain."""
    first, second = MemoryJournal().add(2)

    assert header_of(second.payload + b"\xff") == Header(EPOCH, 2, first.digest)
    with pytest.raises(ValueError, match="ends"):
        header_of(second.payload[:5])


def test_a_cloud_event_reads_as_promised() -> None:
    """The JSON has exactly the attributes and spellings that others build on."""
    event = events_pb2.ProgressEvent(
        epoch=EPOCH,
        sequence=7,
        previous_digest="aa",
        actor="Đức",
        kind=events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED,
        completion=events_pb2.CompletionSummary(planned=227, completed=227, not_reported=0),
        traceparent="00-1-2-01",
        digest=DIGEST,
    )
    event.recorded_time.FromJsonString("2022-10-05T01:00:00Z")

    body = cloud_event(
        event, source="/tiendo/status", type="tiendo.progress.v1.service.integrated", subject="services/x"
    )

    assert body.decode() == (
        '{"specversion":"1.0","id":"00112233445566aa.7","source":"/tiendo/status",'
        '"type":"tiendo.progress.v1.service.integrated","subject":"services/x","time":"2022-10-05T01:00:00Z",'
        '"datacontenttype":"application/json","traceparent":"00-1-2-01","data":{"epoch":"00112233445566aa",'
        '"sequence":"7","previousDigest":"aa","recordedTime":"2022-10-05T01:00:00Z","actor":"Đức",'
        '"traceparent":"00-1-2-01","kind":"PROGRESS_EVENT_KIND_SERVICE_INTEGRATED",'
        f'"completion":{{"planned":227,"completed":227,"notReported":0}},"digest":"{DIGEST}"}}}}'
    )


def test_empty_attributes_are_left_out() -> None:
    """A programme's event has no subject, an untraced one no traceparent."""
    row = MemoryJournal().add()[0]

    attributes = json.loads(cloud_event(event_of(row), source="/s", type="t", subject=""))

    assert "subject" not in attributes
    assert "traceparent" not in attributes


def test_a_cloud_event_gives_the_stored_bytes_back() -> None:
    """A follower holds exactly the row of the journal, names with diacritics included."""
    row = MemoryJournal().add(reason="đã nghiệm thu")[0]

    assert open_cloud_event(body_of(row), events_pb2.ProgressEvent) == row


@pytest.mark.parametrize(
    ("old", "new"),
    [("bca-012", "bca-013"), ('"sequence":"1"', '"sequence":"2"'), ('"data":', '"date":'), ('"actor":"', '"actor":["')],
)
def test_a_changed_cloud_event_is_not_believed(old: str, new: str) -> None:
    """Whatever was changed on the way, no row comes of it."""
    body = body_of(MemoryJournal().add()[0]).decode().replace(old, new).encode()

    assert open_cloud_event(body, events_pb2.ProgressEvent) is None


def test_a_newer_producers_field_sends_the_reader_to_the_journal() -> None:
    """A field that we don't know can't be restored, so the row is read where its bytes are."""
    body = body_of(MemoryJournal().add()[0]).replace(b'"data":{', b'"data":{"brandNew":1,')

    assert open_cloud_event(body, events_pb2.ProgressEvent) is not None  # not covered by the digest: harmless
    row = MemoryJournal().add()[0]
    payload = row.payload + b"\xf8\x07\x01"
    newer = event_of(Row(EPOCH, 1, digest_of(payload), payload))
    told = cloud_event(newer, source="/s", type="t", subject="")
    assert open_cloud_event(told, events_pb2.ProgressEvent) is None


@given(
    st.binary(max_size=100) | st.recursive(st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_body_breaks_a_reader(body: bytes) -> None:
    """Whatever is published on our subjects, reading it is None."""
    assert peek(body) is None
    assert open_cloud_event(body, events_pb2.ProgressEvent) is None
    assert not digest_in(body)


def test_the_id_is_seen_without_reading_the_rest() -> None:
    """Repeats are dropped by their id, in our own wording or in another's."""
    row = MemoryJournal().add()[0]
    reordered = json.dumps(dict(reversed(json.loads(body_of(row)).items())), indent=1).encode()

    assert peek(body_of(row)) == (EPOCH, 1)
    assert peek(reordered) == (EPOCH, 1)
    assert digest_in(body_of(row)) == row.digest


@pytest.mark.parametrize("text", ["", "a", "a.", ".1", "a.0", "a.01", "a.-1", "a.1.2", "a.1 ", "a.١"])
def test_other_texts_are_no_event_ids(text: str) -> None:
    """Only "<epoch>.<sequence>" is one."""
    assert parse_event_id(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("bca-012", "bca-012"), ("", "_"), ("a.b", "a_b"), ("a *>\tb", "a____b"), ("đ", "đ")]
)
def test_a_token_never_splits_or_matches(text: str, expected: str) -> None:
    """What stands in a subject is one token and no wildcard."""
    assert token(text) == expected
