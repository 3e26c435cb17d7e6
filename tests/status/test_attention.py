"""What wants attention: by which rule, since when, and which command mends it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import PartialDate
from services.status.domain import (
    EVERYTHING,
    Attention,
    AttentionKind,
    CheckReport,
    Item,
    LinkReport,
    Outcome,
    PortalReport,
    Programme,
    ServiceHistory,
    Stage,
    StepKind,
    TargetPassed,
    item_key,
)
from tests.support.status_facts import (
    TODAY,
    annulled,
    at,
    condition_step,
    member,
    on,
    plan,
    redated,
    reverted,
    seed,
    service_version,
    stage_step,
)
from tests.support.status_histories import days, instants, plans, programmes
from tests.support.surveys import attention, count, outcomes_of

ALLOWED = dict.fromkeys(Stage, 60)
DAY = date(2022, 10, 31)
TOLD = at("2022-10-01")


def wanted(*services: ServiceHistory, as_of: date = DAY) -> Attention:
    """What wants attention in the autumn of 2022, before the target."""
    return attention(plan(), services, as_of, allowed_days=ALLOWED)


def kinds(*services: ServiceHistory, as_of: date = DAY) -> list[str]:
    """The reasons in their order."""
    return [item.kind.name for item in wanted(*services, as_of=as_of).items]


def test_the_seed_alone_has_no_items_but_a_target_that_has_passed() -> None:
    """Services not reported are one number, never items; the target has passed, and nobody says it was missed."""
    found = attention(plan(), seed(), TODAY, allowed_days=ALLOWED)

    assert found.items == ()
    assert found.counts == dict.fromkeys(AttentionKind, 0)
    assert found.not_reported == 216
    assert found.target_passed == TargetPassed(PartialDate(2022), 227, 11, 216)
    assert attention(plan(), seed(), date(2022, 12, 31), allowed_days=ALLOWED).target_passed is None
    assert attention(plan(11), seed()[:11], TODAY, allowed_days=ALLOWED).target_passed is None


def test_blocked_and_suspended_say_since_when_why_by_whom_and_what_clears_them() -> None:
    """The step that holds it up is told, and the command that clears it."""
    blocking = replace(condition_step(2, StepKind.BLOCKED, on("2022-10"), TOLD), actor="lan")
    version = replace(
        service_version(12, name="Đăng ký tạm trú", agencies=(("Cục A", None, None),)), alias="dang-ky-tam-tru"
    )
    blocked = member(stage_step(1, Stage.BUILT, on("2022-09-30"), TOLD), blocking, number=12, version=version)
    live = stage_step(1, Stage.LIVE_ON_MINISTRY_PORTAL, on("2022-09-30"), TOLD)
    suspended = member(live, condition_step(2, StepKind.SUSPENDED, on("2022-10-01"), TOLD), number=13)

    first, second = wanted(suspended, blocked).items

    assert first == Item(
        AttentionKind.BLOCKED,
        "bca-012",
        "dang-ky-tam-tru",
        "Đăng ký tạm trú",
        12,
        Stage.BUILT,
        blocking.condition or first.condition,
        on("2022-10"),
        0,
        "vướng mắc",
        "lan",
        "Cục A",
        command="tiendo integration unblock bca-012 --date …",
    )
    assert (second.kind, second.days) == (AttentionKind.SUSPENDED, 30)
    assert second.command == "tiendo integration resume bca-013 --date …"


def test_reverted_until_it_came_as_far_again() -> None:
    """A step on the way back is not yet the place it went back from; reaching that place, or an annulment, ends it."""
    steps = [
        stage_step(1, Stage.TESTED, on("2022-10-01"), TOLD),
        reverted(2, Stage.STANDARDISED, on("2022-10-02"), TOLD),
        stage_step(3, Stage.BUILT, on("2022-10-03"), TOLD),
    ]
    (item,) = wanted(member(*steps)).items

    assert (item.kind, item.since, item.reason) == (AttentionKind.REVERTED, on("2022-10-02"), "làm lại")
    assert item.command == "tiendo integration advance bca-001 --to TESTED --date …"
    assert kinds(member(*steps, stage_step(4, Stage.TESTED, on("2022-10-04"), TOLD))) == []
    assert kinds(member(*steps[:2], annulled(3, 2, TOLD))) == []


def test_a_failed_check_until_it_says_something_else() -> None:
    """Each failed check is an item of its own, and a service with two counts once."""
    failed = [CheckReport(check, "FAILED", TOLD, on("2022-10-01"), actor="minh") for check in ("PAYMENT", "POST")]
    passed = CheckReport("POST", "PASSED", at("2022-10-05"), on("2022-10-05"))
    unknown = CheckReport("POST", "UNKNOWN", at("2022-10-05"), None)

    found = wanted(member(checks=(*failed,)))

    assert [(item.check, item.actor, item.days) for item in found.items] == [
        ("PAYMENT", "minh", 30),
        ("POST", "minh", 30),
    ]
    assert found.counts[AttentionKind.CHECK_FAILED] == 1
    assert found.items[0].command == "tiendo integration check bca-001 PAYMENT PASSED --date …"
    assert kinds(member(checks=(*failed[1:], passed))) == []
    assert kinds(member(checks=(*failed[1:], unknown))) == []
    assert kinds(member(checks=(*failed[1:], passed)), as_of=date(2022, 10, 3)) == ["CHECK_FAILED"]


def test_overdue_is_what_is_reported_and_not_complete_after_the_target() -> None:
    """Not on the day of the target itself, and not what is complete, not reported, out of the plan or abolished."""
    late = member(stage_step(1, Stage.BUILT, on("2022-12-01"), at("2022-12-01")), number=1)
    done = member(stage_step(1, Stage.INTEGRATED, on("2022-12-01"), at("2022-12-01")), number=2)
    gone = member(*late.entries, condition_step(2, StepKind.WITHDRAWN, on("2022-12-02"), at("2022-12-03")), number=4)
    retired = member(*late.entries, number=5, version=replace(service_version(5), retired=True))
    services = (late, done, member(number=3), gone, retired)

    assert kinds(*services, as_of=date(2022, 12, 31)) == []
    (item,) = wanted(*services, as_of=date(2023, 1, 10)).items
    assert (item.kind, item.service, item.days, item.actor) == (AttentionKind.OVERDUE, "bca-001", 10, "")
    assert item.since == on("2022")


@pytest.mark.parametrize(
    ("as_of", "stalls"), [(date(2022, 10, 30), False), (date(2022, 10, 31), True), (date(2022, 12, 31), True)]
)
def test_stalled_after_more_days_than_the_stage_allows(as_of: date, stalls: bool) -> None:
    """Counted from the last day of the latest certain step; of a stage with its own number by that number."""
    moved = member(stage_step(1, Stage.BUILT, on("2022-08"), at("2022-10-01")))
    found = attention(plan(), [moved], as_of, allowed_days=ALLOWED | {Stage.BUILT: 60})
    longer = attention(plan(), [moved], as_of, allowed_days=ALLOWED | {Stage.BUILT: 200})

    assert [item.kind for item in found.items] == [AttentionKind.STALLED] * stalls
    assert [item.allowed_days for item in found.items] == [60] * stalls
    assert longer.items == ()


def test_only_work_that_goes_on_can_stall() -> None:
    """What is blocked, complete or off is told otherwise; what only a check tells of stalls from the check's date."""
    told = at("2022-01-02")
    live = stage_step(1, Stage.LIVE_ON_MINISTRY_PORTAL, on("2022-01-01"), told)
    blocked = member(live, condition_step(2, StepKind.BLOCKED, on("2022-01-01"), told), number=1)
    done = member(stage_step(1, Stage.INTEGRATED, on("2022-01-01"), told), number=2)
    checked = member(checks=(CheckReport("POST", "PENDING", told, on("2022-01-01")),), number=3)

    assert kinds(blocked, done) == ["BLOCKED"]
    (item,) = wanted(checked).items
    assert (item.kind, item.stage, item.since) == (AttentionKind.STALLED, Stage.SELECTED, on("2022-01-01"))
    assert item.command == "tiendo integration advance bca-003 --to … --date …"


