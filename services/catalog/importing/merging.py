"""What a row of a list changes of a service: pure.

Invariant: an empty cell takes nothing away, codes are added and never replaced, and another spelling of a name is no change.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from services.catalog.domain import Agency, OnlineLevel, Service, latest_level
from services.catalog.importing.entries import Entry, levels_of
from services.common.errors import Reason, Refusal
from services.common.sheets import lines_of, one_line
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
    changes = {
        name: value
        for name in _FIELDS
        if (value := getattr(told, name)) and value not in _as_told(name, getattr(before, name))
    }
    if "display_name" in changes and spelling(told.display_name) == spelling(before.display_name):
        del changes["display_name"]
    if "agencies" in changes and any(each.valid_from or each.valid_to for each in before.agencies):
        # Owners over time are an operator's work; most lists tell only who has it now.
        if _undated(told.agencies) <= {each for way in _as_told("agencies", before.agencies) for each in _undated(way)}:
            del changes["agencies"]
        else:
            raise Refusal(
                Reason.INVALID_VALUE,
                f"services/{before.id} has agencies with dates; change them by UpdateService, or leave the column out",
                field="agency",
            )
    known = {code.code for code in before.procedure_codes}
    codes = (*before.procedure_codes, *(code for code in told.procedure_codes if code.code not in known))
    return replace(before, **changes, procedure_codes=codes, online_levels=_rated(told, before))


def _as_told(field: str, value: Any) -> tuple[Any, ...]:
    """Give the ways in which a list tells this very value: as it is, and as it comes out of one cell."""
    if isinstance(value, str):
        return value, one_line(value)
    texts = [each.agency if isinstance(each, Agency) else each for each in value]
    lines = lines_of("; ".join(texts))
    ways = [[*map(one_line, texts)], levels_of(lines) if field == "levels" else lines]
    if field == "agencies":
        return value, *(tuple(Agency(each, None, None) for each in way) for way in ways)
    return value, *map(tuple, ways)


def _undated(agencies: Iterable[Agency]) -> set[str]:
    return {each.agency for each in agencies}


def _rated(told: Service, before: Service) -> tuple[OnlineLevel, ...]:
    """Add the ratings that are new; one without a date replaces those of its decree where it is not the latest of them."""

    def is_new(level: OnlineLevel) -> bool:
        latest = latest_level([each for each in before.online_levels if each.scheme == level.scheme])
        return level not in before.online_levels and not (
            level.date is None and latest is not None and latest.level == level.level
        )

    rated = tuple(filter(is_new, told.online_levels))
    replaced = {level.scheme for level in rated if level.date is None}
    return (*(level for level in before.online_levels if level.scheme not in replaced), *rated)


def differences(before: Service, after: Service) -> list[str]:
    """Name the fields of the contract in which two services differ, sorted; provenance is not looked at."""
    names: Iterable[str] = (*_FIELDS, "procedure_codes", "online_levels", "memberships")
    return sorted(name for name in names if getattr(before, name) != getattr(after, name))
