"""The lease, on both engines: one holder, taken over when it falls silent, and never two at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData

from services.common.db import read_transaction, write_transaction
from services.common.lease import Lease, LeaseLostError, LeaseTable, has_ended, name_of_process
from tests.support.databases import ENGINES, new_engine

METADATA = MetaData()
TABLE = LeaseTable(METADATA)
LEASE_SECONDS = 6.0


class Clock:
    """Seconds that only the test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Give the present one."""
        return self.now


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database whose lease nobody holds."""
    made = new_engine(request.param, tmp_path)
    METADATA.create_all(made)
    with write_transaction(made) as connection:
        TABLE.found(connection)
        TABLE.found(connection)
    yield made
    made.dispose()


def lease(engine: Engine, holder: str, clock: Clock) -> Lease:
    """One replica's part."""
    return Lease(engine, TABLE, holder, lease_seconds=LEASE_SECONDS, clock=clock)


def test_the_first_has_it_and_keeps_it_as_long_as_it_beats(engine: Engine) -> None:
    """Over ten leases of steps by both, only the first ever holds it."""
    clock = Clock()
    first, second = lease(engine, "first", clock), lease(engine, "second", clock)
    held = []
    for _ in range(60):
        first.step()
        second.step()
        held.append((first.held, second.held))
        clock.now += 1

    assert set(held) == {(True, False)}


def test_a_silent_holder_stops_before_another_takes_over(engine: Engine) -> None:
    """Seen every tenth of a second: the first ends by itself, the second begins within 1.5 leases, and never both."""
    clock = Clock()
    first, second = lease(engine, "first", clock), lease(engine, "second", clock)
    first.step()
    held = []
    for _ in range(90):
        second.step()
        held.append((first.held, second.held))
        clock.now += 0.1
    first.step()

    assert (True, True) not in held
    assert held[0] == (True, False)
    assert held[-1] == (False, True)
    assert (first.held, second.held) == (False, True)


def test_each_on_its_own_clock(engine: Engine) -> None:
    """Clocks that differ by years, or a holder that beats late, change nothing: only silence counts."""
    early, late = Clock(), Clock()
    late.now += 1e8
    first, second = lease(engine, "first", early), lease(engine, "second", late)
    for _ in range(40):
        first.step()
        second.step()
        early.now += LEASE_SECONDS / 2
        late.now += LEASE_SECONDS / 2

    assert not second.held
    first.step()
    assert first.held


def test_one_that_is_given_back_is_had_at_once(engine: Engine) -> None:
    """Nobody waits for the end of a lease whose holder has stopped in order."""
    clock = Clock()
    first, second = lease(engine, "first", clock), lease(engine, "second", clock)
    first.step()
    second.step()
    first.release()
    second.step()

    assert (first.held, second.held) == (False, True)


def test_only_the_holder_gives_it_back(engine: Engine) -> None:
    """A replica that lost it and ends afterwards takes it from nobody."""
    clock = Clock()
    first, second = lease(engine, "first", clock), lease(engine, "second", clock)
    first.step()
    second.step()
    clock.now += LEASE_SECONDS
    second.step()
    first.release()
    with read_transaction(engine) as connection:
        holder = TABLE.read(connection)[0]

    assert holder == "second"
    assert second.held


def test_who_lost_it_writes_nothing(engine: Engine) -> None:
    """Even while it still believes to hold it, its transaction is refused, and it believes so no longer."""
    clock, slow = Clock(), Clock()
    first, second = lease(engine, "first", slow), lease(engine, "second", clock)
    first.step()
    second.step()
    clock.now += LEASE_SECONDS
    second.step()
    believed = first.held
    with pytest.raises(LeaseLostError), write_transaction(engine) as connection:
        first.check(connection)
    with write_transaction(engine) as connection:
        second.check(connection)

    assert believed
    assert not first.held
    assert second.held


def test_two_that_see_the_same_silence_do_not_both_get_it(engine: Engine) -> None:
    """Of two takers that saw the same row, the database lets one."""
    with read_transaction(engine) as connection:
        seen = TABLE.read(connection)
    taken = []
    for holder in ("one", "two"):
        with write_transaction(engine) as connection:
            taken.append(TABLE.take(connection, seen, holder))

    assert taken == [True, False]


def test_a_holder_whose_process_is_gone_is_not_waited_for(engine: Engine) -> None:
    """A name of this machine without a process is over at once; a living one, and one of another machine, is waited for."""
    clock = Clock()
    mine = name_of_process("0123456789abcdef")
    machine, number, random = mine.split("/")
    gone = f"{machine}/4194399/{random}"  # above the highest process number that Linux gives by itself
    lease(engine, gone, clock).step()
    second = lease(engine, mine, clock)
    second.step()

    assert second.held
    assert len(mine) <= 64
    assert [has_ended(name) for name in (mine, gone, f"elsewhere/4194399/{random}", "other", f"{machine}/x/y", "")] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert number.isdigit()