def test_claimed_complete_while_a_portal_does_not_show_it() -> None:
    """Since it first did not, by the link that stands; not before, not once it does, not for what is not complete."""

    def answer(day: str, *, reachable: bool = False, uri: str = "https://example.vn/a") -> PortalReport:
        return PortalReport("NATIONAL", uri, reachable, "" if reachable else "HTTP 404", at(day))

    done = stage_step(1, Stage.INTEGRATED, on("2022-09-01"), TOLD)
    link = LinkReport("NATIONAL", "https://example.vn/a", at("2022-10-01"))
    broken = (answer("2022-10-02", reachable=True), answer("2022-10-05"), answer("2022-10-07"))

    def claimed(*reports: PortalReport, links: tuple[LinkReport, ...] = (link,)) -> ServiceHistory:
        return replace(member(done), link_reports=links, portal_reports=reports)

    (item,) = wanted(claimed(*broken)).items
    assert (item.kind, item.portal, item.detail) == (AttentionKind.UNREACHABLE, "NATIONAL", "HTTP 404")
    assert (item.since, item.days) == (on("2022-10-05"), 26)
    assert item.command == "tiendo integration check-portal bca-001 --portal NATIONAL"
    assert kinds(claimed(*broken), as_of=date(2022, 10, 4)) == []
    assert kinds(claimed(*broken, answer("2022-10-09", reachable=True))) == []
    assert kinds(claimed(*broken, links=(link, replace(link, uri="", recorded=at("2022-10-09"))))) == []
    assert kinds(replace(claimed(*broken), entries=())) == []


def test_a_corrected_date_is_the_one_that_counts() -> None:
    """A step that was re-dated moved when the correction says."""
    step, told = stage_step(1, Stage.BUILT, on("2022-01-01"), TOLD), at("2022-10-02")

    assert kinds(member(step)) == ["STALLED"]
    assert kinds(member(step, redated(2, 1, on("2022-10-01"), told))) == []


@given(programmes, plans, days, st.just(EVERYTHING) | instants)
def test_items_are_reported_services_in_order(
    programme: Programme, services: Sequence[ServiceHistory], as_of: date, known_at: datetime
) -> None:
    """No item is of a service not reported or withdrawn; counts are services; by kind, then longest, then by service."""
    found = attention(programme, services, as_of, known_at, allowed_days=dict.fromkeys(Stage, 10))
    outcomes = dict(outcomes_of(programme, services, as_of, known_at))

    assert found.not_reported == count(programme, services, as_of, known_at).total.not_reported
    assert not {outcomes[item.service] for item in found.items} & {Outcome.NOT_REPORTED, Outcome.WITHDRAWN}
    assert found.counts == {
        kind: len({item.service for item in found.items if item.kind is kind}) for kind in AttentionKind
    }
    keys = [item_key(item) for item in found.items]
    assert keys == sorted(set(keys))
    assert [(item.kind, -item.days) for item in found.items] == sorted((item.kind, -item.days) for item in found.items)
