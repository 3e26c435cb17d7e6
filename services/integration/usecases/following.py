"""What the catalog's rows do here.

Invariant: a row that cannot be read or recorded is put aside with its reason, and the checkpoint goes on in the same transaction.
"""

from collections.abc import Sequence

import structlog
from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.db import read_transaction, write_transaction
from services.common.envelope import header_of
from services.common.errors import Refusal
from services.common.feed import Checkpoint
from services.common.journal import Row, utc_now
from services.common.work import Caller
from services.integration import domain, storage, wire
from services.integration.storage import CATALOG, Entry, IntegrationWork
from services.integration.usecases.recording import decided, keep, stored_entry

_ACTOR_LIMIT = 200

log = structlog.get_logger("integration")


class MovedOnError(Exception):
    """The catalog was followed further meanwhile."""


def follow_catalog(work: IntegrationWork, rows: Sequence[Row]) -> Checkpoint:
    """Make and describe integrations from catalog rows, and move the checkpoint; rows taken before add nothing.

    A row that cannot be read, or whose effect cannot be recorded, is put aside with its reason.
    """
    place = work.reread_checkpoint()
    causes = {row.digest: f"{CATALOG}/{row.epoch}/{row.sequence}" for row in rows}
    taken = storage.journal.known_causes(work.connection, causes.values())
    for row in rows:
        if row.epoch == place.epoch and row.sequence <= place.sequence:
            continue
        if not _follows(row, place):
            break
        place = work.checkpoint = Checkpoint(row.epoch, row.sequence, row.digest)
        cause = causes[row.digest]
        if cause in taken:
            # The checkpoint says that this row is new, so an older copy of the catalog had another one at its place.
            cause = f"{cause}/{row.digest[:16]}"
        try:
            told, caller = _read(row)
            if told is not None:
                _describe(work, told, caller, cause)
        except (DecodeError, ValueError, Refusal) as fault:
            _put_aside(work, row, fault)
    return place


def attach(engine: Engine, rows: Sequence[Row], before: Checkpoint) -> str:
    """Take a catalog's whole journal, in one transaction; nothing that is there is removed. Give what was done in words.

    Raises MovedOnError when the checkpoint is no longer the one `before` the journal was read.
    """
    with write_transaction(engine) as connection:
        storage.journal.lock_head(connection)
        work = IntegrationWork(connection, storage.load(connection, stored_entry), utc_now())
        if work.checkpoint != before:
            raise MovedOnError
        last = rows[-1] if rows else Row("", 0, "", b"")
        work.checkpoint = Checkpoint(last.epoch, last.sequence, last.digest)
        # Only what the catalog says in the end counts: what it said on the way was told when it was said.
        newest: dict[str, tuple[Row, wire.Description, Caller]] = {}
        for row in rows:
            try:
                told, caller = _read(row)
            except (DecodeError, ValueError, Refusal) as fault:
                _put_aside(work, row, fault)
            else:
                if told is not None:
                    newest[told.service_id] = row, told, caller
        for row, told, caller in newest.values():
            try:
                _describe(work, told, caller, None)
            except Refusal as fault:
                _put_aside(work, row, fault)
        work.write()
    return f"catalog read up to row {last.sequence}: {len(work.rows)} integrations made or described anew"


def stored_checkpoint(engine: Engine) -> Checkpoint:
    """Give how far the catalog was followed, as the table has it."""
    with read_transaction(engine) as connection:
        return storage.read_checkpoint(connection)


def _read(row: Row) -> tuple[wire.Description | None, Caller]:
    told, actor, traceparent = wire.description_of(row)
    return told, Caller(actor[:_ACTOR_LIMIT], "", traceparent)


def _put_aside(work: IntegrationWork, row: Row, fault: Exception) -> None:
    reason = f"{type(fault).__name__}: {fault}"
    log.warning("catalog row put aside", sequence=row.sequence, reason=reason)
    work.put_aside(row, reason)


def _describe(work: IntegrationWork, told: wire.Description, caller: Caller, cause: str | None) -> None:
    present = work.find_id(told.service_id)
    if present is None:
        made = domain.new_integration(told.service_id, told.alias, told.display_name, work.now, caller.actor)
        entry = Entry(made, told.programmes, told.former_aliases, "", b"", b"")
        keep(work, decided(work, entry, made, caller, {"integration_created": {}}), cause)
        return
    integration = present.integration
    same = (integration.alias, integration.display_name, present.former_aliases, present.programmes)
    if same == (told.alias, told.display_name, told.former_aliases, told.programmes):
        return
    described = integration.changed(work.now, caller.actor, alias=told.alias, display_name=told.display_name)
    entry = Entry(described, told.programmes, told.former_aliases, "", b"", b"")
    keep(work, decided(work, entry, described, caller, {"integration_described": {}}), cause)


def _follows(row: Row, checkpoint: Checkpoint) -> bool:
    try:
        header = header_of(row.payload)
    except ValueError:
        return False
    return (header.sequence, header.previous_digest) == (checkpoint.sequence + 1, checkpoint.digest)
