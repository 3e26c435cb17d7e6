"""The rules of the catalog, by themselves."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import domain
from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal

NOW = datetime(2022, 10, 5, 1, 0, tzinfo=UTC)
PLACE = domain.Membership("bca-2022", 12)


def a_service(**fields: Any) -> domain.Service:
    """A slot with what the test asks for."""
    return replace(domain.new_service("bca-012", NOW, "an"), **fields)


def a_programme(planned_count: int = 227) -> domain.Programme:
    """A programme with so many places."""
    made = domain.new_programme("bca-2022", NOW, "an")
    return replace(made, display_name="Đề án", planned_count=planned_count)


def refused_service(**fields: Any) -> tuple[Reason, tuple[str, ...]]:
    """Reason and fields of the refusal of a service."""
    with pytest.raises(Refusal) as caught:
        domain.checked_service(a_service(**fields))
    return caught.value.reason, tuple(caught.value.fields)


def test_a_slot_is_a_service_without_a_name() -> None:
    """Naming follows from the display name alone."""
    assert a_service().naming is domain.Naming.SLOT
    assert a_service(display_name="Đăng ký thường trú").naming is domain.Naming.NAMED


def test_texts_are_stored_composed_and_trimmed() -> None:
    """An NFD name with blanks at its ends is stored as the NFC name."""
    stored = domain.checked_service(a_service(display_name="  Đăng ký thường trú "))

    assert stored.display_name == "Đăng ký thường trú"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"display_name": "x" * 1001}, Reason.TEXT_TOO_LONG, "service.display_name"),
        ({"display_name": "a\0b"}, Reason.INVALID_CHARACTER, "service.display_name"),
        ({"field": "x" * 201}, Reason.TEXT_TOO_LONG, "service.field"),
        ({"levels": ("tỉnh",) * 11}, Reason.TOO_MANY, "service.levels"),
        ({"levels": ("tỉnh", "")}, Reason.MISSING_VALUE, "service.levels[1]"),
        ({"audiences": ("a",) * 21}, Reason.TOO_MANY, "service.audiences"),
        ({"channels": ("x" * 201,)}, Reason.TEXT_TOO_LONG, "service.channels[0]"),
        ({"memberships": (PLACE, PLACE)}, Reason.INVALID_VALUE, "service.memberships"),
        (
            {"procedure_codes": (domain.ProcedureCode("1.00329", None, None),)},
            Reason.INVALID_VALUE,
            "service.procedure_codes[0].code",
        ),
        (
            {"procedure_codes": (domain.ProcedureCode("١.٠٠٣٢٩٠", None, None),)},
            Reason.INVALID_VALUE,
            "service.procedure_codes[0].code",
        ),
        (
            {"agencies": (domain.Agency("C06", PartialDate(2022), PartialDate(2021)),)},
            Reason.INVALID_VALUE,
            "service.agencies[0].valid_to",
        ),
        (
            {"online_levels": (domain.OnlineLevel(domain.OnlineLevelScheme.ND42_2022, "4", None),)},
            Reason.INVALID_VALUE,
            "service.online_levels[0].level",
        ),
        (
            {"provenance": (domain.Provenance("displayName", domain.ProvenanceKind.INFERRED, "x"),)},
            Reason.INVALID_VALUE,
            "service.provenance[0].field",
        ),
        (
            {"provenance": (domain.Provenance("", domain.ProvenanceKind.INFERRED, " "),)},
            Reason.MISSING_VALUE,
            "service.provenance[0].citation",
        ),
    ],
)
def test_what_the_contract_forbids_is_refused_by_field(fields: dict[str, Any], reason: Reason, field: str) -> None:
    """Each broken limit gives its reason and the field that breaks it."""
    assert refused_service(**fields) == (reason, (field,))


def test_a_dotted_path_may_have_a_source_of_its_own() -> None:
    """Provenance names a field of a part, as in memberships.plan_number."""
    entry = domain.Provenance("memberships.plan_number", domain.ProvenanceKind.INFERRED, "in the order of the report")

    assert domain.checked_service(a_service(provenance=(entry,))).provenance == (entry,)


@pytest.mark.parametrize("count", [0, -1, 1_000_001])
def test_a_denominator_outside_its_bounds_is_refused(count: int) -> None:
    """planned_count goes from 1 to a million."""
    with pytest.raises(Refusal) as caught:
        domain.checked_programme(a_programme(planned_count=count))

    assert caught.value.reason is Reason.INVALID_VALUE


@pytest.mark.parametrize("places", [[0, 0, 0], [3]])
def test_a_denominator_never_leaves_members_without_a_place(places: list[int]) -> None:
    """Neither the number of members nor the highest plan number may exceed the plan."""
    with pytest.raises(Refusal) as caught:
        domain.checked_programme(a_programme(planned_count=2), places)

    assert caught.value.reason is Reason.PLAN_CONFLICT


@pytest.mark.parametrize(
    ("number", "members", "taken", "refused"),
    [
        (0, 0, None, False),
        (227, 226, None, False),
        (228, 0, None, True),
        (-1, 0, None, True),
        (1, 227, None, True),
        (7, 10, "bca-007", True),
    ],
)
def test_a_place_is_inside_the_plan_and_free(number: int, members: int, taken: str | None, refused: bool) -> None:
    """A plan number lies within the plan, is nobody else's, and the plan has room."""
    membership = domain.Membership("bca-2022", number)
    reason = None
    try:
        domain.check_place(membership, a_programme(), members, taken, "service.memberships[0]")
    except Refusal as refusal:
        reason = refusal.reason

    assert reason == (Reason.PLAN_CONFLICT if refused else None)


