"""Which column of a list is which field: the header row is found under titles and banners, and every row read by it.

Invariant: a column is used because its heading is known, or because the user said so; never by its content.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from services.common.errors import Reason, Refusal
from services.common.sheets.cells import Cell, Kind, one_line
from services.common.sheets.reading import Sheet, read_sheet
from services.common.text import fold

_HEADER_ROWS = 40
_SECTION = re.compile(r"[A-Z]|[IVXLC]{1,7}|[A-Z]\.[0-9]+")
_FOOTERS = ("tong", "cong", "total", "note", "notes")
_FOOTER_STARTS = ("tong cong", "tong so", "ghi chu", "nguoi lap", "noi nhan", "total ")
_ID = re.compile(r"[a-z0-9-]{1,63}")
_BULLET = re.compile(r"^[-–•+*] +")
UNUSED = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """A field that a list may have: its headings, folded, the likeliest first; `exact`: kept digit by digit (a code).

    `beside`: the headings mean this only where that one is there too. `sure`: whoever fills it with an id makes an entry.
    """

    field: str
    headings: tuple[str, ...]
    exact: bool = False
    beside: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """The mapping that was used: headings with their fields and columns, and the headings of what is not used."""

    sheet: str
    header_row: int
    used: Mapping[str, tuple[int, str]]
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row of the file that is no entry of the list: a sum, a note, a heading in between."""

    number: int
    text: str


class ListRow:
    """One entry of a list."""

    __slots__ = ("_cells", "_columns", "_sheet", "number")

    def __init__(self, sheet: Sheet, columns: Columns, number: int, cells: Sequence[Cell]) -> None:
        self._sheet, self._columns, self.number, self._cells = sheet, columns, number, cells

    def cell(self, field: str) -> Cell:
        """Give a field's cell; an empty one where the list has no such column."""
        column = self._columns.used.get(field, (len(self._cells), ""))[0]
        return self._cells[column] if column < len(self._cells) else Cell()

    def text(self, field: str) -> str:
        """Give a field's text in one line."""
        texts = self._texts(field)
        return one_line(self.cell(field).text if texts is None else "; ".join(texts))

    def lines(self, field: str) -> list[str]:
        """Give the entries of a cell that holds several, a line or a semicolon each."""
        texts = self._texts(field)
        return lines_of(self.cell(field).text) if texts is None else [*filter(None, map(one_line, texts))]

    def parts(self, field: str) -> Any:
        """Give the list or object that JSON holds here; None for any other cell."""
        cell = self.cell(field)
        return json.loads(cell.text) if cell.kind is Kind.PARTS else None

    def _texts(self, field: str) -> list[str] | None:
        parts = self.parts(field)
        return parts if isinstance(parts, list) and all(isinstance(each, str) for each in parts) else None

    def place(self, field: str) -> str:
        """Name a field's cell; the row where the list has no such column."""
        used = self._columns.used.get(field)
        return self._sheet.place(self.number, *used) if used else f"{self.number}"

    def check_exact(self, field: str) -> None:
        """Refuse a cell whose letters and digits cannot be known: a number, or one value merged over several rows."""
        cell = self.cell(field)
        place = {"cell": self.place(field), "sheet": self._columns.sheet}
        if cell.merged:
            raise Refusal(
                Reason.MERGED_CODE,
                f"{cell.merged} is merged over this column; unmerge it, so that each row has a code of its own",
                field=place["cell"],
                metadata={**place, "range": cell.merged},
            )
        if cell.text and cell.kind not in {Kind.TEXT, Kind.PARTS}:
            raise Refusal(
                Reason.NUMBER_AS_CODE,
                f"{cell.text} is stored as a number, so its zeros are not known; store the column as text, with each code "
                "as it is printed",
                field=place["cell"],
                metadata={**place, "value": cell.text},
            )


def lines_of(text: str) -> list[str]:
    """Give what a cell holds that may hold several: a line or a semicolon each."""
    return [line for part in re.split(r"[;\n\r]", text) if (line := _BULLET.sub("", one_line(part)))]


@contextmanager
def read_list(
    path: Path,
    name: str,
    columns: Sequence[Column],
    needed: Sequence[str],
    *,
    given: Mapping[str, str] | None = None,
    sheet: str = "",
) -> Iterator[tuple[Sheet, Columns, Iterator[ListRow | Skipped]]]:
    """Read a list whose header names at least one of the fields `needed`; `given` is the user's own heading → field.

    Raises Refusal FILE_UNREADABLE, HEADER_NOT_FOUND, UNKNOWN_FIELD.
    """
    wanted = {fold(heading): field for heading, field in (given or {}).items()}
    known = {column.field for column in columns} | {UNUSED}
    for field in wanted.values():
        if field not in known:
            offered = ", ".join(sorted(known))
            raise Refusal(
                Reason.UNKNOWN_FIELD,
                f"{field!r} is no field of a list; there are {offered}",
                field="column_map",
                metadata={"name": field, "allowed": offered},
            )
    with read_sheet(path, name, sheet) as opened:
        first = list(islice(opened.rows, _HEADER_ROWS))
        place, found = _find(opened, first, columns, needed, wanted)
        exact = [column.field for column in columns if column.exact and column.field in found.used]
        later = chain(first[place + 1 :], opened.rows)
        sure = [column.field for column in columns if column.sure and column.field in found.used]
        yield opened, found, _entries(opened, found, needed, exact, sure, later)


