"""Random histories of the autumn of 2022, legal and illegal, and the journals they could come from."""

from datetime import date, datetime, timedelta

from hypothesis import strategies as st

from services.common.dates import EffectiveDate, PartialDate
from services.status.domain import (
    CheckReport,
    Correction,
    Entry,
    LinkReport,
    PortalReport,
    Programme,
    ServiceHistory,
    ServiceVersion,
    Stage,
    Step,
    StepKind,
)
from services.status.projection import (
    CheckReported,
    CorrectionRecorded,
    Fact,
    LinkReported,
    Origin,
    PortalReported,
    ProgrammeRecorded,
    ServiceRecorded,
    StepRecorded,
)
from tests.support.status_facts import CONDITION_AFTER, PLAN, at, programme_version

FIRST = at("2022-08-20")
PLACES = 8
STAGES = (Stage.SELECTED, Stage.BUILT, Stage.INTEGRATED)

days = st.dates(date(2022, 8, 1), date(2022, 11, 10))
instants = st.integers(0, 80 * 24).map(lambda hours: FIRST + timedelta(hours=hours))


@st.composite
def effective_dates(draw: st.DrawFn) -> EffectiveDate:
    """A date of any precision in the autumn of 2022, on or at the latest."""
    day = draw(days)
    precision = draw(st.sampled_from(["day", "day", "month", "month", "year"]))
    told = PartialDate(day.year, 0 if precision == "year" else day.month, day.day if precision == "day" else 0)
    return EffectiveDate(told, draw(st.booleans()))


@st.composite
def entries(draw: st.DrawFn, number: int, recorded: datetime) -> Entry:
    """Any entry, whether a state machine would let it pass or not."""
    if number > 1 and draw(st.integers(0, 3)) == 0:
        effective = draw(st.none() | effective_dates())
        return Correction(number, recorded, draw(st.integers(1, number - 1)), effective)
    kind = draw(st.sampled_from([StepKind.ADVANCED, StepKind.ADVANCED, *StepKind]))
    stage = draw(st.sampled_from(STAGES)) if kind not in CONDITION_AFTER else None
    return Step(number, recorded, kind, draw(effective_dates()), stage, CONDITION_AFTER.get(kind))


@st.composite
def versions(draw: st.DrawFn, number: int, recorded: datetime) -> ServiceVersion:
    """What the catalog may say of a service: mostly a member of the plan."""
    owner = ("Cục A", None, draw(st.none() | days.map(PartialDate.of_day)))
    return ServiceVersion(
        recorded,
        alias="",
        display_name="",
        field=draw(st.sampled_from(["", "Đăng ký xe", "Hộ chiếu"])),
        agencies=draw(st.sampled_from([(), (owner,)])),
        levels=draw(st.sampled_from([(), ("tỉnh",), ("bộ", "tỉnh")])),
        memberships=draw(st.sampled_from([((PLAN, number),), ((PLAN, number), ("other", 1)), ((PLAN, 0),), ()])),
    )


@st.composite
def reports(draw: st.DrawFn, recorded: datetime) -> CheckReport:
    """A connection check in any state."""
    check, state = draw(st.sampled_from(["POST", "E_FORM"])), draw(st.sampled_from(["UNKNOWN", "PENDING", "PASSED"]))
    return CheckReport(check, state, recorded, None if state == "UNKNOWN" else draw(effective_dates()))


@st.composite
def histories(draw: st.DrawFn, number: int) -> ServiceHistory:
    """A service with some rows of each journal, recorded in their order."""
    told = sorted(draw(st.lists(instants, max_size=6)))
    listed = [FIRST, *sorted(draw(st.lists(instants, max_size=1)))]
    checked = sorted(draw(st.lists(instants, max_size=3)))
    return ServiceHistory(
        f"bca-{number:03}",
        tuple(draw(versions(number, recorded)) for recorded in listed),
        tuple(draw(entries(position, recorded)) for position, recorded in enumerate(told, 1)),
        tuple(draw(reports(recorded)) for recorded in checked),
    )


uris = st.sampled_from(["https://a.vn/", "https://b.vn/", ""])
plans = st.tuples(*(histories(number) for number in range(1, 4))).map(list)
programmes = st.sampled_from(["2022", "2022-09", ""]).map(
    lambda start: Programme(PLAN, (programme_version(PLACES, FIRST, start),))
)


@st.composite
def continued(draw: st.DrawFn, history: ServiceHistory, after: datetime) -> ServiceHistory:
    """The history with rows recorded later."""
    for hours in sorted(draw(st.lists(st.integers(0, 48), max_size=3))):
        told = (*history.entries, *history.versions, *history.check_reports)
        recorded = max([after, *(row.recorded for row in told)]) + timedelta(hours=hours, microseconds=1)
        history = history.with_entry(draw(entries(len(history.entries) + 1, recorded)))
        history = history.with_version(draw(versions(1, recorded)))
        history = history.with_report(draw(reports(recorded)))
    return history


@st.composite
def journals(draw: st.DrawFn) -> list[Fact]:
    """Rows of both journals for three services and the plan, in some order they could be read in."""
    facts: list[Fact] = [
        ProgrammeRecorded(Origin("catalog", "aa", 1, FIRST), PLAN, programme_version(PLACES, FIRST, "2022-09"))
    ]
    steps = {f"bca-{number:03}": 0 for number in range(1, 4)}
    for hours in sorted(draw(st.lists(st.integers(0, 80 * 24), max_size=25))):
        recorded = FIRST + timedelta(hours=hours)
        number = draw(st.integers(1, 3))
        service = f"bca-{number:03}"
        what = draw(
            st.sampled_from(["catalog", "check", "entry", "entry", "entry", "link", "portal", "portal", "programme"])
        )
        source = Origin(
            "catalog" if what in ("catalog", "programme") else "integration", "aa", len(facts) + 1, recorded
        )
        if what == "catalog":
            facts.append(ServiceRecorded(source, service, draw(versions(number, recorded)), draw(st.booleans())))
        elif what == "programme":
            facts.append(ProgrammeRecorded(source, PLAN, programme_version(PLACES, recorded, "2022")))
        elif what == "check":
            facts.append(CheckReported(source, service, draw(reports(recorded))))
        elif what == "link":
            facts.append(LinkReported(source, service, LinkReport("MINISTRY", draw(uris), recorded)))
        elif what == "portal":
            answer = PortalReport("MINISTRY", draw(uris), draw(st.booleans()), "", recorded)
            facts.append(PortalReported(source, service, answer))
        else:
            steps[service] += 1
            entry = draw(entries(steps[service], recorded))
            facts.append(
                StepRecorded(source, service, entry)
                if isinstance(entry, Step)
                else CorrectionRecorded(source, service, entry)
            )
    return facts
