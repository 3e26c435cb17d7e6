"""How answers, errors and typed values look on screen."""

from datetime import UTC, datetime

import pytest

from services.cli.output import (
    choose,
    detail_text,
    effective_date,
    evidence,
    figure_line,
    parse_date,
    parse_time,
    stage_text,
    transition_text,
)
from services.cli.session import UsageProblemError, error_text, to_json
from services.cli.status import screen
from services.cli.watch import event_line, event_type, kinds
from services.client import RefusedError, UnreachableError
from services.common.words import Lang, keys, word
from services.integration.domain import Detail
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2
from tiendo.status.v1 import completion_pb2, events_pb2, status_service_pb2


def completion(
    *, completed: int = 11, not_reported: int = 216, uncertain: int = 0
) -> status_service_pb2.GetCompletionResponse:
    """The answer that the seed alone gives."""
    return status_service_pb2.GetCompletionResponse(
        total=completion_pb2.Counts(
            planned=227,
            listed=227,
            completed=completed,
            uncertain=uncertain,
            in_progress=0,
            blocked=0,
            suspended=0,
            withdrawn=0,
            not_reported=not_reported,
        ),
        programme="programmes/bca-2022",
        as_of=date_pb2.PartialDate(year=2026, month=11, day=25),
        facts_through=date_pb2.PartialDate(year=2022, month=9),
        target_date=date_pb2.PartialDate(year=2022),
    )


def integrated_event() -> events_pb2.ProgressEvent:
    """The example of a later report."""
    event = events_pb2.ProgressEvent(
        kind=events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED,
        service="services/bca-012",
        display_name="Đăng ký tạm trú",
        effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=5)),
        completion=events_pb2.CompletionSummary(planned=227, completed=12, not_reported=215),
    )
    event.recorded_time.FromDatetime(datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC))
    return event


def test_figure_never_stands_alone() -> None:
    """The one line holds completed, planned, share, not reported and the date of the latest report."""
    line = figure_line(completion(), Lang.EN)

    assert line == "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022"


def test_status_screen_in_vietnamese() -> None:
    """The manager's screen is laid out as agreed, to the space."""
    lines = screen(completion(), Lang.VI, name="227 dịch vụ công trực tuyến của Bộ Công an", pace=72)

    assert lines == [
        "227 dịch vụ công trực tuyến của Bộ Công an · mục tiêu: hoàn thành trong năm 2022",
        "Số liệu tính đến 09/2022",
        "  Đã hoàn thành tích hợp     11 / 227    4,85%",
        "  Đang triển khai             0           trong đó vướng mắc: 0",
        "  Chưa rõ ngày                0",
        "  Tạm ngừng cung cấp          0",
        "  Đã rút khỏi kế hoạch        0",
        "  Chưa có báo cáo           216           không có nghĩa là chưa thực hiện",
        "Còn phải hoàn thành 216: cần bình quân 72 dịch vụ mỗi tháng đến 31/12/2022.",
    ]


def test_status_screen_shows_the_date_that_was_asked() -> None:
    """With a date asked, the screen is as of that date."""
    reply = completion(completed=0, uncertain=11)
    reply.as_of.CopyFrom(date_pb2.PartialDate(year=2022, month=9, day=15))

    lines = screen(reply, Lang.EN, name="x", asked=True)

    assert lines[1] == "As of 15/09/2022"
    assert lines[4] == "  Day not known              11"


def test_status_screen_after_the_target_says_that_it_passed_and_not_that_it_was_missed() -> None:
    """A date after the target gives no pace, but what is complete and what is not reported."""
    reply = completion()

    lines = screen(reply, Lang.EN, name="x", asked=True)

    assert lines[-1] == "Target date passed (within 2022): 11 / 227 completed, 216 not reported"


def test_event_line_in_vietnamese() -> None:
    """A watched event is one line: time in Vietnam, what, which, when, how many."""
    line = event_line(integrated_event(), Lang.VI, "25/11/2026")

    assert line == "08:02:03  Hoàn thành tích hợp  bca-012  Đăng ký tạm trú  05/10/2022  12 / 227"


def test_an_unreachable_portal_is_told_with_what_was_found() -> None:
    """Which portal and why, in the reader's language; what the service words anew is shown as it came."""
    event = events_pb2.ProgressEvent(
        kind=events_pb2.PROGRESS_EVENT_KIND_SERVICE_UNREACHABLE,
        service="services/bca-012",
        display_name="Đăng ký tạm trú",
        portal=integration_pb2.PORTAL_NATIONAL,
        reason="no answer within 10 s",
    )
    vi, en = (event_line(event, lang, "") for lang in (Lang.VI, Lang.EN))
    event.reason = "HTTP 404"

    assert vi.endswith("Không truy cập được  bca-012  Đăng ký tạm trú  Cổng DVCQG  không trả lời trong 10 giây")
    assert en.endswith("bca-012  Đăng ký tạm trú  National portal  no answer within 10 s")
    assert event_line(event, Lang.VI, "").endswith("Cổng DVCQG  HTTP 404")


def test_every_finding_is_worded() -> None:
    """What the service may say of an unreachable portal stands in the table, word for word."""
    assert {str(detail) for detail in Detail} == {
        word(key, Lang.EN) for key in keys() if key.startswith("portal_detail.")
    }
    assert all(detail_text(detail, Lang.VI) != detail for detail in Detail)


def test_event_of_an_earlier_day_shows_its_day() -> None:
    """The hour alone would mislead about yesterday's events."""
    line = event_line(integrated_event(), Lang.EN, "26/11/2026")

    assert line.startswith("25/11/2026  Integrated ")


