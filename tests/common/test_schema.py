"""A schema this code does not know is told with both numbers and the remedy, and nothing is made by looking."""

import json
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from services.catalog.config import CatalogSettings
from services.catalog.storage import journal
from services.common.config import SERVICES, Settings
from services.common.db import open_engine, write_transaction
from services.common.migrations import migrate, migrate_service, scripts
from services.common.schema import SchemaError, check_schema, describe, revisions
from tests.support.databases import ENGINES, new_database


def marked(url: str, version: str) -> None:
    """Be a database of that schema."""
    engine = open_engine(url)
    migrate(engine, "catalog")
    with write_transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_the_schemas_known_are_those_of_the_migrations(service: str) -> None:
    """What the files' names say, alembic finds in them, the newest first."""
    found = ScriptDirectory.from_config(scripts(service)).walk_revisions()

    assert revisions(service) == [script.revision for script in found]


@pytest.mark.parametrize("kind", ENGINES)
def test_a_newer_schema_is_refused_with_both_numbers(tmp_path: Path, kind: str) -> None:
    """A service does not start on it, and says which database, what it has, what it knows itself, and what to do."""
    url = new_database(kind, tmp_path)
    marked(url, "0002")
    engine = open_engine(url)
    with pytest.raises(SchemaError, match="schema 0002, newer than this version of Tiendo, which knows 0001") as caught:
        check_schema(engine, "catalog")
    engine.dispose()
    seen = json.loads(describe("catalog", url))

    assert str(caught.value).startswith(("sqlite:///", "postgresql+psycopg://"))
    assert (seen["found"], seen["wanted"], seen["newer"], seen["answers"]) == ("0002", "0001", True, True)


def test_a_newer_schema_is_not_migrated(tmp_path: Path) -> None:
    """`tiendo migrate` of an older version leaves the database of a newer one as it is."""
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    marked(url, "0002")
    with pytest.raises(SchemaError, match="install the version that made it"):
        migrate_service("catalog", Settings(data_dir=tmp_path), CatalogSettings(), journal)

    assert json.loads(describe("catalog", url))["found"] == "0002"


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Where there is no database none is found, and none is there afterwards."""
    seen = json.loads(describe("catalog", f"sqlite:///{tmp_path / 'none' / 'catalog.db'}"))

    assert (seen["found"], seen["wanted"], seen["answers"]) == ("", "", True)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_told_as_such() -> None:
    """Nobody at the address, and no password in what is said."""
    seen = json.loads(describe("catalog", "postgresql://tiendo:secret@127.0.0.1:9/tiendo"))

    assert not seen["answers"]
    assert seen["database"] == "postgresql://tiendo:***@127.0.0.1:9/tiendo"