def test_an_alias_that_is_taken_gets_the_next_number() -> None:
    """The third service of one name is -3."""
    taken = {"dang-ky-thuong-tru", "dang-ky-thuong-tru-2"}
    named = domain.with_alias(a_service(display_name="Đăng ký thường trú"), taken.__contains__)

    assert named.alias == "dang-ky-thuong-tru-3"


def test_a_name_without_latin_letters_has_no_alias_and_the_old_one_stays_its_own() -> None:
    """Renaming to another script leaves the alias empty; the older one is kept among the former."""
    renamed = domain.with_alias(a_service(display_name="公安", alias="cong-an"), {"cong-an"}.__contains__)

    assert (renamed.alias, renamed.former_aliases) == ("", ("cong-an",))


def test_an_old_name_gets_its_old_alias_back() -> None:
    """Renaming to a former name takes the former alias again, not a numbered one."""
    service = a_service(display_name="Một", alias="hai", former_aliases=("mot",))
    renamed = domain.with_alias(service, {"mot", "hai"}.__contains__)

    assert (renamed.alias, renamed.former_aliases) == ("mot", ("hai",))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=90), max_size=12))
def test_aliases_are_ids_and_never_clash(names: list[str]) -> None:
    """Whatever the names, an alias has at most 63 characters of a-z, 0-9 and hyphen, and belongs to one service."""
    taken: set[str] = set()
    for display_name in names * 2:
        alias = domain.with_alias(a_service(display_name=display_name), taken.__contains__).alias

        assert alias not in taken
        assert len(alias) <= 63
        assert set(alias) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")

        taken |= {alias} - {""}


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ([domain.Evidence("", " ", "")], Reason.EMPTY_EVIDENCE),
        ([domain.Evidence("", "ftp://x", "")], Reason.INVALID_VALUE),
        ([domain.Evidence("1/QĐ", "", "")] * 21, Reason.TOO_MANY),
    ],
)
def test_evidence_says_something(evidence: list[domain.Evidence], reason: Reason) -> None:
    """Evidence has a number, a web address or a note, and there are at most twenty."""
    with pytest.raises(Refusal) as caught:
        domain.checked_evidence(evidence)

    assert caught.value.reason is reason
