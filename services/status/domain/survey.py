"""The services that a programme counts on a day, and whatever is to be known of all of them.

Invariant: a survey brought up to date is the one made anew: all that it remembers of a service follows from that service's
history and the scope alone, so a change costs what has changed and one look at each of the others.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import compress, count
from operator import is_not
from typing import Any, NamedTuple, TypeVar

from services.common.dates import PartialDate
from services.status.domain.facts import EVERYTHING, Programme, ProgrammeVersion, ServiceVersion
from services.status.domain.history import ServiceHistory
from services.status.domain.reading import Reading, read_through

H = TypeVar("H", bound=Hashable)
T = TypeVar("T")


class Scope(NamedTuple):
    """Which programme's services, on which day, as known when; `start` is the programme's first day as known then."""

    programme_id: str
    as_of: date
    known_at: datetime
    start: date | None


class Listed(NamedTuple):
    """A service that the programme counts: as the catalog had it, and what is known of it on the day.

    `through` is the latest date among the steps and checks that are certain.
    """

    history: ServiceHistory
    version: ServiceVersion
    reading: Reading
    through: PartialDate | None


Wanted = Callable[[Listed], bool]
"""Which services a question is about."""
Parts = Callable[[Scope, Listed], Iterable[H]]
"""What a service adds to a sum. The function is the sum's name, so it is one of a module, or equal to what it stands for."""
Column = Callable[[Scope, Listed], T]
"""What is to be known of each service; named as the parts of a sum are."""


class _Worked(NamedTuple):
    """What was asked for of all services: sums, values by place, and places in the order of such values."""

    sums: dict[Parts[Any], Counter[Any]]
    columns: dict[Column[Any], list[Any]]
    orders: dict[Column[Any], list[int]]


class Survey:
    """Takes 120 bytes a service, and what is asked for: a column its values, an order 8 bytes a service.

    For its readers it never changes; asking from several threads at worst works the same out twice.
    """

    def __init__(
        self,
        scope: Scope,
        programme: ProgrammeVersion,
        histories: Sequence[ServiceHistory] = (),
        places: Sequence[Listed | None] = (),
        worked: _Worked | None = None,
        *,
        narrowed: bool = False,
    ) -> None:
        """`places` hold what is listed of each history; a narrowed survey lists less than the programme counts."""
        self.scope, self.programme, self.narrowed = scope, programme, narrowed
        self._histories, self._places = histories, places
        self._worked = worked or _Worked({}, {}, {})

    @classmethod
    def of(
        cls,
        programme: Programme,
        services: Collection[ServiceHistory],
        as_of: date,
        known_at: datetime = EVERYTHING,
        earlier: "Survey | None" = None,
    ) -> "Survey":
        """Survey the services, among which may be others than the programme's, by what was recorded up to `known_at`.

        `earlier` spares going through those that are the same in it. Raises Refusal PROGRAMME_NOT_FOUND when the
        programme was not known at `known_at`.
        """
        version = programme.as_known(known_at)
        scope = Scope(programme.id, as_of, known_at, version.first_day())
        before = earlier if earlier and earlier.scope == scope else cls(scope, version)
        return before.followed_by(version, list(services))

    def followed_by(self, programme: ProgrammeVersion, histories: Sequence[ServiceHistory]) -> "Survey":
        """Give the survey of these histories; those that are here too, at the same places, are not looked at again."""
        known = len(self._histories)
        same = min(known, len(histories))
        changed = [*compress(count(), map(is_not, self._histories, histories)), *range(same, len(histories))]
        if not changed and known == same and programme is self.programme:
            return self
        places = [*self._places[:same], *[None] * (len(histories) - same)]
        for place in changed:
            places[place] = _look_at(self.scope, histories[place])
        # Only what is asked of this version of the programme is carried along, so that nothing stays for ever.
        carried = self._carried(changed, places) if programme is self.programme and known == same else None
        return Survey(self.scope, programme, histories, places, carried)

    def _carried(self, changed: Sequence[int], places: Sequence[Listed | None]) -> _Worked:
        """Give what was worked out, for these places, of which nothing is another but the changed ones."""
        scope, earlier, later = self.scope, self._worked, _Worked({}, {}, {})
        before = [one for place in changed if place < len(self._places) and (one := self._places[place])]
        after = [one for place in changed if (one := places[place])]
        for parts, total in earlier.sums.copy().items():
            carried = total.copy()
            carried.update(part for one in after for part in parts(scope, one))
            carried.subtract(part for one in before for part in parts(scope, one))
            later.sums[parts] = +carried
        for column, values in earlier.columns.copy().items():
            now = later.columns[column] = values + [None] * (len(places) - len(values))
            for place in changed:
                now[place] = column(scope, one) if (one := places[place]) else None
        for column, order in earlier.orders.copy().items():
            values, now = earlier.columns[column], later.columns[column]
            moved = {place for place in changed if place >= len(values) or values[place] != now[place]}
            kept = [place for place in order if place not in moved] if moved else order
            # Where so little is out of place, sorting is little more than looking at each.
            more = [place for place in moved if places[place]]
            later.orders[column] = sorted(kept + more, key=now.__getitem__) if more else kept
        return later

    def where(self, wanted: Wanted | None) -> "Survey":
        """Give the survey of those services alone that a question is about; None: of all of them."""
        if wanted is None:
            return self
        places = [one if one and wanted(one) else None for one in self._places]
        return Survey(self.scope, self.programme, self._histories, places, narrowed=True)

    def __iter__(self) -> Iterator[Listed]:
        """Give the services, in the order in which they were first told of."""
        return (one for one in self._places if one)

    def __getitem__(self, place: int) -> Listed:
        """Give the service at a place that `order` gives."""
        one = self._places[place]
        assert one is not None
        return one

    def sum(self, parts: Parts[H]) -> Counter[H]:
        """Count the parts of all services; not to be changed."""
        total: Counter[H] | None = self._worked.sums.get(parts)
        if total is None:
            total = self._worked.sums[parts] = Counter(part for one in self for part in parts(self.scope, one))
        return total

    def column(self, column: Column[T]) -> list[T]:
        """Give the value of each service, by its place; not to be changed. What stands where no service is says nothing."""
        values: list[Any] | None = self._worked.columns.get(column)
        if values is None:
            values = self._worked.columns[column] = [column(self.scope, one) if one else None for one in self._places]
        return values

    def order(self, column: Column[Any]) -> list[int]:
        """Give the places of the services, in the order of the column's values; not to be changed.

        No two values may be equal, and none None.
        """
        order = self._worked.orders.get(column)
        if order is None:
            values, places = self.column(column), compress(count(), self._places)
            order = self._worked.orders[column] = sorted(places, key=values.__getitem__)
        return order


def _look_at(scope: Scope, history: ServiceHistory) -> Listed | None:
    version = history.version_at(scope.known_at)
    if version is None or not version.counted_by(scope.programme_id):
        return None
    return Listed(history, version, *read_through(history, scope.as_of, scope.known_at, scope.start))
