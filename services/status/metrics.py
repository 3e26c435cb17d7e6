"""What status measures besides what every service does: its watches, and how far each programme is.

Invariant: a number here is the one that GetCompletion gives for today, and stands beside the plan it is counted against.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta

from services.common.dates import VIETNAM, vietnam_day
from services.common.metrics import DEAD_LETTERS, Metric, Metrics
from services.common.snapshot import Live
from services.status import usecases
from services.status.domain import ProgrammeVersion
from services.status.projection import CompletionSummary
from services.status.storage import SOURCES, State
from services.status.watch import Watches

_STATUS = ("status",)

WATCHES_OPEN = Metric("tiendo.watches.open", "gauge", "{watch}", "Watches that are being served.", (), _STATUS)
PLANNED = Metric(
    "tiendo.programme.planned_services", "gauge", "{service}", "The services of the plan.", ("programme",), _STATUS
)
COMPLETED = Metric(
    "tiendo.programme.completed_services",
    "gauge",
    "{service}",
    "The services that are certainly complete today, in Vietnam.",
    ("programme",),
    _STATUS,
)
TARGET_LEFT = Metric(
    "tiendo.programme.target_left",
    "gauge",
    "s",
    "Until the end of the target date; below 0 after it. Absent where there is no target.",
    ("programme",),
    _STATUS,
)
TARGET_AT_RISK = Metric(
    "tiendo.programme.target_at_risk",
    "gauge",
    "1",
    "1 while the target is ahead and the forecast gives it less than an even chance or, where there is none, fewer are "
    "complete than an even pace from the start asks for; 0 after the target.",
    ("programme",),
    _STATUS,
)

METRICS = (WATCHES_OPEN, PLANNED, COMPLETED, TARGET_LEFT, TARGET_AT_RISK)

_EVEN_CHANCE = 0.5


def at_risk(state: State, programme_id: str, counts: CompletionSummary, today: date) -> bool:
    """Tell whether the target is ahead and will rather be missed: by the forecast, else by an even pace."""
    programme = state.model.programmes[programme_id].versions[-1]
    if programme.target is None or programme.target.last_day() < today:
        return False
    chance = usecases.forecast(state, programme_id, today).target_chance
    return behind_even_pace(programme, counts, today) if chance is None else chance < _EVEN_CHANCE


def behind_even_pace(programme: ProgrammeVersion, counts: CompletionSummary, today: date) -> bool:
    """Tell whether fewer are complete today than an even pace from the first day to the last of the target asks for."""
    if programme.start is None or programme.target is None:
        return False
    first, last = programme.start.first_day(), programme.target.last_day()
    if not first <= today <= last:
        return False
    return counts.completed * ((last - first).days + 1) < counts.planned * (today - first).days


def observe(
    metrics: Metrics,
    live: Live[State],
    watches: Watches,
    clock: Callable[[], datetime],
) -> None:
    """Measure all of this module."""

    def risks() -> Iterator[tuple[float, Mapping[str, str]]]:
        state, today = live.current, vietnam_day(clock())
        for programme_id in state.model.programmes:
            if summary := state.model.summary(programme_id, today):
                yield at_risk(state, programme_id, summary, today), {"programme": programme_id}

    def programmes() -> Iterator[tuple[Mapping[str, str], ProgrammeVersion, CompletionSummary]]:
        model, today = live.current.model, vietnam_day(clock())
        for programme_id, programme in list(model.programmes.items()):
            summary = model.summary(programme_id, today)
            if summary is not None:
                yield {"programme": programme_id}, programme.versions[-1], summary

    def target_left() -> Iterator[tuple[float, Mapping[str, str]]]:
        for labels, programme, _ in programmes():
            if programme.target is not None:
                yield (_end_of(programme.target.last_day()) - clock()).total_seconds(), labels

    metrics.observe(WATCHES_OPEN, lambda: [(watches.open, {})])
    metrics.observe(
        DEAD_LETTERS, lambda: [(live.current.dead_letters.get(source, 0), {"source": source}) for source in SOURCES]
    )
    metrics.observe(PLANNED, lambda: [(counts.planned, labels) for labels, _, counts in programmes()])
    metrics.observe(COMPLETED, lambda: [(counts.completed, labels) for labels, _, counts in programmes()])
    metrics.observe(TARGET_LEFT, target_left)
    metrics.observe(TARGET_AT_RISK, risks)


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(), VIETNAM) + timedelta(days=1)
