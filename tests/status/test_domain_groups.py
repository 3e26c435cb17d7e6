"""A total is divided without losing a place: what is not known is a group too, and comes last."""

from datetime import date

from services.common.dates import PartialDate
from services.status.domain import (
    Group,
    GroupBy,
    ServiceHistory,
    Stage,
)
from tests.support.status_facts import (
    BY_SEPTEMBER,
    member,
    on,
    plan,
    service_version,
    stage_step,
)
from tests.support.surveys import count_groups

TODAY = date(2024, 6, 20)


def keys(groups: tuple[Group, ...]) -> list[tuple[str, bool, int, int, int]]:
    """Key, whether not known, planned, listed, completed."""
    return [(g.key, g.not_known, g.counts.planned, g.counts.listed, g.counts.completed) for g in groups]


def grouped() -> list[ServiceHistory]:
    """Five services in different fields, levels and agencies."""
    moved = (
        ("Cục A", None, PartialDate(2022, 6)),
        ("Cục B", PartialDate(2022, 7), None),
    )
    done = stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER)
    return [
        member(done, number=1, version=service_version(1, field="Hộ chiếu", agencies=moved, levels=("bộ", "tỉnh"))),
        member(done, number=2, version=service_version(2, field="Đăng ký xe", levels=("tỉnh",))),
        member(number=3, version=service_version(3, field="Con dấu", agencies=(("Cục B", None, None),))),
        member(number=4, version=service_version(4, field="Hộ chiếu", levels=("tỉnh", "tỉnh"))),
        member(number=5),
    ]


def test_groups_come_by_the_vietnamese_alphabet() -> None:
    """C comes before Đ before H, and last what is not known with the places nobody fills."""
    groups = count_groups(plan(7), grouped(), TODAY, by=GroupBy.FIELD)

    assert keys(groups) == [
        ("Con dấu", False, 1, 1, 0),
        ("Đăng ký xe", False, 1, 1, 1),
        ("Hộ chiếu", False, 2, 2, 1),
        ("", True, 3, 1, 0),
    ]


def test_an_agency_owns_on_the_day_asked() -> None:
    """A service belongs to the agency that owned it then, both ends of its time included."""
    june = count_groups(plan(7), grouped(), date(2022, 6, 30), by=GroupBy.AGENCY)
    july = count_groups(plan(7), grouped(), date(2022, 7, 1), by=GroupBy.AGENCY)

    assert keys(june) == [("Cục A", False, 1, 1, 0), ("Cục B", False, 1, 1, 0), ("", True, 5, 3, 0)]
    assert keys(july) == [("Cục B", False, 2, 2, 0), ("", True, 5, 3, 0)]


def test_of_two_owners_the_one_that_began_last_owns() -> None:
    """Where a hand-over day is in both times, the new agency owns."""
    version = service_version(
        agencies=(("Cục B", PartialDate(2022, 7, 1), None), ("Cục A", None, PartialDate(2022, 7, 1)))
    )

    assert version.agency_on(date(2022, 6, 30)) == "Cục A"
    assert version.agency_on(date(2022, 7, 1)) == "Cục B"


def test_levels_overlap() -> None:
    """A service at two levels is in both groups, and once in one that it names twice."""
    groups = count_groups(plan(7), grouped(), TODAY, by=GroupBy.LEVEL)

    assert keys(groups) == [("bộ", False, 1, 1, 1), ("tỉnh", False, 3, 3, 2), ("", True, 4, 2, 0)]


def test_stages_come_in_their_order() -> None:
    """A stage's group holds those whose latest certain stage it is; with every place filled none is left over."""
    services = [*grouped(), member(stage_step(1, Stage.BUILT, on("2022-03-01")), number=6)]

    assert keys(count_groups(plan(7), services, TODAY, by=GroupBy.STAGE)) == [
        ("SELECTED", False, 3, 3, 0),
        ("BUILT", False, 1, 1, 0),
        ("INTEGRATED", False, 2, 2, 2),
        ("", True, 1, 0, 0),
    ]
    assert keys(count_groups(plan(6), services, TODAY, by=GroupBy.STAGE))[-1] == ("INTEGRATED", False, 2, 2, 2)
