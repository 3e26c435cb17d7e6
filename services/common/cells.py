"""Texts as cells of a spreadsheet: never taken for a formula, never changed on the way back.

Invariant: what `unguarded` gives back is exactly what was guarded.
"""

import re

CELL_LIMIT = 32_767
"""Characters that a cell of a workbook holds."""

# What a spreadsheet may take for a formula: one of these signs first, full-width forms too, also after blanks, invisible
# characters and quotes; a tabulator or a carriage return first does as much.
_BLANKS = "\\s\"'`“”‘’«»\u200b-\u200f\u2060\ufeff"
_FORMULA = re.compile(rf"[\t\r]|[{_BLANKS}]*[=+\-@＝＋－＠]")


def looks_like_formula(text: str) -> bool:
    """Tell whether a spreadsheet may take the text for a formula."""
    return _FORMULA.match(text) is not None


def guarded(text: str) -> str:
    """Give the text for a cell of a CSV file: with a ' before it where it looks like a formula or begins with one."""
    return f"'{text}" if text.startswith("'") or looks_like_formula(text) else text


def unguarded(cell: str) -> str:
    """Give the text that `guarded` made a cell of: one ' at its beginning is dropped."""
    return cell.removeprefix("'")


def fitted(text: str, mark: str) -> str:
    """Give the text as a workbook's cell takes it: cut, with the mark at its end, where it is too long."""
    return text if len(text) <= CELL_LIMIT else text[: CELL_LIMIT - len(mark)] + mark
