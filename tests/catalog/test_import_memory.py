"""What a long list takes in memory while it is looked at."""

import tracemalloc
from datetime import UTC, datetime

from services.catalog.importing.entries import Entries, entry_of
from services.catalog.importing.matching import Targets, decide
from services.catalog.importing.scope import Target
from services.catalog.storage import State
from services.common.journal import Head
from services.common.sheets import Cell, Columns, ListRow, Sheet

NOW = datetime(2022, 10, 5, tzinfo=UTC)
SHEET = Sheet("csv", "", ("",), iter(()))
COLUMNS = Columns("", 1, {"code": (0, "Mã số"), "name": (1, "Tên")}, ())


def most_bytes(rows: int) -> int:
    """The most that a list of so many new services takes while it is read and decided; each has a name of 1,000 letters."""
    tracemalloc.start()
    try:
        entries = Entries(
            entry_of(ListRow(SHEET, COLUMNS, row, [Cell(f"1.{row:06d}"), Cell(f"Mẫu số {row}" + " ế" * 490)]), {})
            for row in range(2, rows + 2)
        )
        decisions = decide(entries, State(Head("e", 0, "", NOW)), Target(None), Targets(), str)
        assert all(decision.after is not None for decision in decisions)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_list_is_not_held_in_memory() -> None:
    """A row more takes less than 1,300 bytes, however long its texts; the name alone has 2,000."""
    most_bytes(10)  # so that what is remembered of words is there

    assert most_bytes(600) - most_bytes(200) < 1300 * 400
