"""The catalog's schema."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.catalog.storage import metadata
from services.common import db


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    """An empty database brought up to date has nothing more and nothing less; doing it again changes nothing."""
    engine = db.open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    first = db.migrate(engine, "catalog")
    second = db.migrate(engine, "catalog")
    with db.read_transaction(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert first == ("none", "0001")
    assert second == ("0001", "0001")
    assert differences == []
