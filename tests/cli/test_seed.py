"""The seed says what the source says, and marks what is ours."""

from importlib.resources import files

import pytest

from services.cli import seed
from services.cli.seed import ProvenanceKind, load, parse

# The source's own spelling, written by hand.
NAMES = [
    "Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông",
    "Đăng ký thường trú",
    "Đăng ký, cấp biển số mô tô, xe gắn máy",
    "Thu tiền nộp phạt xử lý vi phạm hành chính trong lĩnh vực giao thông đường bộ qua thiết bị ghi hình",
    "Cấp lại, đổi thẻ căn cước công dân",
    "Khai báo tạm vắng",
    "Thông báo lưu trú",
    "Xác nhận số Chứng minh nhân dân khi đã được cấp thẻ Căn cước công dân",
    "Thủ tục làm con dấu mới và cấp Giấy chứng nhận đã đăng ký mẫu con dấu",
    "Thủ tục làm con dấu thu nhỏ, dấu nổi, dấu xi và cấp Giấy chứng nhận đã đăng ký mẫu con dấu",
    "Cấp đổi, cấp lại giấy phép lái xe",
]


def _text() -> str:
    return (files(seed) / "bca_2022.toml").read_text(encoding="utf-8")


def test_the_programme() -> None:
    """The programme is the Ministry's 227 of 2022, with year precision and nothing finer."""
    programme = load().programme

    assert programme.id == "bca-2022"
    assert programme.display_name == "227 dịch vụ công trực tuyến của Bộ Công an"
    assert programme.planned_count == 227
    assert (programme.start_date, programme.target_date) == ("2022", "2022")
    assert programme.owner == "Bộ Công an"


def test_227_services_of_which_11_have_the_sources_names() -> None:
    """Each place of the plan is there once, in order: 11 with their exact names, 216 with none."""
    services = load().services

    assert [service.plan_number for service in services] == list(range(1, 228))
    assert [service.id for service in (services[0], services[11], services[226])] == ["bca-001", "bca-012", "bca-227"]
    assert len({service.id for service in services}) == 227
    assert [service.display_name for service in services[:11]] == NAMES


def test_slots_carry_a_number_and_nothing_invented() -> None:
    """A slot has no name, no gloss and no field."""
    slots = load().services[11:]

    assert len(slots) == 216
    assert all((slot.display_name, slot.english_gloss, slot.field) == ("", "", "") for slot in slots)


def test_every_value_has_a_provenance_with_a_citation() -> None:
    """Names are the source's; glosses, fields, plan numbers and memberships are marked as inferred."""
    services = load().services
    named = {entry.field: entry.kind for entry in services[0].provenance}
    slot = {entry.field: entry.kind for entry in services[11].provenance}

    assert named == {
        "display_name": ProvenanceKind.SOURCE_DOCUMENT,
        "english_gloss": ProvenanceKind.INFERRED,
        "field": ProvenanceKind.INFERRED,
        "memberships": ProvenanceKind.INFERRED,
        "memberships.plan_number": ProvenanceKind.INFERRED,
    }
    assert slot == {
        "memberships": ProvenanceKind.INFERRED,
        "memberships.plan_number": ProvenanceKind.INFERRED,
    }
    for service in services:
        assert all(1 <= len(entry.citation) <= 1_000 for entry in service.provenance)


def test_the_programmes_provenance() -> None:
    """The denominator, target and owner are the source's; the title and the start are ours."""
    kinds = {entry.field: entry.kind for entry in load().programme.provenance}

    assert kinds == {
        "display_name": ProvenanceKind.INFERRED,
        "english_gloss": ProvenanceKind.INFERRED,
        "planned_count": ProvenanceKind.SOURCE_DOCUMENT,
        "start_date": ProvenanceKind.INFERRED,
        "target_date": ProvenanceKind.SOURCE_DOCUMENT,
        "owner": ProvenanceKind.SOURCE_DOCUMENT,
    }


def test_the_11_are_dated_at_the_latest_september_2022() -> None:
    """Each completion is dated by September 2022, without a day, and quotes the source."""
    completions = load().completions

    assert [completion.service_id for completion in completions] == [f"bca-{number:03d}" for number in range(1, 12)]
    assert {(completion.date, completion.at_latest) for completion in completions} == {("2022-09", True)}
    assert all("“Đến tháng 9/2022”" in completion.evidence_note for completion in completions)
    assert all("14/6/2024" in completion.evidence_note for completion in completions)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("last_plan_number = 227", "last_plan_number = 226", "plan numbers"),
        ("first_plan_number = 12", "first_plan_number = 11", "plan numbers"),
        ("planned_count = 227", "planned_count = 228", "plan numbers"),
        ("plan_number = 7\n", "plan_number = 6\n", "plan numbers"),
        ('display_name = "Thông báo lưu trú"', 'display_name = "Khai báo tạm vắng"', "same name"),
        ('display_name = "Thông báo lưu trú"', 'display_name = ""', "empty"),
        ('date = "2022-09"', 'date = "2022-13"', "not a date"),
        ('evidence = "eleven"', 'evidence = "twelve"', "citation"),
        ('field = { kind = "INFERRED", citation = "field" }\n', "", "named_provenance"),
        ('kind = "SOURCE_DOCUMENT", citation = "eleven"', 'kind = "HEARD", citation = "eleven"', "HEARD"),
        ("at_latest = true", "at_latest = true\nday = 1", "completion"),
        ("at_latest = true", 'at_latest = "true"', "at_latest"),
    ],
)
def test_a_seed_that_says_something_else_is_refused(old: str, new: str, complaint: str) -> None:
    """A number missing or twice, a name twice, a bad date, a value without a source: each is refused and named."""
    text = _text()
    assert text.count(old) == 1

    with pytest.raises(ValueError, match=complaint):
        parse(text.replace(old, new))
