"""The table of words: complete, in both languages, and spelt as agreed."""

import pytest

from services.common.words import Lang, choose_lang, keys, values_of, word, word_error
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import error_reason_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import events_pb2

PROGRESS_EVENTS = [
    "service.added",
    "service.named",
    "service.advanced",
    "service.integrated",
    "service.reverted",
    "service.corrected",
    "service.blocked",
    "service.unblocked",
    "service.suspended",
    "service.resumed",
    "service.withdrawn",
    "service.reinstated",
    "service.stalled",
    "service.unreachable",
    "service.reachable",
    "programme.milestone",
    "programme.target_passed",
]

# Copied by hand from the agreed glossary and screens.
SPELLINGS = [
    ("stage.SELECTED", "Đã rà soát, lựa chọn", "Selected"),
    ("stage.STANDARDISED", "Đã chuẩn hóa thủ tục", "Procedure standardised"),
    ("stage.REENGINEERED", "Đã tái cấu trúc quy trình", "Process re-engineered"),
    ("stage.BUILT", "Đã xây dựng", "Built"),
    ("stage.TESTED", "Đã kiểm thử", "Tested"),
    ("stage.LIVE_ON_MINISTRY_PORTAL", "Đã cung cấp trên Cổng Bộ", "Live on the Ministry portal"),
    ("stage.INTEGRATED", "Đã hoàn thành tích hợp", "Integrated, on both portals"),
    ("condition.BLOCKED", "Đang vướng mắc", "Blocked"),
    ("condition.SUSPENDED", "Tạm ngừng cung cấp", "Suspended, was live"),
    ("condition.WITHDRAWN", "Đã rút khỏi kế hoạch", "Withdrawn from the plan"),
    ("count.planned", "Số dịch vụ trong kế hoạch", "Planned"),
    ("count.completed", "Đã hoàn thành tích hợp", "Completed"),
    ("count.uncertain", "Chưa rõ ngày", "Day not known"),
    ("count.not_reported", "Chưa có báo cáo", "Not reported"),
    ("count.in_progress", "Đang triển khai", "In progress"),
    ("provenance.SOURCE_DOCUMENT", "Theo tài liệu nguồn", "From the source document"),
    ("provenance.INFERRED", "Suy luận", "Inferred"),
    ("provenance.IMPORTED", "Nhập từ danh mục", "Imported"),
    ("provenance.REPORTED", "Theo báo cáo", "Reported"),
    ("event.service.added", "Đưa vào chương trình", "Added to the programme"),
    ("event.service.integrated", "Hoàn thành tích hợp", "Integrated"),
    ("event.service.reverted", "Lùi giai đoạn", "Moved back"),
    ("event.service.blocked", "Phát sinh vướng mắc", "Blocked"),
    ("event.service.unblocked", "Đã tháo gỡ vướng mắc", "Unblocked"),
    ("event.service.withdrawn", "Rút khỏi kế hoạch", "Withdrawn"),
    ("event.service.reinstated", "Đưa trở lại kế hoạch", "Reinstated"),
    ("event.service.stalled", "Chưa có chuyển biến", "Stalled"),
    ("event.service.reachable", "Truy cập lại được", "Reachable again"),
    ("event.programme.target_passed", "Đã qua thời hạn mục tiêu", "Target date passed"),
    ("check.IDENTITY", "Định danh, đăng nhập một lần", "Identity, single sign-on"),
    ("check.POPULATION_DATABASE", "CSDL quốc gia về dân cư", "National population database"),
    ("check.DOSSIER_SYNCHRONISATION", "Đồng bộ trạng thái hồ sơ", "Dossier status sync"),
    ("check.E_FORM", "Biểu mẫu điện tử", "Electronic form"),
    ("check_state.NOT_REQUIRED", "Không yêu cầu", "Not required"),
    ("check_state.PENDING", "Đang thực hiện", "Pending"),
    ("check_state.FAILED", "Không đạt", "Failed"),
    ("portal.NATIONAL", "Cổng Dịch vụ công quốc gia", "National Public Service Portal"),
    ("term.effective_date", "Ngày thực hiện", "Date it happened"),
    ("term.recorded_time", "Thời điểm ghi nhận", "Recorded"),
    ("term.claimed_unreachable", "Báo hoàn thành, không truy cập được", "Claimed but unreachable"),
    ("screen.status.not_reported", "không có nghĩa là chưa thực hiện", "does not mean not started"),
]


