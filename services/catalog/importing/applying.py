"""What was decided of a list, recorded: a journal row for each service, each value with where it came from.

Invariant: nothing is recorded of a list of which a row was rejected.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.catalog import usecases, wire
from services.catalog.domain import Evidence, Provenance, ProvenanceKind, Service, checked_service
from services.catalog.importing.matching import Decision, Outcome, changed_fields
from services.catalog.importing.receiving import Source
from services.catalog.storage import CatalogWork
from services.common.writer import Caller


def apply(work: CatalogWork, decisions: Sequence[Decision], source: Source, caller: Caller) -> None:
    """Record every change, in the order of the file. Raises Refusal for a change that cannot be stored, as a whole."""
    for decision in decisions:
        if decision.after is None or decision.outcome not in {Outcome.CREATED, Outcome.NAMED, Outcome.CHANGED}:
            continue
        changed = changed_fields(decision)
        citation = source.citation(decision.row)
        service = checked_service(_cited(decision.after, changed, citation, whole=decision.before is None))
        if decision.outcome is Outcome.CREATED:
            service = replace(service, create_time=work.now)
            usecases.keep_service(work, service, caller, "service_created", {})
            continue
        name = "service_named" if decision.outcome is Outcome.NAMED else "service_updated"
        # The name is what a `named` row is about, so only the others are listed in it.
        listed = [path for path in changed if name != "service_named" or path != "display_name"]
        backing = wire.evidence_out([Evidence("", "", citation)])
        what = {"changed_fields": sorted({*listed, "provenance"}), "evidence": backing}
        usecases.keep_service(work, service, caller, name, what)


def _cited(service: Service, changed: Sequence[str], citation: str, *, whole: bool) -> Service:
    """Cite the list for the values it brought; those from elsewhere keep their own source."""
    kept = [entry for entry in service.provenance if entry.field not in changed]
    fields = [""] if whole else changed
    added = [Provenance(name, ProvenanceKind.IMPORTED, citation) for name in fields]
    return replace(service, provenance=(*kept, *added))
