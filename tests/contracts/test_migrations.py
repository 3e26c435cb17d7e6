"""Schemas move forward, by many at once, and never back; a service serves the one that it knows and no other."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, text

from services.catalog.config import CatalogSettings
from services.catalog.storage import journal
from services.common import db
from services.common.config import Settings
from services.common.migrations import migrate, migrate_service, scripts
from services.common.schema import found_revision, revisions
from tests.support.databases import ENGINES, new_database
from tests.support.forked import run
from tests.support.next_version import NEXT, ROOT, copy_next_version, run_with

PROCESSES = 20
KNOWN = revisions("catalog")[0]


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


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more schema."""
    return copy_next_version(tmp_path_factory.mktemp("next"), before=KNOWN)


def began(engine: Engine) -> tuple[str, list[tuple[str, int]], list[str]]:
    """The schema of a database, its journals' heads, its lease's holders."""
    with db.read_transaction(engine) as connection:
        heads = [(row.epoch, row.sequence) for row in connection.execute(text("SELECT * FROM journal_head"))]
        holders = list(connection.execute(text("SELECT holder FROM lease")).scalars())
        return found_revision(connection), heads, holders


def test_twenty_at_once_on_an_empty_database(url: str, engine: Engine) -> None:
    """20 processes migrate the same empty database at the same moment: one makes it, 19 find it, one journal is begun."""
    done = run_with(ROOT, "tests.support.migrate_at_once", url, str(PROCESSES))
    schema, heads, holders = began(engine)

    assert Counter(done.stdout.splitlines()) == {f"none {KNOWN}": 1, f"{KNOWN} {KNOWN}": PROCESSES - 1}, done.stderr
    assert schema == KNOWN
    assert [sequence for _, sequence in heads] == [0]
    assert holders == [""]


def test_twenty_at_once_on_an_old_database(url: str, engine: Engine, next_version: Path) -> None:
    """20 processes of the next version migrate a database of this one: one does it, and the journal keeps its epoch."""
    migrate_service("catalog", Settings(), CatalogSettings(database_url=url), journal)
    _, before, _ = began(engine)

    done = run_with(next_version, "tests.support.migrate_at_once", url, str(PROCESSES))
    schema, heads, holders = began(engine)

    assert Counter(done.stdout.splitlines()) == {f"{KNOWN} {NEXT}": 1, f"{NEXT} {NEXT}": PROCESSES - 1}, done.stderr
    assert schema == NEXT
    assert heads == before
    assert holders == [""]


def test_a_newer_schema_is_neither_served_nor_taken_back(url: str, engine: Engine, next_version: Path) -> None:
    """This version, whose scripts do not hold the newer schema, says both numbers and what to do, and changes nothing."""
    run_with(next_version, "services.catalog", "migrate", TIENDO_CATALOG_DATABASE_URL=url)
    before = began(engine)

    refused = {
        word: run("services.catalog", word, env={"TIENDO_CATALOG_DATABASE_URL": url, "TIENDO_CATALOG_PORT": "0"})
        for word in ("serve", "migrate")
    }

    told = (
        f"catalog: {engine.url} has schema {NEXT}, newer than this version of Tiendo, which knows {KNOWN}; "
        "a schema never goes back: install the version that made it, or `tiendo restore` the back-up from before\n"
    )
    assert {word: (done.returncode, done.stdout, done.stderr) for word, done in refused.items()} == {
        "serve": (1, "", told),
        "migrate": (1, "", told),
    }
    assert began(engine) == before


def test_an_older_schema_is_not_served(url: str, engine: Engine, next_version: Path) -> None:
    """The next version on a database of this one says both numbers and the command; after it, it serves nothing less."""
    migrate_service("catalog", Settings(), CatalogSettings(database_url=url), journal)
    settings = {"TIENDO_CATALOG_DATABASE_URL": url, "TIENDO_CATALOG_PORT": "0"}

    refused = run_with(next_version, "services.catalog", "serve", **settings)
    migrated = run_with(next_version, "services.catalog", "migrate", **settings)

    told = f"catalog: {engine.url} has schema {KNOWN}, this version needs {NEXT}; run `tiendo migrate`\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", told)
    assert (migrated.returncode, migrated.stdout) == (0, f"catalog: schema {KNOWN} found, {NEXT} made\n")


@pytest.mark.parametrize("service", ["catalog", "integration", "status"])
def test_every_step_back_is_refused_with_why(url: str, engine: Engine, service: str) -> None:
    """The scripts themselves refuse as well, with what to do instead, and leave the tables."""
    migrate(engine, service)

    with (
        pytest.raises(RuntimeError, match="no way back from this schema: restore the back-up taken before"),
        db.write_transaction(engine) as connection,
    ):
        command.downgrade(scripts(service, connection), "base")

    with db.read_transaction(engine) as connection:
        assert found_revision(connection) == revisions(service)[0]


def test_a_schema_of_its_own_in_a_shared_database(tmp_path: Path) -> None:
    """On PostgreSQL, a URL that names a search_path gets that schema, made by the migration and used by nobody else."""
    shared = new_database("postgres", tmp_path)
    joint = "&" if "?" in shared else "?"
    urls = {name: f"{shared}{joint}options=-csearch_path%3D{name}" for name in ("catalog", "integration")}

    for service, url in urls.items():
        engine = db.open_engine(url)
        assert migrate(engine, service)[0] == "none"
        assert migrate(engine, service)[0] == revisions(service)[0]
        engine.dispose()
    engine = db.open_engine(shared)
    with db.read_transaction(engine) as connection:
        found = connection.execute(text("SELECT schemaname FROM pg_tables WHERE tablename = 'journal' ORDER BY 1"))
        places = list(found.scalars())
    engine.dispose()

    assert places == ["catalog", "integration"]
