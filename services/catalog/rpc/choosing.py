"""How services are chosen and put in order: filters, orders, the ranks of a search.

Invariant: what decides is the service and the day alone, so the same question to one state has one answer.
"""

from datetime import date

from services.catalog.domain import Naming
from services.catalog.storage import ServiceEntry
from services.common.dates import PartialDate
from services.common.filters import FilterField
from services.common.listing import Order, parse_order
from services.common.text import fold


def fields(today: date) -> dict[str, FilterField[ServiceEntry]]:
    """Give what a filter may name, on a day in Vietnam: who owns a service depends on it."""

    def owning(entry: ServiceEntry) -> list[str]:
        return [
            fold(owner.agency) for owner in entry.service.agencies if _holds(owner.valid_from, owner.valid_to, today)
        ]

    return {
        "programme": FilterField(
            lambda entry: [
                form
                for membership in entry.service.memberships
                for form in (membership.programme, f"programmes/{membership.programme}")
            ],
        ),
        "naming": FilterField(
            lambda entry: [entry.service.naming.name],
            values=frozenset(naming.name for naming in Naming),
        ),
        "field": FilterField(lambda entry: [fold(entry.service.field)] if entry.service.field else [], fold=True),
        "agency": FilterField(owning, fold=True),
        "level": FilterField(lambda entry: [fold(word) for word in entry.service.levels], fold=True),
        "audience": FilterField(lambda entry: [fold(word) for word in entry.service.audiences], fold=True),
        "channel": FilterField(lambda entry: [fold(word) for word in entry.service.channels], fold=True),
        "code": FilterField(lambda entry: [code.code for code in entry.service.procedure_codes]),
        "retired": FilterField(
            lambda entry: ["true" if entry.service.retirement else "false"],
            values=frozenset({"true", "false"}),
        ),
        "text": FilterField(lambda entry: [entry.haystack], fold=True, words=True),
    }


def _holds(first: PartialDate | None, last: PartialDate | None, day: date) -> bool:
    return (first is None or first.first_day() <= day) and (last is None or day <= last.last_day())


def plan_number(entry: ServiceEntry, programme: str) -> int:
    """The place in the programme's plan; what has none comes last."""
    for membership in entry.service.memberships:
        if membership.programme == programme and membership.plan_number:
            return membership.plan_number
    return 1 << 30


def order_of(text: str, programme: str) -> Order[ServiceEntry]:
    """Read order_by; without one by plan number, or by name where no programme is meant."""
    return parse_order(
        text,
        {
            "plan_number": lambda entry: plan_number(entry, programme),
            "name": lambda entry: entry.service.id,
            "display_name": lambda entry: entry.sort_key,
            "update_time": lambda entry: entry.service.update_time.isoformat(),
        },
        lambda entry: entry.service.id,
        default="plan_number" if programme else "name",
    )


def rank(entry: ServiceEntry, query: str, phrase: str) -> int:
    """Tell how well a service fits a search: 0 by its very name, code or number, 1 by how its name begins, else 2."""
    service = entry.service
    name = fold(service.display_name)
    numbers = {str(membership.plan_number) for membership in service.memberships}
    exact = {service.id, service.alias, *service.former_aliases, *(code.code for code in service.procedure_codes)} - {
        ""
    }
    if query in exact or query.lower() in exact or name == phrase or query in numbers:
        return 0
    if name.startswith(phrase):
        return 1
    return 2
