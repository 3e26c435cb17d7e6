"""The services that a programme counts on a day, and whatever is to be known of all of them.

Invariant: a survey brought up to date is the one made anew: all that it remembers of a service follows from that service's
history and the scope alone, so a change costs what has changed and one look at each of the others.
"""

from bisect import bisect_left, insort
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
"""What a service adds to a sum or a list. It is its name as well: a function of a module, or equal to what does the same."""
Column = Callable[[str, str, ServiceVersion], T]
"""What the catalog alone says of a service, by ids of programme and service and the version; named like parts."""


class _Worked(NamedTuple):
    """What was asked for of all services: sums, parts in order; values by place, and places in the order of such values."""

    sums: dict[Parts[Any], Counter[Any]]
    lists: dict[Parts[Any], list[Any]]
    columns: dict[Column[Any], list[Any]]
    orders: dict[Column[Any], list[int]]


class Survey:
    """Takes 100 to 170 bytes a service, and what is asked for: a column its values, an order 8 bytes a service.

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
        self._worked = worked or _Worked({}, {}, {}, {})

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

        `earlier` spares going through those that are the same in it; one of another day spares less. Raises Refusal
        PROGRAMME_NOT_FOUND when the programme was not known at `known_at`.
        """
        version = programme.as_known(known_at)
        scope = Scope(programme.id, as_of, known_at, version.first_day())
        kin = earlier and (earlier.scope.programme_id, earlier.scope.known_at) == (programme.id, known_at)
        before = earlier if earlier and kin else cls(scope, version)
        return before.followed_by(scope, version, list(services))

    def followed_by(self, scope: Scope, programme: ProgrammeVersion, histories: Sequence[ServiceHistory]) -> "Survey":
        """Give the survey of these histories, and take along what holds of those that are here too, at the same places.

        The scope is of the same programme and instant.
        """
        same = min(len(self._histories), len(histories))
        changed = [*compress(count(), map(is_not, self._histories, histories)), *range(same, len(histories))]
        again = scope == self.scope and programme is self.programme
        if again and not changed and same == len(self._histories):
            return self
        places = [*self._places[:same], *[None] * (len(histories) - same)]
        for place in changed if scope == self.scope else range(len(histories)):
            places[place] = _look_at(scope, histories[place])
        worked = _Worked({}, {}, {}, {})
        if same == len(self._histories):
            # Sums are named by what is asked of this version of the programme, and none is to stay for ever.
            if again:
                self._carry_parts(worked, changed, places)
            self._carry_columns(worked, changed, places)
        return Survey(scope, programme, histories, places, worked)

    def _carry_parts(self, later: _Worked, changed: Sequence[int], places: Sequence[Listed | None]) -> None:
        before = [one for place in changed if place < len(self._places) and (one := self._places[place])]
        after = [one for place in changed if (one := places[place])]
        for parts, total in self._worked.sums.copy().items():
            carried = later.sums[parts] = total.copy()
            carried.update(part for one in after for part in parts(self.scope, one))
            gone = Counter(part for one in before for part in parts(self.scope, one))
            for part, number in gone.items():
                carried[part] -= number
                if not carried[part]:
                    del carried[part]
        for parts, listed in self._worked.lists.copy().items():
            kept = later.lists[parts] = listed.copy()
            for one in before:
                for part in parts(self.scope, one):
                    del kept[bisect_left(kept, part)]
            for one in after:
                for part in parts(self.scope, one):
                    insort(kept, part)

    def _carry_columns(self, later: _Worked, changed: Sequence[int], places: Sequence[Listed | None]) -> None:
        for column, values in self._worked.columns.copy().items():
            now = later.columns[column] = values + [None] * (len(places) - len(values))
            for place in changed:
                now[place] = self._value(column, places[place])
        for column, order in self._worked.orders.copy().items():
            values, now = self._worked.columns[column], later.columns[column]
            moved = {place for place in changed if place >= len(values) or values[place] != now[place]}
            kept = [place for place in order if place not in moved] if moved else order
            # Where so little is out of place, sorting is little more than looking at each.
            more = [place for place in moved if places[place]]
            later.orders[column] = sorted(kept + more, key=now.__getitem__) if more else kept

    def _value(self, column: Column[T], one: Listed | None) -> T | None:
        return column(self.scope.programme_id, one.history.id, one.version) if one else None

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

    def listed(self, parts: Parts[T]) -> list[T]:
        """Give the parts of all services in their order; no two may be equal. Not to be changed."""
        found: list[T] | None = self._worked.lists.get(parts)
        if found is None:
            found = [part for one in self for part in parts(self.scope, one)]
            found.sort()
            self._worked.lists[parts] = found
        return found

    def column(self, column: Column[T]) -> list[T]:
        """Give the value of each service, by its place; not to be changed. What stands where no service is says nothing."""
        values: list[Any] | None = self._worked.columns.get(column)
        if values is None:
            values = self._worked.columns[column] = [self._value(column, one) for one in self._places]
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
