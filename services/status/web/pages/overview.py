"""How complete the programme is, as of when, and whether it will be in time.

Invariant: a figure never stands alone, the lines add up to the plan, and silence is called "not reported".
"""

from dataclasses import dataclass
from typing import Any

from services.common.figures import NOTHING
from services.common.figures import day as shown_day
from services.status import domain
from services.status.charts import Order
from services.status.domain import EVERYTHING, Counts, GroupBy, Outcome, ProgrammeVersion, Stage
from services.status.forecast import Forecast, ForecastState
from services.status.report import cite_documents
from services.status.storage import State
from services.status.web.asked import Asked
from services.status.web.desk import Desk, data_reference
from services.status.web.listing import live_on_ministry_portal
from services.status.web.pages.burn_up import addresses, order, told_of
from services.status.web.pages.day import Day, ahead_of, day_of
from services.status.web.pages.frame import title_of
from services.status.web.pages.groups import RARE, Table, numbers_of, table_of
from services.status.web.wording import Words


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the bar: the class of counting, its number, and where it lies in per mille of the plan."""

    name: str
    text: str
    number: str
    count: int
    begin: float
    width: float
    note: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the key numbers, with what it is a number of."""

    term: str
    value: str
    note: str
    words: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The page."""

    title: str
    target: str
    day: Day
    headline: str
    share: str
    not_reported: str
    bar: tuple[Part, ...]
    bar_text: str
    blocked: str
    figures: tuple[Figure, ...]
    has_band: bool
    has_forecast: bool
    basis: str
    points: tuple[tuple[str, str, str, str], ...]
    stages: tuple[tuple[str, str, float, str, str], ...]
    tables: tuple[Table, ...]
    passed: str
    citations: tuple[str, ...]


async def overview(desk: Desk, ask: Asked, words: Words) -> dict[str, Any]:
    """Give the page. Raises Refusal."""
    state = desk.live.current
    asked = ("overview", ask.lang, ask.programme, ask.as_of, ask.known_at)
    chart = await order(desk, state, ask, words)
    view: View = await desk.work_out(state, asked, lambda: _view(desk, state, ask, words, chart))
    return {
        "page": "overview",
        "view": view,
        "chart": addresses(ask, chart),
        "updated": words.instant(state.head.recorded_time),
        "freshness": desk.freshness(words),
        "reference": data_reference(state),
    }


def _view(desk: Desk, state: State, ask: Asked, words: Words, chart: Order) -> View:
    day, today, known_at = day_of(desk, state, ask, words), desk.today(), ask.known_at or EVERYTHING
    survey = state.model.survey(ask.programme, day.day, known_at)
    version, total = survey.programme, domain.count(survey).total
    ahead = ahead_of(desk, state, ask)
    grown, told = chart.data, told_of(state, ask, chart.data, day.day, known_at)
    target = version.target
    passed = ""
    if target and target.last_day() < today and not ask.as_of and total.completed < total.planned:
        values = {name: words.number(getattr(total, name)) for name in ("completed", "planned", "not_reported")}
        passed = words("screen.status.target_passed", target=words.within(target), **values)
    return View(
        title_of(version, words.lang),
        words("page.target", target=words.within(target)) if target else words("page.no_target"),
        day,
        words("page.headline", completed=words.number(total.completed), planned=words.number(total.planned)),
        words.percent(total.completed, total.planned),
        words("page.headline_not_reported", number=words.number(total.not_reported)),
        _bar(total, words),
        _bar_text(total, words),
        words("screen.status.blocked", blocked=words.number(total.blocked)),
        _figures(total, version, ahead, live_on_ministry_portal(survey), words),
        any(point.uncertain for point in grown.points),
        bool(ahead.band),
        _basis(ahead, words),
        tuple(
            (
                shown_day(point.day),
                words.number(point.completed),
                words.number(point.uncertain),
                words.percent(point.completed, version.planned),
            )
            for point in told.points
        ),
        _stages(total, words),
        tuple(table_of(by, survey, total, words) for by in (GroupBy.FIELD, GroupBy.AGENCY)),
        passed,
        tuple(cite_documents(entry for entry in version.provenance if entry.kind == "SOURCE_DOCUMENT")),
    )


def _bar(total: Counts, words: Words) -> tuple[Part, ...]:
    begin, parts = 0.0, []
    for outcome, count in numbers_of(total).items():
        width = 1000 * count / total.planned if total.planned else 0.0
        if count or outcome not in RARE:
            note = words("screen.status.not_reported") if outcome is Outcome.NOT_REPORTED else ""
            name = outcome.name.lower()
            parts.append(Part(name, words.outcome(outcome), words.number(count), count, begin, width, note))
        begin += width
    return tuple(parts)


def _bar_text(total: Counts, words: Words) -> str:
    counts = (f"{words.outcome(outcome)}: {words.number(count)}" for outcome, count in numbers_of(total).items())
    return f"{words('count.planned')}: {words.number(total.planned)}. {'; '.join(counts)}."


def _figures(
    total: Counts, version: ProgrammeVersion, ahead: Forecast, on_portal: int, words: Words
) -> tuple[Figure, ...]:
    of_plan = words("page.of_planned", planned=words.number(total.planned))
    needed = Figure(words("term.needed_pace"), NOTHING, "")
    if ahead.needed_per_month is not None and version.target:
        until = words("page.until", date=shown_day(version.target.last_day()))
        needed = Figure(words("term.needed_pace"), words.number(ahead.needed_per_month), until)
    elif version.target and ahead.remaining:
        needed = Figure(words("term.needed_pace"), words("page.target_is_over"), "", words=True)
    too_little = words("page.too_little")
    actual = Figure(words("term.actual_pace"), too_little, "", words=True)
    if ahead.actual_per_month is not None:
        actual = Figure(words("term.actual_pace"), words.decimal(ahead.actual_per_month), words("page.by_dated"))
    return (
        Figure(words("page.remaining"), words.number(total.planned - total.completed), of_plan),
        needed,
        actual,
        Figure(words("page.on_ministry_portal"), words.number(on_portal), of_plan),
        _forecast_figure(ahead, words),
    )


def _forecast_figure(ahead: Forecast, words: Words) -> Figure:
    term = words("term.forecast")
    if ahead.state is ForecastState.COMPLETED:
        return Figure(term, words("page.all_complete"), "", words=True)
    if ahead.state is ForecastState.REPORTS_TOO_OLD:
        return Figure(term, words("page.too_old"), "", words=True)
    finish = dict(ahead.finish_dates)
    if ahead.state is not ForecastState.AVAILABLE or not finish:
        return Figure(term, words("page.too_little"), "", words=True)
    middle, late = finish.get(50), finish.get(85)
    value = middle.show() if middle else words("page.beyond")
    return Figure(term, value, words("page.forecast_late", date=late.show() if late else words("page.beyond")))


def _basis(ahead: Forecast, words: Words) -> str:
    """Say in a sentence what the forecast rests on, or why there is none."""
    basis = ahead.basis
    values = {
        "completions": basis.dated_completions,
        "dates": basis.distinct_dates,
        "weeks": basis.weeks,
        "least_dates": basis.minimum_distinct_dates,
        "least_weeks": basis.minimum_weeks,
    }
    return words(f"forecast.{ahead.state.name}", **{name: words.number(value) for name, value in values.items()})


def _stages(total: Counts, words: Words) -> tuple[tuple[str, str, float, str, str], ...]:
    most = max([1, *total.by_stage.values()])
    return tuple(
        (
            stage.name,
            words.stage(stage),
            1000 * count / most,
            words.number(count),
            _silent(total, count, words) if stage is Stage.SELECTED else "",
        )
        for stage, count in total.by_stage.items()
    )


def _silent(total: Counts, selected: int, words: Words) -> str:
    """Say of those at the first stage how many are there for nothing more being reported."""
    silent = total.not_reported - (total.planned - total.listed)
    if silent == selected:
        return words("screen.catalog.selected_only") if silent else ""
    return words("page.by_stage_not_reported", number=words.number(silent))
