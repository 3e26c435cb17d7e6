"""The catalog's rules: what a programme and a service may be, and what each change makes of them.

Invariant: a value that exists here has kept every limit of the contract; ids, aliases and plan numbers of one programme never
clash, and a service that has a name never loses it.
"""

from services.catalog.domain.rules import (
    MOST_PLANNED,
    check_place,
    checked_evidence,
    checked_programme,
    checked_service,
    latest_level,
    with_alias,
)
from services.catalog.domain.values import (
    Agency,
    Evidence,
    Membership,
    Naming,
    OnlineLevel,
    OnlineLevelScheme,
    ProcedureCode,
    Programme,
    Provenance,
    ProvenanceKind,
    Retirement,
    Service,
    new_programme,
    new_service,
)

__all__ = [
    "MOST_PLANNED",
    "Agency",
    "Evidence",
    "Membership",
    "Naming",
    "OnlineLevel",
    "OnlineLevelScheme",
    "ProcedureCode",
    "Programme",
    "Provenance",
    "ProvenanceKind",
    "Retirement",
    "Service",
    "check_place",
    "checked_evidence",
    "checked_programme",
    "checked_service",
    "latest_level",
    "new_programme",
    "new_service",
    "with_alias",
]
