"""The schema of each service, on both engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import IntegrityError

import services.catalog.storage
import services.integration.storage
import services.status.storage
from services.common.migrations import migrate
from services.common.schema import revisions
from tests.support.databases import ENGINES, new_engine

TABLES = {
    "catalog": services.catalog.storage.metadata,
    "integration": services.integration.storage.metadata,
    "status": services.status.storage.metadata,
}


@pytest.fixture(params=ENGINES)
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two empty databases of one kind."""
    one, other = new_engine(request.param, tmp_path), new_engine(request.param, tmp_path)
    yield one, other
    one.dispose()
    other.dispose()


def schema(engine: Engine, metadata: MetaData) -> dict[str, Any]:
    """Everything a database keeps of the tables, constraints included."""
    looked_at = inspect(engine)
    assert set(metadata.tables) == set(looked_at.get_table_names()) - {"alembic_version"}
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"]) for column in looked_at.get_columns(table)
            ],
            "key": looked_at.get_pk_constraint(table)["constrained_columns"],
            "checks": sorted(check["sqltext"] for check in looked_at.get_check_constraints(table)),
            "unique": sorted(tuple(each["column_names"]) for each in looked_at.get_unique_constraints(table)),
            "indexes": sorted(str(index["column_names"]) for index in looked_at.get_indexes(table)),
            "foreign": sorted(str(key["constrained_columns"]) for key in looked_at.get_foreign_keys(table)),
        }
        for table in metadata.tables
    }


@pytest.mark.parametrize("service", TABLES)
def test_the_migrations_make_exactly_the_tables_of_the_code(engines: tuple[Engine, Engine], service: str) -> None:
    """An empty database brought up to date has the columns and constraints that the code names; again changes nothing."""
    migrated, made = engines
    first = migrate(migrated, service)
    second = migrate(migrated, service)
    TABLES[service].create_all(made)

    newest = revisions(service)[0]
    assert first == ("none", newest)
    assert second == (newest, newest)
    assert schema(migrated, TABLES[service]) == schema(made, TABLES[service])


SERVICE = {"id": "a", "alias": "", "display_name": "", "naming": "SLOT", "version": 1, "update_actor": "", "body": b""}
PROGRAMME = {"id": "a", "display_name": "A", "planned_count": 1, "version": 1, "update_actor": "", "body": b""}


@pytest.mark.parametrize(
    ("table", "row", "wrong"),
    [
        ("service", SERVICE, {"naming": "OTHER"}),
        ("service", SERVICE, {"naming": "NAMED"}),
        ("service", SERVICE, {"display_name": "Mẫu"}),
        ("programme", PROGRAMME, {"planned_count": 0}),
    ],
)
def test_the_database_backs_up_the_rules(
    engines: tuple[Engine, Engine], table: str, row: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """What no way in lets through would not be stored either; the same row without the fault is."""
    migrate(engines[0], "catalog")
    insert = text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})")
    with pytest.raises(IntegrityError), engines[0].begin() as connection:
        connection.execute(insert, row | wrong)
    with engines[0].begin() as connection:
        connection.execute(insert, row)