def _find(
    sheet: Sheet,
    rows: Sequence[tuple[int, Sequence[Cell]]],
    columns: Sequence[Column],
    needed: Sequence[str],
    given: Mapping[str, str],
) -> tuple[int, Columns]:
    """Take the row that knows the most headings; the first of equals."""
    best: tuple[int, int, Columns] | None = None
    for place, (number, cells) in enumerate(rows):
        found = _read_header(sheet, number, cells, columns, given)
        score = len(found.used)
        enough = any(field in found.used for field in needed) and (score > 1 or len(cells) == 1 or bool(given))
        if enough and (best is None or score > best[0]):
            best = (score, place, found)
    if best is None:
        seen = max((_headings(cells) for _, cells in rows), key=len, default=[])
        shown = ", ".join(seen)[:200] or "–"
        raise Refusal(
            Reason.HEADER_NOT_FOUND,
            f"no row of sheet {sheet.name or '–'} names its columns in known words (seen: {shown}); name them by a column "
            f"map, choose the sheet ({', '.join(sheet.sheets)}), or use a heading such as Mã số, Tên",
            field="file",
            metadata={"sheet": sheet.name or "–", "sheets": ", ".join(sheet.sheets) or "–", "headings": shown},
        )
    for heading in given:
        if heading not in {fold(text) for text in (*_texts(best[2].used), *best[2].unused)}:
            raise Refusal(
                Reason.HEADER_NOT_FOUND,
                f"the header has no column {heading!r}; it has {', '.join(_texts(best[2].used) + list(best[2].unused))}",
                field="column_map",
                metadata={"sheet": sheet.name or "–", "sheets": ", ".join(sheet.sheets) or "–", "headings": heading},
            )
    return best[1], best[2]


def _texts(used: Mapping[str, tuple[int, str]]) -> list[str]:
    return [heading for _, heading in used.values()]


def _headings(cells: Sequence[Cell]) -> list[str]:
    return [text for cell in cells if (text := one_line(cell.text))]


def _read_header(
    sheet: Sheet, number: int, cells: Sequence[Cell], columns: Sequence[Column], given: Mapping[str, str]
) -> Columns:
    texts = [one_line(cell.text) for cell in cells]
    folded = [fold(text) for text in texts]
    used: dict[str, tuple[int, str]] = {}
    taken = {column for column, text in enumerate(folded) if given.get(text)}
    for column, text in enumerate(folded):
        if (field := given.get(text)) and field != UNUSED:
            used.setdefault(field, (column, texts[column]))
    for each in columns:
        if each.beside and each.beside not in folded:
            continue
        for heading in each.headings:
            if each.field not in used and (place := _index(folded, heading, taken)) is not None:
                used[each.field] = (place, texts[place])
                taken.add(place)
    places = {column for column, _ in used.values()}
    unused = tuple(text for column, text in enumerate(texts) if text and column not in places)
    return Columns(sheet.name, number, used, unused)


def _index(folded: Sequence[str], heading: str, taken: set[int]) -> int | None:
    return next((place for place, text in enumerate(folded) if text == heading and place not in taken), None)


def _entries(
    sheet: Sheet,
    columns: Columns,
    needed: Sequence[str],
    exact: Sequence[str],
    sure: Sequence[str],
    rows: Iterator[tuple[int, tuple[Cell, ...]]],
) -> Iterator[ListRow | Skipped]:
    begun = False
    for number, cells in rows:
        row = ListRow(sheet, columns, number, cells)
        if _is_entry(row, cells, columns, needed, exact, sure, begun=begun):
            begun = True
            yield row
        else:
            yield Skipped(number, " · ".join(_headings(cells))[:200])


def _is_entry(
    row: ListRow,
    cells: Sequence[Cell],
    columns: Columns,
    needed: Sequence[str],
    exact: Sequence[str],
    sure: Sequence[str],
    *,
    begun: bool,
) -> bool:
    """Tell an entry from what stands between entries: the header again, its numbering, headings in between, sums, notes."""
    texts = [one_line(cell.text) for cell in cells]
    filled = [text for text in texts if text]
    if all(place < len(texts) and texts[place] == heading for place, heading in columns.used.values()):
        return False
    if not begun and _is_numbering(filled):
        return False
    if any(_is_code(row, field) for field in exact) or any(_ID.fullmatch(row.text(field)) for field in sure):
        return True
    start = fold(filled[0])
    if start in _FOOTERS or start.startswith(_FOOTER_STARTS):
        return False
    across = [cell for cell in cells if cell.merged]
    if len(filled) == 1:
        # A note, or a heading over the whole width or in capitals; a number alone is an entry gone wrong, and a name alone
        # may be one.
        is_heading = bool(across) or (bool(exact) and filled[0].isupper())
        only_name = any(row.text(field) for field in needed if field not in exact) and not is_heading
        return only_name or not any(letter.isalpha() for letter in filled[0])
    return not (exact and len(filled) == 2 and _SECTION.fullmatch(filled[0]) is not None)


def _is_numbering(filled: Sequence[str]) -> bool:
    """Whether these cells only number the columns: (1) (2) (3), or A B 1 2 3."""
    bare = [text.strip("()") for text in filled]
    numbers = [text for text in bare if text not in {"A", "B", "C"}]
    sure = len(filled) > 2 or any("(" in text for text in filled)
    return sure and len(numbers) > 1 and numbers == [str(place + 1) for place in range(len(numbers))]


def _is_code(row: ListRow, field: str) -> bool:
    return _has_digits_only(row.text(field)) and not row.cell(field).merged


def _has_digits_only(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and not any(letter.isalpha() for letter in text)
