"""Between status's values and its contract: facts from the sources' events, progress events, answers.

Invariant: nothing is decided here; each value has one form on the wire.
"""

from services.status.wire.answers import counts_out, date_out, effective_out, groups_out
from services.status.wire.facts import catalog_revision_of, fact_of, instant
from services.status.wire.insight import attention_item_out, attention_out, burn_up_out, forecast_out
from services.status.wire.progress import TYPE_PREFIX, event_of, publication

__all__ = [
    "TYPE_PREFIX",
    "attention_item_out",
    "attention_out",
    "burn_up_out",
    "catalog_revision_of",
    "counts_out",
    "date_out",
    "effective_out",
    "event_of",
    "fact_of",
    "forecast_out",
    "groups_out",
    "instant",
    "publication",
]
