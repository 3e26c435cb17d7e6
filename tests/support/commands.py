"""Random commands to integration: five services, some weeks of the autumn of 2022."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support import naive
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb

BEGUN = datetime(2022, 8, 20, 1, 0, tzinfo=UTC)
IDS = tuple(f"bca-{number:03}" for number in range(1, 6))
_VERBS = ("Advance", "Revert", "Block", "Unblock", "Suspend", "Resume", "Withdraw", "Reinstate")
_WAY_OUT = {naive.BLOCKED: "Unblock", naive.SUSPENDED: "Resume", naive.WITHDRAWN: "Reinstate"}

Command = tuple[str, Any]
"""A method and its request."""
Present = dict[str, Any]
"""The integrations as they stand, by name."""


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = BEGUN

    def __call__(self) -> datetime:
        """Give the time it shows."""
        return self.now

    def tick(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    @property
    def today(self) -> date:
        """The day in Vietnam."""
        return (self.now + timedelta(hours=7)).date()


class When(NamedTuple):
    """A date told at some time: days before that day (after it, below 0), its precision, and whether it is the latest."""

    days_ago: int
    precision: str
    at_latest: bool = False

    def on(self, today: date) -> date_pb2.PartialDate:
        """The date, told today."""
        day = today - timedelta(days=self.days_ago)
        month = 0 if self.precision == "year" else day.month
        return date_pb2.PartialDate(year=day.year, month=month, day=day.day if self.precision == "day" else 0)

    def effective(self, today: date) -> date_pb2.EffectiveDate:
        """The effective date, told today."""
        return date_pb2.EffectiveDate(date=self.on(today), at_latest=self.at_latest)


def _fitting(stage: int, condition: int) -> list[str]:
    """The verbs that may follow; what leads onwards several times."""
    if condition != naive.ACTIVE:
        return [_WAY_OUT[condition]]
    if stage == naive.INTEGRATED:
        return ["Revert", "Suspend", "Withdraw"]
    onwards = ["Advance"] * 4 + ["Block", "Withdraw"]
    live = ["Suspend"] if stage == naive.LIVE else []
    return onwards + live + (["Revert"] if stage > naive.SELECTED else [])


class Step(NamedTuple):
    """A step of some service; a likely one follows from its state, another one may be none at all."""

    service: str
    likely: bool
    verb: int
    stage: int
    when: When | None
    reason: str
    etag: str

    def request(self, present: Present, today: date) -> Command:
        """The command, given the integrations as they stand."""
        integration = present.get(f"integrations/{self.service}")
        verb, stage = _VERBS[self.verb % len(_VERBS)], self.stage
        if self.likely and integration:
            fitting = _fitting(integration.stage, integration.condition)
            verb = fitting[self.verb % len(fitting)]
            below, above = range(1, integration.stage), range(integration.stage + 1, 8)
            choice = (above if verb == "Advance" else below) or [stage]
            stage = choice[stage % len(choice)]
        fields: dict[str, Any] = {"stage": stage}
        if verb not in ("Advance", "Revert"):
            del fields["stage"]
        if self.when:
            fields["effective_date"] = self.when.effective(today)
        if self.etag:
            fields["etag"] = integration.etag if integration and self.etag == "present" else self.etag
        kind = getattr(pb, f"{verb}IntegrationRequest")
        return f"{verb}Integration", kind(name=f"integrations/{self.service}", reason=self.reason, **fields)


class Batch(NamedTuple):
    """Several advances, all or nothing; each by so many stages."""

    steps: list[tuple[str, int, When | None]]

    def request(self, present: Present, today: date) -> Command:
        """The command."""
        request = pb.BatchAdvanceIntegrationsRequest()
        for service, by, when in self.steps:
            integration = present.get(f"integrations/{service}")
            stage = min(integration.stage + by, 7) if integration else 7
            one = request.requests.add(name=f"integrations/{service}", stage=stage)
            if when:
                one.effective_date.CopyFrom(when.effective(today))
        return "BatchAdvanceIntegrations", request


class Correction(NamedTuple):
    """Another date for an entry, counted from that of the newest, or its annulment; mostly of one that is there."""

    service: str
    back: int
    when: When | None

    def request(self, present: Present, today: date) -> Command:
        """The command."""
        name = f"integrations/{self.service}"
        number = max(0, present[name].transition_count - self.back) if name in present else self.back
        request = pb.CorrectTransitionRequest(name=name, transition=number, reason="ghi nhầm")
        if self.when:
            newest = present[name].effective_date.date if name in present else None
            base = min(naive.last_day(newest), today) if newest and newest.year else today
            request.effective_date.CopyFrom(self.when.effective(base))
        else:
            request.annul = True
        return "CorrectTransition", request


class CheckReport(NamedTuple):
    """How a connection check stands."""

    service: str
    check: int
    state: int
    when: When | None

    def request(self, _present: Present, today: date) -> Command:
        """The command."""
        name = f"integrations/{self.service}"
        request = pb.SetConnectionCheckRequest(name=name, check=self.check, state=self.state)  # type: ignore[arg-type]
        if self.when:
            request.date.CopyFrom(self.when.effective(today))
        return "SetConnectionCheck", request


class Link(NamedTuple):
    """The address in a portal; none removes it."""

    service: str
    uri: str

    def request(self, _present: Present, _today: date) -> Command:
        """The command."""
        name, portal = f"integrations/{self.service}", integration_pb2.PORTAL_NATIONAL
        return "SetPortalLink", pb.SetPortalLinkRequest(name=name, portal=portal, uri=self.uri)


def _often(strategy: st.SearchStrategy[Any], times: int) -> list[st.SearchStrategy[Any]]:
    # Of strategies that are the same only one would count.
    return [strategy.map(lambda one: one) for _ in range(times)]


ids = st.sampled_from(IDS[:3] * 3 + IDS)
# Mostly the last weeks, mostly in the past, and now and then a day to come.
whens = st.builds(
    When, st.integers(-2, 40), st.sampled_from(["day", "day", "day", "month", "month", "year"]), st.booleans()
)
recently = st.none() | st.builds(When, st.integers(-1, 9), st.sampled_from(["day", "day", "month"]), st.booleans())
around = st.builds(When, st.integers(-15, 9), st.sampled_from(["day", "day", "month"]), st.booleans())
integration_commands = st.one_of(
    *_often(
        st.builds(
            Step,
            ids,
            st.sampled_from([True] * 7 + [False]),
            st.integers(0, 55),
            st.integers(1, 7),
            recently,
            st.sampled_from(["vướng mắc"] * 15 + [""]),
            st.sampled_from([""] * 6 + ["present", "stale"]),
        ),
        6,
    ),
    *_often(st.builds(Correction, ids, st.integers(-1, 4), st.none() | around | around.map(lambda when: when)), 2),
    st.builds(Batch, st.lists(st.tuples(ids, st.sampled_from([1, 1, 2, 0]), recently), min_size=1, max_size=3)),
    st.builds(CheckReport, ids, st.integers(1, 2), st.integers(1, 5), st.none() | whens),
    st.builds(Link, ids, st.sampled_from(["https://dichvucong.gov.vn/1", "", "ftp://x"])),
)