@pytest.mark.parametrize(
    ("section", "names", "prefix"),
    [
        ("stage", integration_pb2.Stage.keys(), "STAGE_"),
        ("condition", integration_pb2.Condition.keys(), "CONDITION_"),
        ("check", integration_pb2.Check.keys(), "CHECK_"),
        ("check_state", integration_pb2.CheckState.keys(), "CHECK_STATE_"),
        ("portal", integration_pb2.Portal.keys(), "PORTAL_"),
        ("portal_answer", integration_pb2.PortalAnswer.keys(), "PORTAL_ANSWER_"),
        ("naming", service_pb2.Naming.keys(), "NAMING_"),
        ("provenance", provenance_pb2.ProvenanceKind.keys(), "PROVENANCE_KIND_"),
        ("error", error_reason_pb2.ErrorReason.keys(), "ERROR_REASON_"),
    ],
)
def test_every_value_of_the_contract_is_worded(section: str, names: list[str], prefix: str) -> None:
    """Each stage, condition, check, state, portal, naming, provenance and error reason has words in both languages."""
    for name in names:
        short = name.removeprefix(prefix)
        if short == "UNSPECIFIED":
            continue
        vi = word(f"{section}.{short}", Lang.VI, number=12)
        en = word(f"{section}.{short}", Lang.EN, number=12)

        assert vi
        assert en
        assert vi != en
        assert short not in (vi, en)


def test_every_progress_event_is_worded() -> None:
    """Each of the 17 event types of the contract has words in both languages."""
    contract = [
        name.removeprefix("PROGRESS_EVENT_KIND_").lower().replace("_", ".", 1)
        for name, number in events_pb2.ProgressEventKind.items()
        if number
    ]

    assert contract == PROGRESS_EVENTS
    assert {key for key in keys() if key.startswith("event.")} == {f"event.{name}" for name in PROGRESS_EVENTS}
    for name in PROGRESS_EVENTS:
        assert word(f"event.{name}", Lang.VI, percent=10) != word(f"event.{name}", Lang.EN, percent=10)


def test_no_words_are_kept_for_what_does_not_exist() -> None:
    """The table words no error reason that the contract does not have."""
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in error_reason_pb2.ErrorReason.items()}

    for section in ("error", "error_detail", "error_within"):
        worded = {key.removeprefix(f"{section}.") for key in keys() if key.startswith(f"{section}.")}
        assert worded <= reasons


def test_error_sentences_are_for_people() -> None:
    """An error's sentence takes no values, holds no name in code, and says at its end that it ends."""
    for key in keys():
        if key.startswith("error."):
            assert values_of(key) == frozenset()
            for lang in Lang:
                text = word(key, lang)
                assert "_" not in text
                assert text.endswith((".", "tiendo doctor", "search", "history", "tiendo watch"))


@pytest.mark.parametrize(("key", "vi", "en"), SPELLINGS)
def test_spellings(key: str, vi: str, en: str) -> None:
    """Words on screen are spelt as the glossary has them."""
    assert (word(key, Lang.VI), word(key, Lang.EN)) == (vi, en)


