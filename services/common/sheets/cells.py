"""What one cell of a list holds, and what it is called.

Invariant: a cell's text is what the file holds, letter by letter; only `one_line` changes it.
"""

from dataclasses import dataclass
from enum import StrEnum

from services.common.text import nfc

_LETTERS = 26

RawCell = str | list[str]
"""A cell on its way from the child: its text, or kind, text and range."""
RawRow = tuple[int, list[RawCell]]
"""A row on its way: its number in the file, and its cells from the first column on."""


class Kind(StrEnum):
    """How a file stores a cell; the values are those of the child's answer."""

    TEXT = "t"
    NUMBER = "n"
    DATE = "d"
    FLAG = "b"
    PARTS = "p"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. A number is written in digits, a date as 2022-10-05, a flag as TRUE or FALSE.

    A list or an object of JSON stays JSON. `merged` is the range it was merged over, "B5:B16", or empty.
    """

    text: str = ""
    kind: Kind = Kind.TEXT
    merged: str = ""


def cell_name(row: int, column: int) -> str:
    """Name a cell as a spreadsheet does; rows count from 1, columns from 0: (12, 2) is C12."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def one_line(text: str) -> str:
    """Give a text as it is kept of a list: NFC, in one line, single blanks between its words."""
    return " ".join(nfc(text).split())
