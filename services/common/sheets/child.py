"""The child process that reads a hostile file in the place of its reader: `python -m services.common.sheets.child`.

Invariant: it opens one file, writes nowhere but to its output, and ends at the first limit of memory or time.

Arguments: path, the file's name, the sheet's name or empty. Output, a JSON value a line: `{"form", "sheets", "sheet"}`, then
`[row, [cell, …]]` for every row that is not blank, then `{"end": rows}`; or `{"fault", "values"}` and nothing after it. A cell
is a text, or `[kind, text, range]`.
"""

import contextlib
import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.common.sheets.cells import RawRow
from services.common.sheets.container import FaultError, Look, look

MEMORY_BYTES = 300 * 1000 * 1000
LOOK_SECONDS = 4
_SECONDS_HARD = 600
_BYTES_A_SECOND = 16 * 1024 * 1024


def _limit(kind: int, soft: int, hard: int) -> None:
    # A system that knows no such limit, or whose own is lower, goes without.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _confine() -> None:
    _limit(resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, LOOK_SECONDS, _SECONDS_HARD)
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_CORE, 0, 0)
    signal.alarm(LOOK_SECONDS)


def _allow(found: Look) -> None:
    """Give a file whose container was looked at the time that its size deserves."""
    signal.alarm(0)
    _limit(resource.RLIMIT_CPU, LOOK_SECONDS + found.inflated_bytes // _BYTES_A_SECOND, _SECONDS_HARD)


def _read(path: Path, name: str, wanted: str, say: Callable[[Any], None]) -> None:
    found = look(path, name)
    _allow(found)
    # Each format's reader is loaded only where it is needed: the child starts for every list.
    if found.form in {"csv", "json"}:
        from services.common.sheets import texts  # noqa: PLC0415

        rows: Iterator[RawRow] = texts.csv_rows(path) if found.form == "csv" else texts.json_rows(path)
        sheets, sheet = [""], ""
        if wanted:
            raise FaultError("no_such_sheet", {"sheet": wanted, "sheets": "–"})
    else:
        from services.common.sheets import workbooks  # noqa: PLC0415

        sheets, sheet, rows = workbooks.open_rows(path, wanted, found)
    say({"form": found.form, "sheets": sheets, "sheet": sheet})
    count = 0
    for row in rows:
        say(row)
        count += 1
    say({"end": count})


def main() -> None:
    """Be the child."""
    _confine()
    path, name, wanted = sys.argv[1:4]
    output = sys.stdout

    def say(value: Any) -> None:
        output.write(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")

    try:
        _read(Path(path), name, wanted, say)
    except FaultError as fault:
        say({"fault": fault.args[0], "values": dict(*fault.args[1:])})
    except MemoryError:
        say({"fault": "too_costly", "values": {}})
    output.flush()


if __name__ == "__main__":
    main()
