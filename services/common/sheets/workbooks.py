"""Rows of a workbook: XLSX, XLS, ODS. Runs in the child process only.

Invariant: a merged cell's value stands in every row of its first column, and each cell of the merge names its range.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from xml.parsers import expat
from zipfile import ZipFile

import python_calamine

from services.common.sheets.cells import Kind, RawCell, RawRow, cell_name
from services.common.sheets.container import FaultError, Look

Merge = tuple[tuple[int, int], tuple[int, int]]
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_MOST_MERGES = 200_000


def open_rows(path: Path, wanted: str, found: Look) -> tuple[list[str], str, Iterator[RawRow]]:
    """Open a workbook; give its sheets, the one that is read (the first visible one, unless wanted), and its rows."""
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        visible = [
            each.name for each in book.sheets_metadata if each.visible == python_calamine.SheetVisibleEnum.Visible
        ]
        name = wanted or next(iter(visible), "") or next(iter(book.sheet_names), "")
        if name not in book.sheet_names:
            raise FaultError("no_such_sheet", {"sheet": name, "sheets": ", ".join(book.sheet_names)})
        sheet = book.get_sheet_by_name(name)
        merges = sheet.merged_cell_ranges
    except python_calamine.PasswordError:
        raise FaultError("password") from None
    except (python_calamine.CalamineError, OSError, ValueError):
        raise FaultError("damaged") from None
    if merges is None:
        merges = _spans(path, name) if found.spans else []
    if len(merges) > _MOST_MERGES:
        raise FaultError("too_costly")
    return book.sheet_names, name, _rows(sheet, sorted(merges))


def _rows(sheet: python_calamine.CalamineSheet, merges: list[Merge]) -> Iterator[RawRow]:
    if sheet.start is None:
        return
    offset = sheet.start[1]
    coming = iter(merges)
    following = next(coming, None)
    open_merges: list[tuple[Merge, RawCell]] = []
    for index, values in enumerate(sheet.iter_rows()):
        cells: list[RawCell] = [*("" for _ in range(offset)), *map(_cell, values)]
        open_merges = [each for each in open_merges if each[0][1][0] >= index]
        while following is not None and following[0][0] <= index:
            if following[1][0] >= index:
                column = following[0][1]
                open_merges.append((following, cells[column] if column < len(cells) else ""))
            following = next(coming, None)
        for (start, end), value in open_merges:
            _fill(cells, start, end, value)
        if any(cells):
            yield index + 1, cells


def _fill(cells: list[RawCell], start: tuple[int, int], end: tuple[int, int], value: RawCell) -> None:
    """Mark the cells of one row of a merge, and put its value into the first."""
    name = f"{cell_name(start[0] + 1, start[1])}:{cell_name(end[0] + 1, end[1])}"
    kind, text = (Kind.TEXT.value, value) if isinstance(value, str) else (value[0], value[1])
    if not text:
        return
    for column in range(start[1], min(end[1] + 1, len(cells))):
        cells[column] = [kind, text if column == start[1] else "", name]


def _cell(value: Any) -> RawCell:
    match value:
        case str():
            return value
        case bool():
            return [Kind.FLAG.value, str(value).upper(), ""]
        case int() | float():
            return [Kind.NUMBER.value, _digits(value), ""]
        case datetime() if value.time() == time():
            return [Kind.DATE.value, value.date().isoformat(), ""]
        case datetime():
            return [Kind.DATE.value, value.isoformat(sep=" "), ""]
        case date():
            return [Kind.DATE.value, value.isoformat(), ""]
        case _:
            return [Kind.DATE.value, str(value), ""]


def _digits(number: float) -> str:
    """Write a number as it is shown by default: 12 and not 12.0."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _spans(path: Path, wanted: str) -> list[Merge]:
    """Find the merged cells of one sheet of an ODS file, whose library does not tell."""
    merges: list[Merge] = []
    place = {"row": 0, "column": 0, "repeat": 1, "inside": 0}

    def begin(tag: str, attributes: dict[str, str]) -> None:
        def number(name: str) -> int:
            text = attributes.get(f"{_TABLE} {name}", "1")
            return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1

        match tag.removeprefix(f"{_TABLE} "):
            case "table":
                place["inside"] = int(attributes.get(f"{_TABLE} name", "") == wanted)
                place["row"] = 0
            case "table-row":
                place["column"], place["repeat"] = 0, number("number-rows-repeated")
            case "table-cell" | "covered-table-cell" as kind:
                rows, columns = number("number-rows-spanned"), number("number-columns-spanned")
                if place["inside"] and kind == "table-cell" and (rows > 1 or columns > 1):
                    start = (place["row"], place["column"])
                    merges.append((start, (start[0] + rows - 1, start[1] + columns - 1)))
                    if len(merges) > _MOST_MERGES:
                        raise FaultError("too_costly")
                place["column"] += number("number-columns-repeated")

    def finish(tag: str) -> None:
        if tag == f"{_TABLE} table-row":
            place["row"] += place["repeat"]

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = begin, finish
    try:
        with ZipFile(path) as archive, archive.open("content.xml") as content:
            parser.ParseFile(content)
    except expat.ExpatError:
        raise FaultError("damaged") from None
    return merges
