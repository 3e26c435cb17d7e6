"""What can be done with integrations, by callers and by the catalog's rows."""

from services.integration.usecases.commands import (
    Step,
    at_place,
    batch_advance,
    check_etag,
    correct,
    find,
    history,
    not_found,
    set_check,
    set_portal_link,
    take_step,
    today_of,
)
from services.integration.usecases.following import MovedOnError, attach, follow_catalog, stored_checkpoint
from services.integration.usecases.portals import due_links, portal_checks, record_portal_checks
from services.integration.usecases.recording import Done, decode, stored_entry

__all__ = [
    "Done",
    "MovedOnError",
    "Step",
    "at_place",
    "attach",
    "batch_advance",
    "check_etag",
    "correct",
    "decode",
    "due_links",
    "find",
    "follow_catalog",
    "history",
    "not_found",
    "portal_checks",
    "record_portal_checks",
    "set_check",
    "set_portal_link",
    "stored_checkpoint",
    "stored_entry",
    "take_step",
    "today_of",
]
