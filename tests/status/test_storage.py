"""Status's own journal: where it begins, and that it stays."""

from pathlib import Path

from services.common.config import Settings
from services.common.db import open_engine, read_transaction
from services.common.migrations import migrate_service
from services.status.config import StatusSettings
from services.status.storage import journal


def test_a_second_migration_keeps_the_journal(tmp_path: Path) -> None:
    """From an empty file on a journal is begun; a second time nothing is done and it keeps its epoch."""
    shared, own = Settings(data_dir=tmp_path), StatusSettings()
    first = migrate_service("status", shared, own, journal)
    engine = open_engine(own.database("status", shared))
    try:
        with read_transaction(engine) as connection:
            begun = journal.read_head(connection)
        second = migrate_service("status", shared, own, journal)
        with read_transaction(engine) as connection:
            kept = journal.read_head(connection)
    finally:
        engine.dispose()

    assert first[0] == "none"
    assert second == (first[1], first[1])
    assert kept == begun
    assert (len(begun.epoch), begun.sequence, begun.digest) == (16, 0, "")


def test_the_port_is_the_one_that_others_expect() -> None:
    """Without settings status listens on 7103."""
    assert StatusSettings().port == 7103
