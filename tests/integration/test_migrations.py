"""Integration's schema."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import db
from services.integration.storage import metadata


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    """An empty database brought up to date has nothing more and nothing less; doing it again changes nothing."""
    engine = db.open_engine(f"sqlite:///{tmp_path / 'integration.db'}")
    first = db.migrate(engine, "integration")
    second = db.migrate(engine, "integration")
    with db.read_transaction(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert first == ("none", "0001")
    assert second == ("0001", "0001")
    assert differences == []
