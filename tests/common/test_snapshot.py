"""What readers of a process see moves forward only, whole, and can be waited for."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.journal import Head, Row, stamp
from services.common.resources import Revision
from services.common.snapshot import Answers, Live, Reached, Tail
from tiendo.status.v1 import events_pb2

NOW = datetime(2022, 10, 5, 1, 0, tzinfo=UTC)


class Numbered:
    """A state that is nothing but its head."""

    def __init__(self, epoch: str, sequence: int) -> None:
        self.head = Head(epoch, sequence, "", NOW)


def rows(first: int, last: int, epoch: str = "e1") -> list[Row]:
    """Rows of a journal."""
    made = []
    head = Head(epoch, first - 1, "", NOW)
    for number in range(first, last + 1):
        event: Any = events_pb2.ProgressEvent(reason=str(number))
        row, head = stamp(event, head, NOW)
        made.append(row)
    return made


def sequences(tail: Tail, after: int, limit: int = 100_000) -> list[int] | None:
    """The numbers a tail gives."""
    kept = tail.after(after, limit)
    return None if kept is None else [one.row.sequence for one in kept]


async def reason_of_wait(reached: Reached, at_least: list[str], seconds: float = 0.01) -> Reason | None:
    """Why a wait was refused; None when it was not."""
    try:
        await reached.wait(at_least, seconds)
    except Refusal as refusal:
        return refusal.reason
    return None


async def test_a_revision_that_is_included_does_not_wait() -> None:
    """Equal or older revisions, and those of journals nobody follows here, are passed at once."""
    reached = Reached()
    reached.move("catalog", "e1", 5)
    at_least = [Revision(*one).encode() for one in (("catalog", "e1", 5), ("catalog", "e1", 2), ("other", "e9", 99))]

    assert await reason_of_wait(reached, at_least, 0) is None


async def test_a_wait_ends_when_the_revision_is_reached() -> None:
    """Whoever waits for row 7 goes on at row 7, not at row 6, whatever other journals do."""
    reached = Reached()
    reached.move("catalog", "e1", 5)
    waiting = asyncio.create_task(reached.wait([Revision("catalog", "e1", 7).encode()], 10))
    done = []
    for journal, sequence in (("catalog", 6), ("integration", 7), ("catalog", 7)):
        reached.move(journal, "e1", sequence)
        for _ in range(5):
            await asyncio.sleep(0)
        done.append(waiting.done())

    assert done == [False, False, True]
    assert waiting.exception() is None


async def test_a_revision_not_reached_in_time_is_told_with_how_far_it_is() -> None:
    """NOT_CAUGHT_UP names the journal, what was wanted and what is there, and asks for a retry."""
    reached = Reached()
    reached.move("catalog", "e1", 5)

    with pytest.raises(Refusal) as caught:
        await reached.wait([Revision("catalog", "e1", 7).encode()], 0.01)

    assert caught.value.reason is Reason.NOT_CAUGHT_UP
    assert caught.value.metadata == {"journal": "catalog", "wanted": "7", "reached": "5"}
    assert caught.value.retry_seconds == 1


async def test_several_revisions_share_one_wait() -> None:
    """When the first of two is reached late, the second has only what is left of the time."""
    reached = Reached()
    reached.move("catalog", "e1", 0)
    reached.move("integration", "e1", 0)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    loop.call_later(0.2, reached.move, "catalog", "e1", 1)

    reason = await reason_of_wait(
        reached, [Revision("catalog", "e1", 1).encode(), Revision("integration", "e1", 1).encode()], 0.3
    )
    took = loop.time() - begun

    assert reason is Reason.NOT_CAUGHT_UP
    assert took < 0.45


async def test_a_revision_of_another_epoch_is_refused_even_while_waiting() -> None:
    """A journal that was replaced never reaches an old revision: EPOCH_CHANGED, at once or when it happens."""
    reached = Reached()
    reached.move("catalog", "e1", 5)
    at_once = await reason_of_wait(reached, [Revision("catalog", "e0", 1).encode()], 10)
    waiting = asyncio.create_task(reason_of_wait(reached, [Revision("catalog", "e1", 7).encode()], 10))
    await asyncio.sleep(0)
    reached.move("catalog", "e2", 1)

    assert at_once is Reason.EPOCH_CHANGED
    assert await waiting is Reason.EPOCH_CHANGED


async def test_bad_revisions_are_refused() -> None:
    """A text that is no revision of ours is INVALID_TOKEN, and 21 of them are TOO_MANY."""
    reached = Reached()
    reached.move("catalog", "e1", 5)
    good = Revision("catalog", "e1", 1).encode()

    assert await reason_of_wait(reached, ["x"]) is Reason.INVALID_TOKEN
    assert await reason_of_wait(reached, [good] * 20) is None
    assert await reason_of_wait(reached, [good] * 21) is Reason.TOO_MANY


def test_revisions_tell_of_known_journals_only() -> None:
    """What a reply is current through leaves out journals that were never heard of."""
    reached = Reached()
    reached.move("catalog", "e1", 5)

    assert reached.revisions("catalog", "integration") == [Revision("catalog", "e1", 5).encode()]
    assert reached.position("integration") == ("", 0)


def test_a_tail_gives_rows_after_a_number() -> None:
    """In order, at most so many, none after the last; None says that the table must be asked."""
    tail = Tail(Head("e1", 10, "", NOW))
    tail.extend(rows(11, 15))

    assert sequences(tail, 10) == [11, 12, 13, 14, 15]
    assert sequences(tail, 12, 2) == [13, 14]
    assert sequences(tail, 15) == []
    assert sequences(tail, 99) == []
    assert sequences(tail, 9) is None


def test_a_tail_gives_the_bytes_that_are_passed_on() -> None:
    """The event with its digest."""
    tail = Tail(Head("e1", 0, "", NOW))
    row = rows(1, 1)[0]
    tail.extend([row])

    kept = tail.after(0, 1)
    assert kept is not None
    assert events_pb2.ProgressEvent.FromString(kept[0].sealed).digest == row.digest


def test_a_tail_begins_anew_after_a_hole() -> None:
    """Rows that do not follow make it forget the older ones, so that it never gives a list with a hole."""
    tail = Tail(Head("e1", 0, "", NOW))
    tail.extend(rows(1, 3))
    tail.extend(rows(7, 8))

    assert sequences(tail, 2) is None
    assert sequences(tail, 6) == [7, 8]


def test_a_tail_keeps_a_bounded_number() -> None:
    """Of 5,000 rows the newest 4,096 are kept."""
    tail = Tail(Head("e1", 0, "", NOW))
    tail.extend(rows(1, 5000))

    kept = sequences(tail, 904)
    assert kept is not None
    assert (kept[0], kept[-1], len(kept)) == (905, 5000, 4096)
    assert sequences(tail, 903) is None


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 6)), max_size=12), st.integers(0, 40), st.integers(1, 9))
def test_a_tail_never_gives_a_hole(pieces: list[tuple[int, int]], after: int, limit: int) -> None:
    """Whatever rows it was given, in whatever order, it gives a row of runs without holes right after the number, or None."""
    tail = Tail(Head("e1", 0, "", NOW))
    for first, count in pieces:
        tail.extend(rows(first, first + count - 1))

    given_rows = sequences(tail, after, limit)
    if given_rows:
        assert given_rows == list(range(after + 1, after + 1 + len(given_rows)))


async def test_live_moves_forward_only() -> None:
    """An older state of the same epoch is dropped; readers keep the newer one."""
    reached = Reached()
    live = Live(Numbered("e1", 5), "catalog", reached)
    newer = Numbered("e1", 7)
    live.advance(newer, rows(6, 7))
    live.advance(Numbered("e1", 6), rows(6, 6))

    assert live.current is newer
    assert reached.position("catalog") == ("e1", 7)
    assert sequences(live.tail, 5) == [6, 7]


async def test_a_change_is_told_once_it_can_be_read() -> None:
    """Listeners and whoever waits for the next change find the new state, its rows and its position."""
    reached = Reached()
    live = Live(Numbered("e1", 0), "catalog", reached)
    seen: list[Any] = []
    live.on_change(
        lambda: seen.append((live.current.head.sequence, reached.position("catalog")[1], sequences(live.tail, 0)))
    )
    changed = live.changed()
    live.advance(Numbered("e1", 2), rows(1, 2))

    assert seen == [(2, 2, [1, 2])]
    assert changed.is_set()
    assert not live.changed().is_set()


async def test_the_same_state_without_rows_is_no_change() -> None:
    """A look that found nothing wakes nobody."""
    live = Live(Numbered("e1", 0), "catalog", Reached())
    changed = live.changed()
    live.advance(live.current, [])

    assert not changed.is_set()


async def test_another_epoch_replaces_all() -> None:
    """A journal begun anew is shown though its numbers are lower, and the old rows are gone."""
    reached = Reached()
    live = Live(Numbered("e1", 0), "catalog", reached)
    live.advance(Numbered("e1", 5), rows(1, 5))
    live.advance(Numbered("e2", 2), rows(1, 2, "e2"))

    kept = live.tail.after(0, 10)
    assert reached.position("catalog") == ("e2", 2)
    assert kept is not None
    assert [one.row.event_id for one in kept] == ["e2.1", "e2.2"]


def test_an_answer_is_made_once_and_many_are_not_kept_for_ever() -> None:
    """The same question gets the kept bytes; a refusal is not kept; past 16 MiB of answers, all are made anew."""
    answers = Answers()
    made: list[str] = []

    def answer(name: str, size: int = 1) -> bytes:
        def make() -> bytes:
            made.append(name)
            return name.encode() * size

        return answers.get(name, make)

    def refuse() -> bytes:
        raise Refusal(Reason.INVALID_VALUE, "no")

    with pytest.raises(Refusal):
        answers.get("c", refuse)
    first, again, later = answer("a"), answer("a"), answer("c")
    for number in range(18):
        answer(f"{number:02}", 512 * 1024)
    answer("a")

    assert (first, again, later) == (b"a", b"a", b"c")
    assert made == ["a", "c", *(f"{number:02}" for number in range(18)), "a"]
