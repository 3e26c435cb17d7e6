"""A report as a workbook for Excel and LibreOffice.

Invariant: the same report gives the same bytes; nothing in them names the machine they were made on.
"""

from datetime import UTC
from typing import IO

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from services.common.figures import NOTHING, number
from services.common.words import Lang, word
from services.status.domain import GroupBy
from services.status.report.content import Halted, Report
from services.status.report.sheets import LINE_HEIGHT, Sheets
from services.status.report.tables import (
    ENTRY_COLUMNS,
    LINES,
    SERVICE_COLUMNS,
    as_of_text,
    date_text,
    group_columns,
    group_lines,
    programme_name,
    remarks,
    share,
    source_texts,
    total_line,
)

_COLOURS = {
    "completed": "#1B7F4B",
    "in_progress": "#2F6DB5",
    "uncertain": "#D9A21B",
    "suspended": "#C4573B",
    "withdrawn": "#7A6A8A",
    "not_reported": "#B8BEC6",
}
_COLUMNS = (
    ("report.column.item", 40),
    ("report.column.number", 11),
    ("report.column.share", 11),
    ("report.column.before", 11),
    ("report.column.change", 12),
    ("term.note", 52),
)
_LAST = len(_COLUMNS) - 1
_WIDTH = sum(width for _, width in _COLUMNS)
_CHART_HEIGHT_PIXELS, _ROW_PIXELS = 260, 20


