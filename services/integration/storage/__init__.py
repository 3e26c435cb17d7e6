"""Integration's tables, its state in memory, and the working set of one transaction.

Invariant: an integration's `body` is the very message that the journal row of its last change carries, and the checkpoint in
the catalog's journal moves in the transaction of what the catalog's rows did.
"""

from services.integration.storage.portal_checks import KeptCheck, read_portal_checks
from services.integration.storage.state import (
    CATALOG,
    Entry,
    State,
    catalog_revision,
    catch_up,
    load,
    read_checkpoint,
    read_history,
)
from services.integration.storage.tables import journal, metadata
from services.integration.storage.work import IntegrationWork

__all__ = [
    "CATALOG",
    "Entry",
    "IntegrationWork",
    "KeptCheck",
    "State",
    "catalog_revision",
    "catch_up",
    "journal",
    "load",
    "metadata",
    "read_checkpoint",
    "read_history",
    "read_portal_checks",
]
