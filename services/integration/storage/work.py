"""The working set of one transaction of integration.

Invariant: the checkpoint in the catalog's journal moves in the transaction of what the catalog's rows did.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from services.common.db import table_of, upsert
from services.common.feed import Checkpoint
from services.common.journal import Row
from services.common.work import Work
from services.integration.storage.portal_checks import write_portal_checks
from services.integration.storage.state import (
    CATALOG,
    Entry,
    State,
    count_dead_letters,
    names_of,
    read_checkpoint,
    read_history,
)
from services.integration.storage.tables import CheckpointRow, DeadLetterRow, IntegrationRow, TransitionRow, journal

_INSERT_TRANSITIONS = insert(table_of(TransitionRow))


class IntegrationWork(Work[State]):
    """What one transaction decides on and will write."""

    def __init__(self, connection: Connection, state: State, now: datetime) -> None:
        super().__init__(connection, journal, state, now)
        self.checkpoint = state.checkpoint
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._added: dict[str, list[dict[str, Any]]] = {}
        self._checked: dict[tuple[str, int], list[bytes]] = {}
        self._dead: list[dict[str, Any]] = []
        self._dead_letters = state.dead_letters

    def reread_checkpoint(self) -> Checkpoint:
        """Give the checkpoint in force: the table's, which another process may have moved without adding a row.

        Only what this very transaction has moved already is newer than the table.
        """
        if self.checkpoint == self.state.checkpoint:
            self.checkpoint = read_checkpoint(self.connection)
        return self.checkpoint

    def find(self, name: str) -> Entry | None:
        """Find an integration by its service's id or alias, as of now."""
        service_id = self._names.get(name) or self.state.names.get(name, "")
        return self.find_id(service_id)

    def find_id(self, service_id: str) -> Entry | None:
        """Find an integration by its service's id alone, as of now."""
        return self._entries.get(service_id) or self.state.entries.get(service_id)

    def history(self, integration_id: str) -> list[bytes]:
        """Give an integration's entries as messages, those added in this transaction included."""
        added = [row["body"] for row in self._added.get(integration_id, [])]
        return read_history(self.connection, integration_id) + added

    def put(self, entry: Entry) -> None:
        """Keep a new or changed integration for writing."""
        self._entries[entry.integration.service_id] = entry
        self._names |= names_of([entry])

    def add_transition(self, integration_id: str, number: int, kind: int, message: bytes) -> None:
        """Keep a new entry of a history for writing."""
        row = {"integration_id": integration_id, "number": number, "kind": kind, "body": message}
        self._added.setdefault(integration_id, []).append(row)

    def add_portal_check(self, integration_id: str, portal: int, message: bytes) -> None:
        """Keep a new portal check for writing."""
        self._checked.setdefault((integration_id, portal), []).append(message)

    def put_aside(self, row: Row, reason: str) -> None:
        """Keep a catalog row that cannot be read, with why."""
        values = {"source": CATALOG, "epoch": row.epoch, "sequence": row.sequence, "payload": row.payload}
        self._dead.append({**values, "reason": reason[:500]})

    def flush(self) -> None:
        """Write changed integrations, new entries, dead letters and the checkpoint."""
        changed = [
            {
                "id": entry.integration.service_id,
                "stage": int(entry.integration.stage),
                "condition": int(entry.integration.condition),
                "version": entry.integration.version,
                "update_actor": entry.integration.update_actor,
                "change": entry.change,
                "body": entry.message,
            }
            for entry in self._entries.values()
        ]
        upsert(self.connection, table_of(IntegrationRow), changed, keys=("id",))
        if added := [row for rows in self._added.values() for row in rows]:
            self.connection.execute(_INSERT_TRANSITIONS, added)
        for (integration_id, portal), messages in self._checked.items():
            write_portal_checks(self.connection, integration_id, portal, messages, self.now)
        if self._dead:
            upsert(self.connection, table_of(DeadLetterRow), self._dead, keys=("source", "epoch", "sequence"))
            self._dead_letters = count_dead_letters(self.connection)
        if self.checkpoint != self.state.checkpoint:
            place = self.checkpoint
            values = {"source": CATALOG, "epoch": place.epoch, "sequence": place.sequence, "digest": place.digest}
            upsert(self.connection, table_of(CheckpointRow), [values], keys=("source",))

    def result(self) -> State:
        """Give the state after the commit."""
        if not self.rows and self.checkpoint == self.state.checkpoint:
            return self.state
        return self.state.changed(self.head, self.checkpoint, self._entries.values(), self._dead_letters)
