"""Between status's values and its contract: facts from the sources' events, progress events, answers.

Invariant: nothing is decided here; each value has one form on the wire.
"""

from services.status.wire.answers import counts_out, date_out, effective_out, groups_out
from services.status.wire.facts import catalog_revision_of, fact_of, instant
from services.status.wire.progress import TYPE_PREFIX, event_of, publication

__all__ = [
    "TYPE_PREFIX",
    "catalog_revision_of",
    "counts_out",
    "date_out",
    "effective_out",
    "event_of",
    "fact_of",
    "groups_out",
    "instant",
    "publication",
]