def write_workbook(report: Report, lang: Lang, file: IO[bytes], folder: str, halted: Halted) -> None:
    """Write the workbook into `file`; what it needs meanwhile goes into `folder`. Raises AbandonedError once `halted`."""
    options = {
        "constant_memory": True,
        "tmpdir": folder,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = Workbook(file, options)
    try:
        _write(report, book, lang, halted)
        book.close()
    finally:
        # Only a whole workbook closes them by itself.
        for sheet in book.worksheets():
            sheet._opt_close()  # noqa: SLF001


def _write(report: Report, book: Workbook, lang: Lang, halted: Halted) -> None:
    name, as_of = programme_name(report, lang), as_of_text(report, lang)
    made = report.made.astimezone(UTC).replace(tzinfo=None)
    book.set_properties({"title": name, "subject": as_of, "author": report.programme.owner, "created": made})
    # The footer begins with a letter: a digit right after its font size would be taken for a part of that.
    sheets = Sheets(book, lang, f"{as_of} · {name}", halted)
    _Summary(report, sheets).write()

    def titled(key: str) -> tuple[str, str]:
        sheet = word(f"report.{key}", lang)
        return sheet, word("report.sheet_title", lang, sheet=sheet, as_of=as_of)

    for key, by in (("fields", GroupBy.FIELD), ("agencies", GroupBy.AGENCY)):
        sheets.table(*titled(key), group_columns(by), group_lines(report, by, lang), total_line(report, lang))
    sheets.table(*titled("services"), SERVICE_COLUMNS, report.services())
    sheets.table(*titled("history"), ENTRY_COLUMNS, report.entries())


class _Summary:
    """The first sheet: the lines, a chart of them, what they mean, where they come from."""

    def __init__(self, report: Report, sheets: Sheets) -> None:
        self._report, self._sheets, self._lang = report, sheets, sheets.lang

    def _word(self, key: str, **values: object) -> str:
        return word(f"report.{key}", self._lang, **values)

    def _count(self, name: str) -> str:
        return word(f"count.{name}", self._lang)

    def write(self) -> None:
        """Write it."""
        above = self._above()
        head = len(above) + 2
        sheet = self._sheets.add(self._word("summary"), head)
        sheet.fit_to_pages(1, 1)
        for column, (_, width) in enumerate(_COLUMNS):
            sheet.set_column(column, column, width)
        sheet.set_row(0, 24)
        sheet.write_string(0, 0, programme_name(self._report, self._lang), self._sheets.title)
        for row, line in enumerate(above, 1):
            sheet.write_string(row, 0, line, self._sheets.bare)
        self._sheets.heads(sheet, head, [word(key, self._lang) for key, _ in _COLUMNS])
        for row, name in enumerate(LINES, head + 1):
            self._line(sheet, row, name)
        chart_row = head + len(LINES) + 2
        self._chart(sheet, head + 1, chart_row)
        row = self._meanings(sheet, chart_row + _CHART_HEIGHT_PIXELS // _ROW_PIXELS + 2)
        notes = source_texts(self._report, self._lang)
        notes.append(self._word("revision", revision=" · ".join(self._report.revisions)))
        for place, text in enumerate(notes, row):
            self._sheets.wide(sheet, place, (0, _LAST), _WIDTH, text, self._sheets.wrapped)

    def _above(self) -> list[str]:
        """Give the lines that say what the figures are of, besides the programme's name."""
        report, lang = self._report, self._lang
        target = report.programme.target
        shown = self._word("target", target=date_text(target, lang)) if target else self._word("no_target")
        return [as_of_text(report, lang), shown, *remarks(report, lang)]

    def _line(self, sheet: Worksheet, row: int, name: str) -> None:
        report, put = self._report, self._sheets.put
        cells = self._sheets.bold if name in {"planned", "completed"} else self._sheets.plain
        value = int(getattr(report.total, name))
        style = self._sheets.indented if name == "blocked" else cells.text
        sheet.write_string(row, 0, self._count(name), style)
        put(sheet, row, 1, value, "count", cells)
        put(sheet, row, 2, share(value, report.total.planned), "share", cells)
        before = int(getattr(report.before, name)) if report.before else None
        put(sheet, row, 3, NOTHING if before is None else before, "count", cells)
        put(sheet, row, 4, NOTHING if before is None else value - before, "change", cells)
        put(sheet, row, 5, self._note(name), "count", self._sheets.plain)

    def _note(self, name: str) -> str:
        unfilled = self._report.total.planned - self._report.total.listed
        if name == "planned" and unfilled:
            return self._word("cell.unfilled", number=number(unfilled, self._lang))
        return word("screen.status.not_reported", self._lang) if name == "not_reported" else ""

    def _chart(self, sheet: Worksheet, first: int, row: int) -> None:
        shown = [name for name in LINES if name in _COLOURS]
        quoted = "'" + self._word("summary").replace("'", "''") + "'"

        def cells(column: str) -> str:
            return "=(" + ",".join(f"{quoted}!${column}${first + LINES.index(name) + 1}" for name in shown) + ")"

        chart = self._sheets.book.add_chart({"type": "bar"})
        chart.add_series(
            {
                "name": self._word("column.number"),
                "categories": cells("A"),
                "values": cells("B"),
                "categories_data": [self._count(name) for name in shown],
                "values_data": [getattr(self._report.total, name) for name in shown],
                "data_labels": {"value": True, "num_format": "#,##0"},
                "points": [{"fill": {"color": _COLOURS[name]}} for name in shown],
                "gap": 45,
            }
        )
        chart.set_title({"name": self._word("chart_title"), "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis({"min": 0, "visible": False, "major_gridlines": {"visible": False}})
        chart.set_size({"width": 900, "height": _CHART_HEIGHT_PIXELS})
        sheet.insert_chart(row, 0, chart, {"description": self._word("chart_title")})

    def _meanings(self, sheet: Worksheet, row: int) -> int:
        """Write what each line means; give the row after it and a gap."""
        sheet.set_row(row, LINE_HEIGHT + 5)
        sheet.write_string(row, 0, self._word("meanings"), self._sheets.title)
        for place, name in enumerate(LINES, row + 1):
            text = self._word(f"meaning.{name}")
            self._sheets.wide(sheet, place, (1, _LAST), _WIDTH - _COLUMNS[0][1], text, self._sheets.plain.text)
            style = self._sheets.indented if name == "blocked" else self._sheets.bold.text
            sheet.write_string(place, 0, self._count(name), style)
        return row + len(LINES) + 2
