"""Status's schema: the migrations make exactly the tables that the code describes."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common.config import Settings
from services.common.db import open_engine, read_transaction
from services.common.runtime import migrate
from services.status.config import StatusSettings
from services.status.storage import journal, metadata


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    """From an empty file on, nothing differs; a second time nothing is done and the journal keeps its epoch."""
    shared, own = Settings(data_dir=tmp_path), StatusSettings()
    first = migrate("status", shared, own, journal)
    engine = open_engine(own.database("status", shared))
    try:
        with read_transaction(engine) as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
            begun = journal.read_head(connection)
        second = migrate("status", shared, own, journal)
        with read_transaction(engine) as connection:
            kept = journal.read_head(connection)
    finally:
        engine.dispose()

    assert first[0] == "none"
    assert second == (first[1], first[1])
    assert differences == []
    assert kept == begun
    assert (len(begun.epoch), begun.sequence, begun.digest) == (16, 0, "")


def test_the_port_is_the_one_that_others_expect() -> None:
    """Without settings status listens on 7103."""
    assert StatusSettings().port == 7103
