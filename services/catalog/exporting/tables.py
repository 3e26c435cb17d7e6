"""The services as lines: a CSV file and a workbook, under the headings that an import knows.

Invariant: no cell is taken for a formula or a number, and every text can be had back as it was.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from services.catalog.domain import OnlineLevelScheme, Provenance, Service, latest_level
from services.catalog.exporting.content import Export
from services.common.cells import fitted, guarded, looks_like_formula
from services.common.words import Lang, keys, word

_SEVERAL = "; "
_LOOK_ROWS = 500  # how many rows are written between two looks whether anyone still wants them
_CHUNK_BYTES = 64 * 1024
_LAST_ROW = 1_048_575  # of a sheet, from 0
_LEVELS = {"MOT_PHAN": "term.online_level_partial", "TOAN_TRINH": "term.online_level_full"}
# The words of fields that hold several values.
_TERMS = {
    "memberships": "programme",
    "procedure_codes": "procedure_code",
    "agencies": "agency",
    "levels": "level",
    "audiences": "audience",
    "channels": "channel",
    "online_levels": "online_level",
}


class Column(NamedTuple):
    """A column: the key of its heading, its width in characters, its text for a service."""

    key: str
    width: int
    text: Callable[[Export, Service], str]


def _level(export: Export, service: Service) -> str:
    level = latest_level(service.online_levels)
    if level is None:
        return ""
    if level.scheme is OnlineLevelScheme.ND42_2022:
        return word(_LEVELS[level.level], export.lang).capitalize()
    return word("export.level_nd43", export.lang, level=level.level)


def _provenance(export: Export, service: Service) -> str:
    # Cut in every format as a workbook's cell cuts it, or our own reader would refuse the longest.
    return fitted(_SEVERAL.join(_source(entry, export.lang) for entry in service.provenance), "…")


def _source(entry: Provenance, lang: Lang) -> str:
    name = entry.field.rpartition(".")[2]
    term = f"term.{_TERMS.get(name, name)}"
    of = f"{word(term, lang) if term in keys() else entry.field}: " if entry.field else ""
    return f"{of}{word(f'provenance.{entry.kind.name}', lang)}. {entry.citation}"


COLUMNS = (
    Column("export.plan_number", 9, lambda export, service: str(export.plan_number(service) or "")),
    Column("term.id", 12, lambda _, service: service.id),
    Column("term.display_name", 60, lambda _, service: service.display_name),
    Column("term.english_gloss", 40, lambda _, service: service.english_gloss),
    Column("term.procedure_code", 12, lambda _, service: _SEVERAL.join(code.code for code in service.procedure_codes)),
    Column("term.field", 24, lambda _, service: service.field),
    Column("term.agency", 24, lambda export, service: _SEVERAL.join(e.agency for e in export.agencies(service))),
    Column("term.level", 14, lambda _, service: _SEVERAL.join(service.levels)),
    Column("report.column.audience", 18, lambda _, service: _SEVERAL.join(service.audiences)),
    Column("term.online_level", 12, _level),
    Column("term.channel", 18, lambda _, service: _SEVERAL.join(service.channels)),
    Column("term.provenance", 60, _provenance),
)


def csv_lines(export: Export) -> Iterator[bytes]:
    """Write a CSV file, every cell in quotes."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    lines.writerow([word(column.key, export.lang) for column in COLUMNS])
    yield b"\xef\xbb\xbf"
    for entry in export.entries:
        lines.writerow([guarded(column.text(export, entry.service)) for column in COLUMNS])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def workbook(export: Export) -> Iterator[bytes]:
    """Write a workbook, row by row into a file of its own, then give that file."""
    with tempfile.TemporaryDirectory(prefix="tiendo-export-") as folder:
        file = Path(folder) / "services.xlsx"
        # Texts are written as texts; these say the same of whatever else might write here.
        options = {"constant_memory": True, "tmpdir": folder, "strings_to_formulas": False, "strings_to_urls": False}
        book = Workbook(str(file), options)
        sheet = book.add_worksheet(word("report.services", export.lang))
        try:
            yield from _rows(export, book, sheet)
            book.close()
        finally:
            # Only a whole workbook closes it by itself.
            sheet._opt_close()  # noqa: SLF001
        with file.open("rb") as content:
            while piece := content.read(_CHUNK_BYTES):
                yield piece


def _rows(export: Export, book: Workbook, sheet: Worksheet) -> Iterator[bytes]:
    head = book.add_format({"bold": True, "text_wrap": True, "border": 1, "bg_color": "#DCE6F1", "valign": "vcenter"})
    plain = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
    quoted = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@", "quote_prefix": True})
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, min(len(export.entries), _LAST_ROW)), len(COLUMNS) - 1)
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, column.width)
        sheet.write_string(0, place, word(column.key, export.lang), head)
    # Numbers in a column of texts would be marked as wrong in every cell.
    sheet.ignore_errors({"number_stored_as_text": f"A1:{chr(ord('A') + len(COLUMNS) - 1)}{_LAST_ROW + 1}"})
    for row, entry in enumerate(export.entries[:_LAST_ROW], 1):
        for place, column in enumerate(COLUMNS):
            text = column.text(export, entry.service)
            if text:
                style = quoted if looks_like_formula(text) else plain
                sheet.write_string(row, place, fitted(text, "…"), style)
        if not row % _LOOK_ROWS:
            yield b""
