"""Lists as people keep them: workbooks, CSV and JSON, read into rows whose every cell can be named.

Invariant: no value is guessed. What a file stores as a number is never taken for a text of digits, a merged cell says so, and
a hostile file ends a child process with limits, not its reader.
"""

from services.common.sheets.cells import Cell, Kind, cell_name, one_line
from services.common.sheets.columns import UNUSED, Column, Columns, ListRow, Skipped, lines_of, read_list
from services.common.sheets.reading import MOST_BYTES, Sheet, check_size, read_sheet, unreadable

__all__ = [
    "MOST_BYTES",
    "UNUSED",
    "Cell",
    "Column",
    "Columns",
    "Kind",
    "ListRow",
    "Sheet",
    "Skipped",
    "cell_name",
    "check_size",
    "lines_of",
    "one_line",
    "read_list",
    "read_sheet",
    "unreadable",
]
