"""Where a service's data is, who serves it, and how it is refused to touch it.

Invariant: whoever changes a database from outside has seen first that no service has it in use.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from services.common import db
from services.common.journal import Journal
from services.common.lease import LeaseTable, has_ended
from services.common.schema import revisions

_LOOK_SECONDS = 0.1
_INSUFFICIENT_PRIVILEGE = "42501"


class TransferRefusedError(Exception):
    """Nothing was changed; `reason` is a code, the message its sentence, `values` what belongs to it."""

    def __init__(self, reason: str, message: str, **values: Any) -> None:
        super().__init__(message)
        self.reason, self.values = reason, values


@dataclass(frozen=True, slots=True)
class Place:
    """A service's database, and how it is named on screens."""

    service: str
    url: str
    journal: Journal

    @property
    def shown(self) -> str:
        """Its URL without a password."""
        return db.shown_url(self.url)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        parsed = make_url(self.url)
        return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


@contextmanager
def reached(place: Place, *, must_exist: bool) -> Iterator[Engine]:
    """Open the database. Raises TransferRefusedError where it is not there, does not answer, or does not let us."""
    if must_exist and place.file is not None and not place.file.exists():
        raise TransferRefusedError("missing", f"{place.service}: there is no file {place.file}", file=str(place.file))
    engine = db.open_engine(place.url)
    try:
        yield engine
    except DBAPIError as problem:
        why = str(problem.orig).strip().splitlines()[0]
        denied = getattr(problem.orig, "sqlstate", "") == _INSUFFICIENT_PRIVILEGE
        if not denied and not isinstance(problem, OperationalError):
            raise
        message = f"{place.service}: {place.shown} {'refuses' if denied else 'does not answer'}: {why}"
        reason = "denied" if denied else "unreachable"
        raise TransferRefusedError(reason, message, url=place.shown, why=why) from problem
    finally:
        engine.dispose()


def refuse_served(engine: Engine, place: Place, lease_seconds: float) -> tuple[str, int]:
    """Give who holds the lease, having seen that nobody serves this database. Raises TransferRefusedError.

    A holder on another machine that does not raise its number for the length of a lease is gone, as it is to the lease.
    """
    lease = place.journal.lease
    seen = _read_lease(engine, lease)
    end = time.monotonic() + lease_seconds
    while seen[0] and not has_ended(seen[0]) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        now = _read_lease(engine, lease)
        if now != seen and now[0]:
            raise _served(place, now[0])
        seen = now
    return seen


def refuse_changed(connection: Connection, place: Place, seen: tuple[str, int]) -> None:
    """Raise TransferRefusedError where somebody began to serve since `refuse_served`, before this transaction began."""
    now = place.journal.lease.read(connection) if _has_lease(connection) else ("", 0)
    if now[0] and now != seen:
        raise _served(place, now[0])


def _read_lease(engine: Engine, lease: LeaseTable) -> tuple[str, int]:
    with db.read_transaction(engine) as connection:
        return lease.read(connection) if _has_lease(connection) else ("", 0)


def _has_lease(connection: Connection) -> bool:
    return bool(inspect(connection).has_table("lease"))


def of_schema(place: Place, found: str) -> TransferRefusedError:
    """Word that there is no schema ("none"), or one that is newer than this code."""
    if found == "none":
        return TransferRefusedError(
            "no_schema", f"{place.service}: {place.shown} holds no Tiendo database", url=place.shown
        )
    known = revisions(place.service)[0]
    return TransferRefusedError(
        "newer",
        f"{place.service}: schema {found} is newer than this version of Tiendo, which knows {known}; "
        "use the version that made it",
        found=found,
        known=known,
    )


def _served(place: Place, holder: str) -> TransferRefusedError:
    machine, process, *_ = [*holder.split("/"), ""]
    return TransferRefusedError(
        "served",
        f"{place.service}: {place.shown} is being served by process {process} on {machine}; stop every service first",
        url=place.shown,
        machine=machine,
        process=process,
    )
