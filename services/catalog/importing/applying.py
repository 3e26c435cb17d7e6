"""What was decided of a row, recorded: a journal row for each service that changes.

Invariant: a row that is skipped, rejected or says nothing new records nothing.
"""

from dataclasses import replace
from typing import Any

from services.catalog import usecases, wire
from services.catalog.domain import Evidence
from services.catalog.importing.matching import Decision, Outcome
from services.catalog.importing.merging import differences
from services.catalog.storage import CatalogWork
from services.common.work import Caller


def apply(work: CatalogWork, decision: Decision, caller: Caller) -> None:
    """Record what a row changes, if anything. Raises Refusal EVENT_TOO_LARGE, after which nothing of the set may be kept."""
    if decision.after is None or decision.outcome not in {Outcome.CREATED, Outcome.NAMED, Outcome.CHANGED}:
        return
    if decision.before is None:
        service = replace(decision.after, create_time=work.now)
        usecases.record_service(work, service, caller, "service_created", {})
        return
    changed = {*differences(decision.before, decision.after), "provenance"}
    citation = decision.after.provenance[-1].citation
    what: dict[str, Any] = {
        "changed_fields": sorted(changed),
        "evidence": wire.evidence_out([Evidence("", "", citation)]),
    }
    if decision.outcome is Outcome.CHANGED:
        usecases.record_service(work, decision.after, caller, "service_updated", what)
    else:
        # The name is what the event is about, so only the others are listed in it.
        what["changed_fields"] = sorted(changed - {"display_name"})
        usecases.record_service(work, decision.after, caller, "service_named", what)
