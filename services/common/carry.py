"""The commands of a service's process that carry its data: `backup FILE`, `restore FILE [--replace]`, `move URL`.

Invariant: nothing is committed before whoever started the process says `go` on its standard input; the end of the input
is a no. So several services' data are carried all or not at all.

It tells one JSON object a line: {"progress": …} now and then, {"ready": …} once everything is written and compared,
{"done": …} at the end, or {"refused": …} with a reason's code and its sentence.
"""

import json
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.common.config import ServiceSettings, Settings
from services.common.contents import Contents
from services.common.journal import Head, Journal
from services.common.place import Place, TransferRefusedError
from services.common.transfer import Placed, back_up, moving, restoring

COMMANDS = {"backup": "backup FILE", "restore": "restore FILE [--replace]", "move": "move URL"}
_TELL_SECONDS = 0.2
_REFUSED, _USAGE, _UNREACHABLE = 1, 2, 3


def carry(service: str, journal: Journal, shared: Settings, own: ServiceSettings, words: Sequence[str]) -> int:
    """Run one of COMMANDS with its arguments; give the exit code: 0 done, 1 refused, 2 wrong usage, 3 unreachable.

    Raises SchemaError.
    """
    place = Place(service, own.database(service, shared), journal)
    told = Told()
    try:
        match list(words):
            case ["backup", file]:
                contents = back_up(place, Path(file), told.progress)
                told.tell("done", {**_described(contents), "url": place.shown})
                return 0
            case ["restore", file, *option] if option in ([], ["--replace"]):
                placing = restoring(
                    place,
                    Path(file),
                    epoch=secrets.token_hex(8),
                    replace=bool(option),
                    lease_seconds=shared.lease_seconds,
                    tell=told.progress,
                )
            case ["move", url]:
                origin = Place(service, url, journal)
                placing = moving(origin, place, lease_seconds=shared.lease_seconds, tell=told.progress)
            case _:
                return _USAGE
        with placing as placed:
            told.tell("ready", _placed(place, placed))
            if sys.stdin.readline().strip() != "go":
                raise TransferRefusedError("not_confirmed", f"{service}: nothing was changed")
        told.tell("done", _placed(place, placed))
    except TransferRefusedError as refusal:
        told.tell("refused", {"reason": refusal.reason, "message": str(refusal), **refusal.values})
        return _UNREACHABLE if refusal.reason == "unreachable" else _REFUSED
    return 0


class Told:
    """What was told of the way."""

    def __init__(self) -> None:
        self._next = 0.0

    def tell(self, kind: str, what: dict[str, Any]) -> None:
        """Tell one thing."""
        print(json.dumps({kind: what}, ensure_ascii=False), flush=True)  # noqa: T201

    def progress(self, step: str, table: str, rows: int, of: int) -> None:
        """Tell how far it is, unless that was told a moment ago."""
        now = time.monotonic()
        if now >= self._next or rows == of:
            self._next = now + _TELL_SECONDS
            self.tell("progress", {"step": step, "table": table, "rows": rows, "of": of})


def _described(contents: Contents) -> dict[str, Any]:
    return {
        "schema": contents.schema,
        **_head(contents.head),
        "tables": {name: table.summary.rows for name, table in sorted(contents.tables.items())},
    }


def _placed(place: Place, placed: Placed) -> dict[str, Any]:
    replaces = {"replaces": _head(placed.replaces)} if placed.replaces else {}
    return {**_described(placed.contents), **_head(placed.head), **replaces, "url": place.shown}


def _head(head: Head) -> dict[str, Any]:
    return {
        "epoch": head.epoch,
        "sequence": head.sequence,
        "digest": head.digest,
        "recorded_time": head.recorded_time.isoformat(),
    }
