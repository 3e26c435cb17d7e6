"""What a row of a list changes of a service: pure.

Invariant: an empty cell takes nothing away, codes are added and never replaced, and another spelling of a name is no change.
"""

from collections.abc import Iterable
from dataclasses import replace

from services.catalog.domain import Service
from services.catalog.importing.entries import Entry
from services.common.errors import Reason, Refusal
from services.common.text import spelling

_FIELDS = (
    "display_name",
    "english_gloss",
    "field",
    "agencies",
    "levels",
    "audiences",
    "channels",
)


def merged(entry: Entry, before: Service) -> Service:
    """Put what a row says into a service. Raises Refusal INVALID_VALUE where its agencies have dates."""
    told = entry.told
    changes = {name: value for name in _FIELDS if (value := getattr(told, name)) and value != getattr(before, name)}
    if before.display_name and entry.spelling == spelling(before.display_name):
        changes.pop("display_name", None)
    if "agencies" in changes and any(each.valid_from or each.valid_to for each in before.agencies):
        # Owners over time are an operator's work; a list tells only who has it now.
        if {each.agency for each in told.agencies} <= {each.agency for each in before.agencies}:
            del changes["agencies"]
        else:
            raise Refusal(
                Reason.INVALID_VALUE,
                f"services/{before.id} has agencies with dates; change them by UpdateService, or leave the column out",
                field="agency",
            )
    known = {code.code for code in before.procedure_codes}
    codes = (*before.procedure_codes, *(code for code in told.procedure_codes if code.code not in known))
    schemes = {level.scheme: level.level for level in before.online_levels}
    rated = tuple(level for level in told.online_levels if schemes.get(level.scheme) != level.level)
    kept = (level for level in before.online_levels if level.scheme not in {each.scheme for each in rated})
    return replace(before, **changes, procedure_codes=codes, online_levels=(*kept, *rated))


def differences(before: Service, after: Service) -> list[str]:
    """Name the fields of the contract in which two services differ, sorted; provenance is not looked at."""
    names: Iterable[str] = (*_FIELDS, "procedure_codes", "online_levels", "memberships")
    return sorted(name for name in names if getattr(before, name) != getattr(after, name))
