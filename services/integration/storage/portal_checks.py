"""The table of portal checks.

Invariant: of each portal of an integration the newest hundred are kept, numbered without gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from services.common.db import table_of
from services.integration.storage.tables import PortalCheckRow

KEPT = 100
_TABLE = table_of(PortalCheckRow)
_INSERT = insert(_TABLE)
_PRUNE = delete(_TABLE).where(
    _TABLE.c.integration_id == bindparam("of_integration"),
    _TABLE.c.portal == bindparam("of_portal"),
    _TABLE.c.number <= bindparam("last_to_go"),
)


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """A portal check as it is stored; `key` orders all of an integration by the time they were recorded."""

    integration_id: str
    key: tuple[int, int, int]
    message: bytes


def read_portal_checks(
    connection: Connection, *, integration_id: str = "", since: datetime | None = None
) -> list[KeptCheck]:
    """Give the portal checks of one integration, or those recorded since an instant, newest first."""
    columns = _TABLE.c
    statement = select(columns.integration_id, columns.check_time, columns.portal, columns.number, columns.body)
    if integration_id:
        statement = statement.where(columns.integration_id == integration_id)
    if since:
        statement = statement.where(columns.check_time >= since)
    newest_first = statement.order_by(columns.check_time.desc(), columns.portal.desc(), columns.number.desc())
    return [
        KeptCheck(row.integration_id, (int(row.check_time.timestamp() * 1_000_000), row.portal, row.number), row.body)
        for row in connection.execute(newest_first)
    ]


def write_portal_checks(
    connection: Connection, integration_id: str, portal: int, messages: Sequence[bytes], now: datetime
) -> None:
    """Add checks of one portal, recorded now, and drop the oldest."""
    columns = _TABLE.c
    newest = select(func.max(columns.number)).where(columns.integration_id == integration_id, columns.portal == portal)
    last = connection.execute(newest).scalar_one() or 0
    place = {"integration_id": integration_id, "portal": portal, "check_time": now}
    connection.execute(
        _INSERT, [{**place, "number": number, "body": body} for number, body in enumerate(messages, last + 1)]
    )
    to_go = last + len(messages) - KEPT
    connection.execute(_PRUNE, {"of_integration": integration_id, "of_portal": portal, "last_to_go": to_go})
