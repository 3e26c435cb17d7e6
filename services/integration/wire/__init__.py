"""Between integration's values and its contract: resources, events, subjects, and what is read of the catalog's events.

Invariant: nothing is decided here; each value has one form on the wire.
"""

from services.integration.wire.events import (
    EVENT_OF_KIND,
    Description,
    change_words,
    description_of,
    event_of,
    event_type,
    publication,
)
from services.integration.wire.resources import (
    Told,
    check_out,
    date_in,
    evidence_in,
    integration_changed,
    integration_etag,
    integration_of,
    integration_out,
    known,
    portal_check_of,
    portal_check_out,
    portal_link_out,
    programmes_of,
    told_of,
    transition_of,
    transition_out,
)

__all__ = [
    "EVENT_OF_KIND",
    "Description",
    "Told",
    "change_words",
    "check_out",
    "date_in",
    "description_of",
    "event_of",
    "event_type",
    "evidence_in",
    "integration_changed",
    "integration_etag",
    "integration_of",
    "integration_out",
    "known",
    "portal_check_of",
    "portal_check_out",
    "portal_link_out",
    "programmes_of",
    "publication",
    "told_of",
    "transition_of",
    "transition_out",
]
