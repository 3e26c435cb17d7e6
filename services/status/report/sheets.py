"""Sheets of a workbook: how cells look, how a table is written and printed.

Invariant: a text is written as a text, whatever it begins with; rows are written in order, so a long table takes no memory.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from services.common.cells import fitted, looks_like_formula
from services.common.figures import NOTHING, day, number
from services.common.words import Lang, word
from services.status.report.content import AbandonedError, Halted
from services.status.report.tables import Cell, Column, heading

LINE_HEIGHT = 15
_HIGHEST = 409  # that a row can be
_LAST_ROW = 1_048_575  # of a sheet, from 0
_HEAD_ROW = 1
_A4 = 9
_FIRST_YEAR = 1901  # spreadsheets begin their calendar in 1900, and disagree about that year
_LOOK_ROWS = 200  # how many rows are written between two looks whether anyone still wants them
_FOOTER_LIMIT = 200
_FONT = {"font_name": "Times New Roman", "font_size": 11, "valign": "top"}
_BORDER = {"border": 1, "border_color": "#BFBFBF"}

T = TypeVar("T")


class Cells(NamedTuple):
    """How cells look; `quoted` keeps a text that begins like a formula a text when it is edited."""

    text: Format
    quoted: Format
    count: Format
    rank: Format
    share: Format
    change: Format
    day: Format
    moment: Format
    nothing: Format


class Sheets:
    """A workbook being written, sheet after sheet and row after row. Methods raise AbandonedError once `halted`."""

    def __init__(self, book: Workbook, lang: Lang, foot: str, halted: Halted) -> None:
        """`foot` stands at the foot of each printed page."""
        self.book, self.lang = book, lang
        self._halted = halted
        # A footer holds 255 characters.
        self._foot = foot[:_FOOTER_LIMIT].replace("&", "&&")
        self._cut = word("report.cut", lang)
        self.plain, self.bold = self._cells(bold=False), self._cells(bold=True)
        self.title = self.format(bold=True, font_size=14)
        self.bare = self.format()
        self.wrapped = self.format(text_wrap=True)
        self.indented = self.format(italic=True, align="left", indent=3, **_BORDER)
        self._head = self.format(
            bold=True, text_wrap=True, align="center", valign="vcenter", bg_color="#DCE6F1", border=1
        )

    def format(self, **changes: Any) -> Format:
        """Make a format in the workbook's type."""
        return self.book.add_format(_FONT | changes)

    def _cells(self, *, bold: bool) -> Cells:
        def made(**changes: Any) -> Format:
            return self.format(bold=bold, **_BORDER, **changes)

        return Cells(
            text=made(text_wrap=True, align="left", indent=1),
            quoted=made(text_wrap=True, align="left", indent=1, quote_prefix=True),
            count=made(num_format="#,##0"),
            rank=made(align="center"),
            share=made(num_format="0.00"),
            change=made(num_format="+#,##0;-#,##0;0"),
            day=made(num_format="dd/mm/yyyy", align="center"),
            moment=made(num_format="dd/mm/yyyy hh:mm", align="center"),
            nothing=made(align="center"),
        )

    def add(self, name: str, head_row: int) -> Worksheet:
        """Begin a sheet that prints on A4 across."""
        sheet = self.book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(_A4)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.set_footer(f"&L&9{self._foot}&R&9{word('report.page_number', self.lang)}")
        sheet.freeze_panes(head_row + 1, 0)
        return sheet

    def heads(self, sheet: Worksheet, row: int, texts: Sequence[str]) -> None:
        """Write a row of headings."""
        sheet.set_row(row, 2 * LINE_HEIGHT + 2)
        for column, text in enumerate(texts):
            sheet.write_string(row, column, text, self._head)

    def put(self, sheet: Worksheet, row: int, column: int, cell: Cell, look: str, cells: Cells) -> None:
        """Write one cell; `look` says how numbers look in it."""
        match cell:
            case None | "":
                sheet.write_blank(row, column, None, cells.text)
            case str() if cell == NOTHING:
                sheet.write_string(row, column, cell, cells.nothing)
            case str():
                style = cells.quoted if looks_like_formula(cell) else cells.text
                sheet.write_string(row, column, fitted(cell, self._cut), style)
            case int() | float():
                sheet.write_number(row, column, cell, getattr(cells, look))
            case datetime():
                sheet.write_datetime(row, column, cell, cells.moment)
            case date() if cell.year < _FIRST_YEAR:
                sheet.write_string(row, column, day(cell), cells.day)
            case date():
                sheet.write_datetime(row, column, cell, cells.day)

    def wide(
        self, sheet: Worksheet, row: int, columns: tuple[int, int], width: float, text: str, style: Format
    ) -> None:
        """Write a text over several columns, `width` characters together, in a row as high as it needs."""
        sheet.set_row(row, min(_HIGHEST, LINE_HEIGHT * _lines(text, width)))
        sheet.merge_range(row, columns[0], row, columns[1], "", style)
        sheet.write_string(row, columns[0], fitted(text, self._cut), style)

    def table(
        self, name: str, title: str, columns: Sequence[Column[T]], lines: Iterable[T], total: T | None = None
    ) -> None:
        """Write a sheet of lines below a title and headings; what a sheet cannot hold is counted in its last row."""
        sheet = self.add(name, _HEAD_ROW)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(_HEAD_ROW)
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        sheet.set_row(0, 24)
        sheet.write_string(0, 0, title, self.title)
        self.heads(sheet, _HEAD_ROW, [heading(column, self.lang) for column in columns])
        row, left_out = _HEAD_ROW, 0
        for line in lines:
            if row == _LAST_ROW - 1:
                left_out += 1
                continue
            row += 1
            if row % _LOOK_ROWS == 0 and self._halted():
                raise AbandonedError
            self._line(sheet, row, columns, line, self.plain)
        sheet.autofilter(_HEAD_ROW, 0, max(_HEAD_ROW + 1, row), len(columns) - 1)
        if total is not None:
            self._line(sheet, row + 1, columns, total, self.bold)
        if left_out:
            told = word("report.too_many_rows", self.lang, number=number(left_out, self.lang))
            sheet.write_string(_LAST_ROW, 0, told, self.bare)

    def _line(self, sheet: Worksheet, row: int, columns: Sequence[Column[T]], line: T, cells: Cells) -> None:
        values = [column.get(line, self.lang) for column in columns]
        high = max(
            (_lines(cell, column.width) for cell, column in zip(values, columns, strict=True) if isinstance(cell, str)),
            default=1,
        )
        if high > 1:
            sheet.set_row(row, min(_HIGHEST, LINE_HEIGHT * high))
        for place, column in enumerate(columns):
            self.put(sheet, row, place, values[place], column.numbers, cells)


def _lines(text: str, width: float) -> int:
    """Guess how many lines a text takes in so many characters of width; programs do not find out by themselves."""
    if len(text) <= width and "\n" not in text:
        return 1
    return sum(1 + int(len(part) / width) for part in text.split("\n"))
