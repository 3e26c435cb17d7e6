"""The table of portal checks, on both engines."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.common import db
from services.integration.storage import read_portal_checks
from services.integration.storage.portal_checks import KEPT, write_portal_checks
from tests.support.databases import ENGINES, migrated_database

NOW = datetime(2022, 10, 5, 8, 30, 0, 123_456, tzinfo=UTC)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without checks."""
    made = db.open_engine(migrated_database(request.param, "integration", tmp_path))
    yield made
    made.dispose()


def write(engine: Engine, service_id: str, portal: int, *messages: bytes, minute: int = 0) -> None:
    """Add checks, in a transaction of that minute."""
    with db.write_transaction(engine) as connection:
        write_portal_checks(connection, service_id, portal, messages, NOW + timedelta(minutes=minute))


def test_of_each_portal_the_newest_hundred_are_kept(engine: Engine) -> None:
    """Whether they come alone or together, the oldest go, and those of other links stay."""
    write(engine, "bca-001", 2, b"national")
    write(engine, "bca-002", 1, b"other")
    for minute in range(KEPT - 1):
        write(engine, "bca-001", 1, b"%d" % minute, minute=minute)
    write(engine, "bca-001", 1, b"a", b"b", b"c", minute=200)
    with db.read_transaction(engine) as connection:
        kept = read_portal_checks(connection, integration_id="bca-001")
        other = read_portal_checks(connection, integration_id="bca-002")

    assert [check.message for check in kept] == [
        b"c",
        b"b",
        b"a",
        *(b"%d" % n for n in range(KEPT - 2, 1, -1)),
        b"national",
    ]
    assert [check.key for check in kept] == sorted((check.key for check in kept), reverse=True)
    assert [check.message for check in other] == [b"other"]


def test_checks_since_an_instant(engine: Engine) -> None:
    """Those of every link from that very microsecond on, newest first."""
    for minute, service_id in enumerate(("bca-001", "bca-002", "bca-003")):
        write(engine, service_id, 1, b"%d" % minute, minute=minute)
    with db.read_transaction(engine) as connection:
        found = read_portal_checks(connection, since=NOW + timedelta(minutes=1))
        later = read_portal_checks(connection, since=NOW + timedelta(minutes=1, microseconds=1))

    assert [(check.integration_id, check.message) for check in found] == [("bca-003", b"2"), ("bca-002", b"1")]
    assert [check.integration_id for check in later] == ["bca-003"]
