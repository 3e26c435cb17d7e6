"""The rules asked of loose facts: each takes a programme, services, a day and an instant, and surveys them anew."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from services.status import domain
from services.status import forecast as forecasts
from services.status.domain import (
    EVERYTHING,
    Attention,
    BurnUp,
    Completion,
    Group,
    GroupBy,
    Interval,
    Outcome,
    Programme,
    ServiceHistory,
    Stage,
    Survey,
    Wanted,
)
from services.status.forecast import Forecast


def _survey(programme: Programme, services: Iterable[ServiceHistory], as_of: date, known_at: datetime) -> Survey:
    return Survey.of(programme, list(services), as_of, known_at)


def count(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    wanted: Wanted | None = None,
) -> Completion:
    """Count the services."""
    return domain.count(_survey(programme, services, as_of, known_at).where(wanted))


def count_groups(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    *,
    by: GroupBy,
) -> tuple[Group, ...]:
    """Divide what is counted."""
    return domain.count_groups(_survey(programme, services, as_of, known_at), by)


def attention(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    *,
    allowed_days: Mapping[Stage, int],
) -> Attention:
    """Give what wants attention."""
    return domain.attention(_survey(programme, services, as_of, known_at), allowed_days=allowed_days)


def burn_up(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    *,
    interval: Interval,
) -> BurnUp:
    """Give how completion grew."""
    return domain.burn_up(_survey(programme, services, as_of, known_at), interval=interval)


def forecast(
    programme: Programme, services: Iterable[ServiceHistory], as_of: date, known_at: datetime = EVERYTHING
) -> Forecast:
    """Forecast the programme."""
    return forecasts.forecast(_survey(programme, services, as_of, known_at))


def outcomes_of(
    programme: Programme, services: Iterable[ServiceHistory], as_of: date, known_at: datetime = EVERYTHING
) -> Iterator[tuple[str, Outcome]]:
    """Give each service's class."""
    return ((one.history.id, one.reading.outcome) for one in _survey(programme, services, as_of, known_at))