def test_sentences_take_their_values() -> None:
    """Sentences of the screens read as agreed once their values are in."""
    figures = {"completed": 11, "planned": 227, "not_reported": 216}
    attention = word("screen.status.target_passed", Lang.VI, target="trong năm 2022", **figures)
    summary = word("screen.summary.line", Lang.EN, percent="4.85 %", as_of="09/2022", **figures)
    named = word("screen.catalog.named", Lang.EN, id="bca-012", name="Đăng ký tạm trú", alias="dang-ky-tam-tru")
    needed = word("screen.status.needed", Lang.VI, remaining=216, per_month=72, date="31/12/2022")

    assert word("screen.watch.following", Lang.VI, programme="bca-2022") == "Đang theo dõi bca-2022 · Ctrl-C để dừng"
    assert word("screen.watch.following", Lang.EN, programme="bca-2022") == "Watching bca-2022 · Ctrl-C to stop"
    assert word("screen.watch.stopped", Lang.VI, token="x1") == "Đã dừng. Xem tiếp từ đây: tiendo watch --after x1"
    assert word("event.programme.milestone", Lang.VI, percent=50) == "Đạt mốc 50%"
    assert word("event.programme.milestone", Lang.EN, percent=50) == "Reached 50 %"
    assert attention == "Đã qua thời hạn mục tiêu (trong năm 2022): 11 / 227 đã hoàn thành, 216 chưa có báo cáo"
    assert summary == "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022"
    assert named == 'bca-012 is now "Đăng ký tạm trú" (also dang-ky-tam-tru). Number and history unchanged.'
    assert needed == "Còn phải hoàn thành 216: cần bình quân 72 dịch vụ mỗi tháng đến 31/12/2022."


def test_unknown_keys_and_missing_values_are_refused() -> None:
    """A key that is not in the table, or a value that is not given, is a KeyError and never a gap on screen."""
    with pytest.raises(KeyError):
        word("stage.FINISHED", Lang.VI)
    with pytest.raises(KeyError):
        word("naming.SLOT", Lang.EN)


def test_an_error_names_the_field_and_the_fix() -> None:
    """A refusal is worded with its field, and with its values when it came with all of them."""
    metadata = {"name": "integrations/bca-012", "check": "PAYMENT", "state": "FAILED"}

    assert word_error("EMPTY_REASON", Lang.VI, field="reason") == "Lý do: Phải ghi lý do."
    assert word_error("CHECK_NOT_PASSED", Lang.EN, metadata, "stage") == (
        "Stage: bca-012: the check “Online payment” is “Failed”; "
        "set it to passed or not required before completing the integration."
    )
    assert word_error("CHECK_NOT_PASSED", Lang.EN, {"name": "integrations/bca-012"}) == (
        "A connection check has not passed; set it to passed or not required before completing the integration."
    )
    assert word_error("INVALID_VALUE", Lang.EN, field="codes[0].code") == (
        "codes[0].code: The value is not of the expected form; correct it."
    )
    with pytest.raises(KeyError):
        word_error("SOMETHING_NEWER", Lang.EN)


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        ("vi", {"LANG": "en_US.UTF-8"}, Lang.VI),
        ("EN", {"LANG": "vi_VN.UTF-8"}, Lang.EN),
        (None, {"LANG": "vi_VN.UTF-8"}, Lang.VI),
        (None, {"LANG": "vi"}, Lang.VI),
        (None, {"LC_ALL": "C.UTF-8", "LANG": "vi_VN"}, Lang.EN),
        (None, {"LC_ALL": "", "LC_MESSAGES": "vi_VN.UTF-8", "LANG": "en_GB.UTF-8"}, Lang.VI),
        (None, {"LANG": "fr_FR.UTF-8"}, Lang.EN),
        (None, {"LANG": "vie_VN"}, Lang.EN),
        (None, {}, Lang.EN),
    ],
)
def test_the_language_is_the_option_else_the_terminals_else_english(
    option: str | None, environ: dict[str, str], expected: Lang
) -> None:
    """--lang wins, then LC_ALL, LC_MESSAGES and LANG in this order, then English."""
    assert choose_lang(option, environ) is expected


def test_an_unknown_language_is_refused() -> None:
    """--lang takes vi and en, nothing else."""
    with pytest.raises(ValueError, match="fr"):
        choose_lang("fr", {})
