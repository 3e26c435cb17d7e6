"""What a simulated programme is made of, and everything that happens in it, as commands with their days.

Invariant: the same simulation gives the same commands; a later day only adds some at the end, none is dated after it, and
integration accepts all of them in their order.
"""

import calendar
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.cli.seeding import partial_date
from services.cli.simulation.work import Act, Work
from services.common.words import Lang, word
from tiendo.catalog.v1 import catalog_service_pb2, programme_pb2, service_pb2
from tiendo.common.v1 import provenance_pb2

PROGRAMME_ID = "mo-phong"
MOST_SERVICES = 2_000
MOST_MONTHS = 60

# What befalls a service; dealt out in turn, so that each befalls some. "" is a service that nothing befalls.
_FATES = (
    "silent",
    "",
    "blocked",
    "",
    "redated",
    "check_failed",
    "",
    "reverted",
    "held_up",
    "",
    "suspended",
    "annulled",
    "",
    "switched_off",
    "blocked",
    "",
    "withdrawn",
    "",
)
_FIELDS, _AGENCIES = 5, 3


@dataclass(frozen=True, slots=True)
class Simulation:
    """One simulated programme: what chance starts from, how many services, from which day, and the day it was begun on."""

    seed: int
    services: int
    first: date
    began: date

    @property
    def target(self) -> date:
        """The end of the month half of the time so far after the day it was begun on: neither sure nor out of reach."""
        ahead = self.began + (self.began - self.first) // 2
        return ahead.replace(day=calendar.monthrange(ahead.year, ahead.month)[1])


def begin(seed: int, services: int, months: int, today: date) -> Simulation:
    """Give the simulation that has run for so many months on `today`."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return Simulation(seed, services, date(year, month + 1, min(today.day, last)), today)


def service_id(number: int) -> str:
    """Name a service of the programme by its place."""
    return f"{PROGRAMME_ID}-{number:03}"


def programme_request(simulation: Simulation) -> catalog_service_pb2.CreateProgrammeRequest:
    """Make the command that creates the programme."""
    return catalog_service_pb2.CreateProgrammeRequest(
        programme_id=PROGRAMME_ID,
        programme=programme_pb2.Programme(
            display_name=word("screen.simulate.programme", Lang.VI),
            english_gloss=word("screen.simulate.programme", Lang.EN),
            planned_count=simulation.services,
            start_date=partial_date(simulation.first.isoformat()),
            target_date=partial_date(simulation.target.isoformat()),
            owner=word("screen.simulate.owner", Lang.VI),
            provenance=[_provenance()],
        ),
        request_id=PROGRAMME_ID,
    )


def service_requests(simulation: Simulation) -> list[catalog_service_pb2.CreateServiceRequest]:
    """Make the commands that create the services."""
    return [
        catalog_service_pb2.CreateServiceRequest(
            service_id=service_id(number),
            service=service_pb2.Service(
                display_name=word("screen.simulate.service", Lang.VI, number=number),
                english_gloss=word("screen.simulate.service", Lang.EN, number=number),
                field=word("screen.simulate.field", Lang.VI, number=1 + number % _FIELDS),
                agencies=[
                    service_pb2.Agency(agency=word("screen.simulate.agency", Lang.VI, number=1 + number % _AGENCIES))
                ],
                memberships=[service_pb2.Membership(programme=f"programmes/{PROGRAMME_ID}", plan_number=number)],
                provenance=[_provenance()],
            ),
            request_id=f"{PROGRAMME_ID}/{number}",
        )
        for number in range(1, simulation.services + 1)
    ]


def plan(simulation: Simulation, through: date) -> list[Act]:
    """Give every command up to that day, in the order in which they are sent."""
    chance = random.Random(simulation.seed)  # noqa: S311 (a simulation, no secret)
    numbers = list(range(1, simulation.services + 1))
    chance.shuffle(numbers)
    days = (simulation.began - simulation.first).days
    acts: list[Act] = []
    for place, number in enumerate(numbers):
        work = Work(
            service_id(number),
            random.Random(f"{simulation.seed}/{number}"),  # noqa: S311 (a simulation, no secret)
            simulation.first,
            days,
        )
        acts += _up_to(through, work.run(_FATES[place % len(_FATES)]))
    return sorted(acts, key=lambda act: act.day)


def _up_to(through: date, acts: Iterable[Act]) -> Iterable[Act]:
    return (act for act in acts if act.day <= through)


def _provenance() -> provenance_pb2.Provenance:
    return provenance_pb2.Provenance(
        kind=provenance_pb2.PROVENANCE_KIND_INFERRED, citation=word("screen.simulate.citation", Lang.VI)
    )
