"""A list's rows, read by a child process with limits of its own.

Invariant: whatever the file holds, this process gets rows or a Refusal, and holds one row at a time.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.common.errors import Reason, Refusal
from services.common.sheets.cells import Cell, Kind, RawCell, cell_name

MOST_BYTES = 64 * 1024 * 1024
"""No larger file is read."""

_CHILD = "services.common.sheets.child"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet that is being read: the file's form (xlsx, xls, ods, csv, json), its name, all sheets, and its rows.

    A row comes as its number in the file with its cells; blank rows do not come. JSON's keys come as row 0.
    """

    form: str
    name: str
    sheets: tuple[str, ...]
    rows: Iterator[tuple[int, tuple[Cell, ...]]]

    def place(self, row: int, column: int, header: str = "") -> str:
        """Name a cell: C12, or by row and key where the file has no columns."""
        return f"[{row}].{header}" if self.form == "json" else cell_name(row, column)


def unreadable(fault: str, **values: str) -> Refusal:
    """Word that a file cannot be read; `fault` is one of `file_fault` in words.toml."""
    return Refusal(
        Reason.FILE_UNREADABLE, _TEXTS[fault].format(**values), field="file", metadata={"fault": fault, **values}
    )


_TEXTS = {
    "empty": "holds nothing; send the list itself",
    "damaged": "is damaged, or not what it says to be; open it in a spreadsheet program and save it anew",
    "unknown_format": "is of no known format; save it as XLSX, XLS, ODS, CSV or JSON",
    "password": "is protected by a password; save it without one",
    "too_large": "is larger than {most}; leave out what is not needed, or split it",
    "too_costly": "takes too much memory or time to read; save it anew with the list's own rows and columns only, or split it",
    "bomb": "unpacks to far more than a list can hold, or hides its size; save it anew from a spreadsheet program",
    "external": "declares entities or documents outside itself; save it anew from a spreadsheet program",
    "not_utf8": "is a text in another encoding; save it as CSV UTF-8",
    "not_json": "is no list of JSON objects with texts, numbers or lists of texts",
    "cell_too_long": "has a cell of more than 100,000 characters, or a quotation mark that is never closed",
    "no_such_sheet": "has no sheet {sheet}; it has {sheets}",
}


def check_size(path: Path) -> None:
    """Refuse a file that is larger than any that is read. Raises Refusal FILE_UNREADABLE."""
    if path.stat().st_size > MOST_BYTES:
        raise unreadable("too_large", most=f"{MOST_BYTES // 1024 // 1024} MiB")


@contextmanager
def read_sheet(path: Path, name: str, sheet: str = "") -> Iterator[Sheet]:
    """Read one sheet of a file; `name` is what its user calls it, `sheet` empty for the first that is visible.

    Raises Refusal FILE_UNREADABLE, at once or while the rows are read.
    """
    check_size(path)
    command = [sys.executable, "-m", _CHILD, str(path.absolute()), name, sheet]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="ascii"
    ) as child:
        try:
            told = _next(child)
            yield Sheet(told["form"], told["sheet"], tuple(told["sheets"]), _rows(child))
        finally:
            child.kill()


def _next(child: subprocess.Popen[str]) -> Any:
    """Give the child's next answer. A child that ended without one met its limits, or broke on what the file holds."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line.endswith("\n"):
        raise unreadable("too_costly" if child.wait() < 0 else "damaged")
    told = json.loads(line)
    if isinstance(told, dict) and "fault" in told:
        raise unreadable(told["fault"], **told["values"])
    return told


def _rows(child: subprocess.Popen[str]) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    while True:
        told = _next(child)
        if isinstance(told, dict):
            return
        number, cells = told
        yield number, tuple(map(_cell, cells))


def _cell(raw: RawCell) -> Cell:
    return Cell(raw) if isinstance(raw, str) else Cell(raw[1], Kind(raw[0]), raw[2])