def test_event_of_an_unknown_kind_is_shown_all_the_same() -> None:
    """A newer service's event is not dropped."""
    event = events_pb2.ProgressEvent(programme="programmes/bca-2022", service="services/bca-001", plan_number=1)
    event.kind = 99  # type: ignore[assignment]

    assert "99" in event_line(event, Lang.EN, "")
    assert event_type(events_pb2.PROGRESS_EVENT_KIND_PROGRAMME_TARGET_PASSED) == "programme.target_passed"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("blocked,reverted", ["SERVICE_BLOCKED", "SERVICE_REVERTED"]),
        ("service.integrated", ["SERVICE_INTEGRATED"]),
        ("milestone, target_passed", ["PROGRAMME_MILESTONE", "PROGRAMME_TARGET_PASSED"]),
        ("", []),
    ],
)
def test_only_takes_short_event_names(typed: str, expected: list[str]) -> None:
    """`--only` takes what people call the events."""
    found = [events_pb2.ProgressEventKind.Name(kind) for kind in kinds(typed, Lang.EN)]

    assert found == [f"PROGRESS_EVENT_KIND_{name}" for name in expected]


def test_stage_is_the_code_in_english_and_the_term_in_vietnamese() -> None:
    """English lines show what the commands take."""
    assert stage_text(integration_pb2.STAGE_BUILT, Lang.EN) == "BUILT"
    assert stage_text(integration_pb2.STAGE_BUILT, Lang.VI) == "Đã xây dựng"


def test_annulled_entry_is_marked_in_the_history() -> None:
    """A reader sees which entry no longer counts."""
    entry = transition_pb2.Transition(
        kind=transition_pb2.TRANSITION_KIND_ADVANCED,
        from_stage=integration_pb2.STAGE_SELECTED,
        to_stage=integration_pb2.STAGE_INTEGRATED,
        annulled_by=2,
    )

    assert transition_text(entry, Lang.EN) == "SELECTED → INTEGRATED (annulled)"


def test_choices_are_typed_short_and_in_any_case() -> None:
    """A stage is typed as people do, and a wrong one names the right ones."""
    assert (
        choose("live-on-ministry-portal", integration_pb2.Stage, "STAGE_", Lang.EN) == "STAGE_LIVE_ON_MINISTRY_PORTAL"
    )
    with pytest.raises(UsageProblemError, match="SELECTED, STANDARDISED"):
        choose("UNSPECIFIED", integration_pb2.Stage, "STAGE_", Lang.EN)


def test_dates_are_read_day_first() -> None:
    """05/10/2022 is the fifth of October in both languages."""
    assert parse_date("05/10/2022", Lang.EN) == date_pb2.PartialDate(year=2022, month=10, day=5)
    assert effective_date(None, Lang.EN) is None
    with pytest.raises(UsageProblemError, match="31/02/2022"):
        parse_date("31/02/2022", Lang.VI)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("2022-10-05T08:30:00+07:00", "2022-10-05T01:30:00+00:00"),
        ("2022-10-05T08:30", "2022-10-05T01:30:00+00:00"),
        ("05/10/2022", "2022-10-05T16:59:59.999999+00:00"),
    ],
)
def test_known_at_takes_instants_and_days(typed: str, expected: str) -> None:
    """An instant without an offset is Vietnam's, and a day means its end."""
    assert parse_time(typed, Lang.EN).astimezone(UTC).isoformat() == expected


def test_evidence_is_a_link_or_a_note() -> None:
    """An address becomes the link, anything else the note."""
    made = evidence(["12/BC-BCA", "https://example.vn/a"])

    assert [(each.note, each.link) for each in made] == [("12/BC-BCA", ""), ("", "https://example.vn/a")]


def test_two_people_at_once_are_told_who_was_first() -> None:
    """A stale etag is worded with time, person and change."""
    metadata = {
        "name": "integrations/bca-012",
        "changed_time": "2022-10-05T01:30:00Z",
        "changed_by": "lan",
        "change": "payment check: FAILED",
    }

    text = error_text(RefusedError("STALE_ETAG", "etag: …", "ABORTED", "etag", metadata), Lang.EN)

    assert text == (
        "Refused: bca-012 was changed at 05/10/2022 08:30 by lan (payment check: FAILED). Look, then run it again."
    )


def test_blocked_service_names_the_command_that_clears_it() -> None:
    """The remedy is a command, whatever the service calls its method."""
    metadata = {"name": "integrations/bca-013", "condition": "BLOCKED", "remedy": "UnblockIntegration"}

    text = error_text(RefusedError("NOT_ACTIVE", "…", "FAILED_PRECONDITION", "", metadata), Lang.EN)

    assert text == "Refused: bca-013: Blocked. Run first: tiendo integration unblock bca-013"


def test_unknown_reason_shows_the_service_own_words() -> None:
    """A newer service's refusal is understood without a newer command."""
    text = error_text(RefusedError("BRAND_NEW", "stage: do this instead", "ABORTED", "stage"), Lang.VI)

    assert text == "Từ chối: stage: do this instead"


def test_unreachable_service_names_its_address() -> None:
    """Nobody there: the address and what to do."""
    assert "127.0.0.1:7103" in error_text(UnreachableError("127.0.0.1:7103"), Lang.EN)
    assert "tiendo doctor" in error_text(UnreachableError("127.0.0.1:7103", late=True), Lang.VI)


def test_json_writes_zeros_and_keeps_letters() -> None:
    """JSON shows a zero, an empty text and Vietnamese letters as they are."""
    text = to_json(events_pb2.ProgressEvent(display_name="Đăng ký"))

    assert '"displayName": "Đăng ký"' in text
    assert '"sequence": "0"' in text
