"""A report's services as a CSV file: UTF-8 with a byte order mark, commas, CRLF, every cell quoted.

Invariant: no cell is taken for a formula, and dropping one ' at the beginning of a cell gives the text back.
"""

import csv
import io
from datetime import date
from typing import IO

from services.common.cells import guarded
from services.common.figures import day
from services.common.words import Lang
from services.status.report.content import AbandonedError, Halted, Report
from services.status.report.tables import SERVICE_COLUMNS, Cell, heading


def write_csv(report: Report, lang: Lang, file: IO[bytes], halted: Halted) -> None:
    """Write the file. Raises AbandonedError once `halted`."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        lines.writerow([heading(column, lang) for column in SERVICE_COLUMNS])
        for line in report.services():
            if halted():
                raise AbandonedError
            lines.writerow([_text(column.get(line, lang)) for column in SERVICE_COLUMNS])
    finally:
        text.detach()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return day(cell) if isinstance(cell, date) else guarded(str(cell))
