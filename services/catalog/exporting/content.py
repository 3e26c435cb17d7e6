"""What a file is made of.

Invariant: everything comes from one state, so the parts of a file agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.catalog.domain import Agency, Service
from services.catalog.storage import ProgrammeEntry, ServiceEntry
from services.common.words import Lang


@dataclass(frozen=True, slots=True)
class Export:
    """The services to write, in order; `programme` is None where they are of every programme."""

    programme: ProgrammeEntry | None
    entries: Sequence[ServiceEntry]
    lang: Lang
    today: date

    @property
    def name(self) -> str:
        """A name for the file, without its ending."""
        return self.programme.programme.id if self.programme else "services"

    def plan_number(self, service: Service) -> int:
        """The service's place in the plan; 0 where it has none, or several plans are meant."""
        wanted = self.programme.programme.id if self.programme else ""
        numbers = {each.plan_number for each in service.memberships if wanted in {"", each.programme}}
        return numbers.pop() if len(numbers) == 1 else 0

    def agencies(self, service: Service) -> list[Agency]:
        """The agencies that own the service today."""
        return [
            each
            for each in service.agencies
            if (each.valid_from is None or each.valid_from.first_day() <= self.today)
            and (each.valid_to is None or self.today <= each.valid_to.last_day())
        ]
