"""What a released version has written is carried to today's schema, on both engines, row by row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.catalog import storage as catalog_storage
from services.common import db, tables
from services.common.config import SERVICES, ServiceSettings, Settings
from services.common.contents import HEAD, JOURNAL, check_journal
from services.common.migrations import migrate_service
from services.common.schema import revisions
from services.integration import storage as integration_storage
from services.status import storage as status_storage
from tests.support.databases import ENGINES, new_database
from tests.support.released import RELEASES, put_back, released

JOURNALS = {
    "catalog": catalog_storage.journal,
    "integration": integration_storage.journal,
    "status": status_storage.journal,
}
# These are passed on, hashed and compared by others as they are: no migration may change a byte of them.
KEPT = (JOURNAL, HEAD, "request")


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    return new_database(request.param, tmp_path)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The same, open."""
    made = db.open_engine(url)
    yield made
    made.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_every_schema_comes_with_what_was_written_in_it(service: str) -> None:
    """No schema is released without data of it, so that the test below begins at each."""
    assert set(revisions(service)) <= {released(release, service).contents.schema for release in RELEASES}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("release", RELEASES)
def test_released_data_comes_to_todays_schema(url: str, engine: Engine, release: str, service: str) -> None:
    """Nothing is lost on the way, and journal, chain, requests are the very bytes; a second migration changes nothing."""
    data = released(release, service)
    put_back(engine, data)

    first = migrate_service(service, Settings(), ServiceSettings(database_url=url), JOURNALS[service])
    second = migrate_service(service, Settings(), ServiceSettings(database_url=url), JOURNALS[service])
    with db.read_transaction(engine) as connection:
        now = tables.data_tables(connection)
        rows = {
            name: list(tables.lines(connection, now[name], table.columns if name in KEPT else ()))
            for name, table in data.contents.tables.items()
        }

    newest = revisions(service)[0]
    assert (first, second) == ((data.contents.schema, newest), (newest, newest))
    assert {name: len(found) for name, found in rows.items()} == {
        name: table.summary.rows for name, table in data.contents.tables.items()
    }
    for name in KEPT:
        assert rows[name] == list(data.lines(name))
    check_journal(data.contents.head, data.contents.tables[JOURNAL].columns, rows[JOURNAL], whole=True)
