"""What both clients decide alike: tries, revisions carried along, where a watch goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.client import RefusedError, StartAfreshError, TiendoError, UnreachableError
from services.client.rules import IN_FLIGHT, Resuming, Revisions, Tries, merged, prepared
from tiendo.integration.v1 import integration_service_pb2
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as status_pb2

Answer = integration_service_pb2.AdvanceIntegrationResponse
AWAY = UnreachableError("127.0.0.1:1")
LATE = UnreachableError("127.0.0.1:1", late=True)
NOT_YET = RefusedError("NOT_CAUGHT_UP", "not yet", "UNAVAILABLE", retry_seconds=1.0)
STALE = RefusedError("STALE_ETAG", "was changed", "ABORTED")
EXPIRED = StartAfreshError("TOKEN_EXPIRED", "after: lies before the history that is kept", "OUT_OF_RANGE")
CUT = RefusedError("", "Stream removed", "UNKNOWN")
FAULT = RefusedError("INTERNAL", "a fault of ours", "INTERNAL")


def test_a_service_is_asked_again_as_it_wishes_until_the_deadline() -> None:
    """RetryInfo sets the wait; no try begins that would end after the deadline."""
    tries = Tries(100.0, 10.0, 0.0, lambda: 0.0)

    assert tries.wait(NOT_YET, 105.0) == 1.0
    assert tries.left(106.0) == 4.0
    with pytest.raises(RefusedError):
        tries.wait(NOT_YET, 109.0)


def test_patience_is_for_who_does_not_answer() -> None:
    """Where nobody answers tries come ever later, and end with the patience, before the deadline."""
    tries = Tries(100.0, 10.0, 2.0, lambda: 0.0)

    assert [tries.wait(AWAY, 100.0) for _ in range(5)] == [0.1, 0.2, 0.4, 0.8, 1.6]
    with pytest.raises(UnreachableError):
        tries.wait(AWAY, 100.1)


@pytest.mark.parametrize("failure", [LATE, STALE, EXPIRED, FAULT, CUT], ids=str)
def test_what_a_try_would_not_mend_is_told_at_once(failure: TiendoError) -> None:
    """A deadline that has passed, a decision to take anew, a fault: none is tried again."""
    with pytest.raises(type(failure)):
        Tries(0.0, 10.0, 10.0).wait(failure, 0.0)


def test_every_try_carries_the_same_request() -> None:
    """A command gets an id once and keeps one it has; revisions are added, none twice, at most 20; the caller's is untouched."""
    request = integration_service_pb2.AdvanceIntegrationRequest(name="integrations/a", at_least=["x"])
    sent = prepared(request, ["x", "y"], lambda: "made")
    many = prepared(request, [str(number) for number in range(30)])

    assert (sent.request_id, list(sent.at_least)) == ("made", ["x", "y"])
    assert prepared(sent, [], lambda: "other") == sent
    assert len(many.at_least) == 20
    assert (request.request_id, list(request.at_least)) == ("", ["x"])


def test_headers_of_a_call_stand_beside_the_clients_own() -> None:
    """A trace context goes along with who asks."""
    assert merged((("tiendo-actor", "a"),), {"traceparent": "t"}) == (("tiendo-actor", "a"), ("traceparent", "t"))


@given(st.lists(st.tuples(st.sampled_from(["begin", "commit", "answer"]), st.integers(0, 100)), max_size=100))
def test_the_newest_revision_is_always_carried(steps: list[tuple[str, int]]) -> None:
    """Whatever overlaps: the newest revision that was answered is carried, and never more than were in flight at once."""
    revisions, newest, commits = Revisions(kept=True), 0, 0
    begun: list[int] = []
    committed: list[tuple[int, int]] = []
    for what, pick in steps:
        if what == "begin" and len(begun) + len(committed) < IN_FLIGHT:
            begun.append(revisions.begin()[0])
        elif what == "commit" and begun:
            commits += 1
            committed.append((begun.pop(pick % len(begun)), commits))
        elif what == "answer" and committed:
            since, revision = committed.pop(pick % len(committed))
            revisions.note("integration", since, Answer(revision=f"{revision:03}"))
            newest = max(newest, revision)

        held = revisions.begin()[1]
        assert len(held) <= IN_FLIGHT
        assert max(held, default="000") == f"{newest:03}"


def test_revisions_are_let_go_with_their_journal() -> None:
    """When a journal was replaced its revisions are no longer asked for; other refusals change nothing."""
    revisions = Revisions(kept=True)
    revisions.note("catalog", 0, Answer(revision="a"))
    revisions.forget_if_replaced(STALE)
    before = revisions.begin()[1]
    revisions.forget_if_replaced(RefusedError("EPOCH_CHANGED", "replaced", "FAILED_PRECONDITION"))

    assert (before, revisions.begin()[1]) == (["a"], [])


def bookmark(token: str) -> status_pb2.WatchProgressResponse:
    """A message that only says where the watch is."""
    return status_pb2.WatchProgressResponse(token=token)


def told(sequence: int, epoch: str = "e") -> status_pb2.WatchProgressResponse:
    """A message with an event."""
    event = events_pb2.ProgressEvent(epoch=epoch, sequence=sequence)
    return status_pb2.WatchProgressResponse(token=f"{epoch}{sequence}", event=event)


def test_a_watch_goes_on_after_its_last_message() -> None:
    """The next connection asks after the last token, whatever it first began with; no event is given twice."""
    request = status_pb2.WatchProgressRequest(start=status_pb2.WATCH_START_BEGINNING, service="services/a")
    watch = Resuming(request, 0.0, 5.0)
    first = watch.request()
    given = [watch.is_new(message) for message in (bookmark("e0"), told(1), told(3), told(3), told(1, "f"))]
    watch.is_new(bookmark("f7"))

    assert first == request
    assert given == [False, True, True, False, True]
    assert watch.request() == status_pb2.WatchProgressRequest(after="f7", service="services/a")


@pytest.mark.parametrize("failure", [AWAY, CUT, NOT_YET], ids=str)
def test_a_watch_that_stood_once_never_gives_up(failure: TiendoError) -> None:
    """It tries ever more slowly, and quickly again once it heard something; before its first message patience ends."""
    watch = Resuming(status_pb2.WatchProgressRequest(), 0.0, 5.0, lambda: 0.0)
    assert watch.wait(failure, 4.9) == 0.1
    with pytest.raises(type(failure)):
        watch.wait(failure, 5.0)
    watch.is_new(bookmark("a"))
    waits = [watch.wait(failure, 1000.0) for _ in range(7)]
    assert watch.lost
    watch.is_new(bookmark("a"))

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert watch.wait(failure, 1000.0) == 0.1


def test_a_connection_that_lived_its_time_is_renewed_without_a_word() -> None:
    """The deadline of one connection is no loss."""
    watch = Resuming(status_pb2.WatchProgressRequest(), 0.0, 5.0)
    watch.is_new(bookmark("a"))

    assert (watch.wait(LATE, 600.0), watch.lost) == (0.0, False)


@pytest.mark.parametrize("failure", [EXPIRED, FAULT, STALE], ids=str)
def test_a_watch_that_is_refused_ends(failure: TiendoError) -> None:
    """An expired token says what to do; nothing is tried again."""
    watch = Resuming(status_pb2.WatchProgressRequest(), 0.0, 5.0)
    watch.is_new(bookmark("a"))

    with pytest.raises(type(failure)):
        watch.wait(failure, 1.0)
