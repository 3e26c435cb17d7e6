"""Bad input to integration: each gets its status, reason and field, and writes nothing."""

from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from tests.support.integration import day, integration_of, refused
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb

BAD, STATE = "INVALID_ARGUMENT", "FAILED_PRECONDITION"
NAME = "integrations/bca-001"
BLOCKED = "integrations/bca-002"
LIVE = "integrations/bca-003"

Case = tuple[str, Message, tuple[str, str, str]]


def advance(*expected: str, name: str = NAME, stage: Any = ip.STAGE_BUILT, **fields: Any) -> Case:
    """A refused advance."""
    request = pb.AdvanceIntegrationRequest(name=name, stage=stage, **fields)
    return "AdvanceIntegration", request, (expected[0], expected[1], expected[2])


def asked(method: str, code: str, why: str, place: str, /, **fields: Any) -> Case:
    """Any other refused call; bca-001 is meant where no name is given."""
    request_type = getattr(pb, f"{method}Request")
    if "name" in request_type.DESCRIPTOR.fields_by_name:
        fields = {"name": NAME} | fields
    return method, request_type(**fields), (code, why, place)


CASES: list[Case] = [
    # Names
    advance(BAD, "MISSING_VALUE", "name", name=""),
    advance(BAD, "INVALID_NAME", "name", name="bca-001"),
    advance(BAD, "INVALID_NAME", "name", name="services/bca-001"),
    advance(BAD, "INVALID_NAME", "name", name="integrations/BCA"),
    advance(BAD, "INVALID_NAME", "name", name=f"integrations/{'a' * 64}"),
    advance("NOT_FOUND", "INTEGRATION_NOT_FOUND", "name", name="integrations/bca-099"),
    asked("GetIntegration", BAD, "MISSING_VALUE", "name", name=""),
    asked("GetIntegration", "NOT_FOUND", "INTEGRATION_NOT_FOUND", "name", name="integrations/x"),
    asked("ListTransitions", "NOT_FOUND", "INTEGRATION_NOT_FOUND", "parent", parent="integrations/x"),
    asked("ListTransitions", BAD, "MISSING_VALUE", "parent"),
    # Enums
    advance(BAD, "MISSING_VALUE", "stage", stage=0),
    advance(BAD, "UNKNOWN_VALUE", "stage", stage=8),
    advance(BAD, "UNKNOWN_VALUE", "stage", stage=-1),
    asked("RevertIntegration", BAD, "MISSING_VALUE", "stage", reason="r"),
    asked("SetConnectionCheck", BAD, "MISSING_VALUE", "check", state=1),
    asked("SetConnectionCheck", BAD, "UNKNOWN_VALUE", "check", check=7, state=1),
    asked("SetConnectionCheck", BAD, "MISSING_VALUE", "state", check=1),
    asked("SetConnectionCheck", BAD, "UNKNOWN_VALUE", "state", check=1, state=6),
    asked("SetPortalLink", BAD, "MISSING_VALUE", "portal", uri="http://a.vn"),
    asked("SetPortalLink", BAD, "UNKNOWN_VALUE", "portal", portal=3, uri="http://a.vn"),
    # Portal checks
    asked("CheckPortal", BAD, "MISSING_VALUE", "name", name=""),
    asked("CheckPortal", BAD, "UNKNOWN_VALUE", "portal", portal=3),
    asked("CheckPortal", "NOT_FOUND", "INTEGRATION_NOT_FOUND", "name", name="integrations/bca-099"),
    asked("CheckPortal", STATE, "PORTAL_LINK_MISSING", "name"),
    asked("CheckPortal", STATE, "PORTAL_LINK_MISSING", "portal", portal=2),
    asked("CheckPortal", BAD, "INVALID_REQUEST_ID", "request_id", request_id="ổ"),
    asked("CheckPortal", BAD, "INVALID_TOKEN", "at_least[0]", at_least=["x"]),
    asked("ListPortalChecks", BAD, "MISSING_VALUE", "parent"),
    asked("ListPortalChecks", BAD, "UNKNOWN_VALUE", "portal", parent=NAME, portal=3),
    asked("ListPortalChecks", "NOT_FOUND", "INTEGRATION_NOT_FOUND", "parent", parent="integrations/x"),
    asked("ListPortalChecks", BAD, "INVALID_PAGE_SIZE", "page_size", parent=NAME, page_size=-1),
    asked("ListPortalChecks", BAD, "INVALID_PAGE_TOKEN", "page_token", parent=NAME, page_token="x"),
    # Dates
    advance(BAD, "DATE_IN_FUTURE", "effective_date", effective_date=day(2100, 3, 3)),
    advance(BAD, "INVALID_DATE", "effective_date.date.day", effective_date=day(2022, 2, 31)),
    advance(BAD, "INVALID_DATE", "effective_date.date.month", effective_date=day(2022, 13)),
    advance(BAD, "INVALID_DATE", "effective_date.date.month", effective_date=day(2022, 0, 5)),
    advance(BAD, "INVALID_DATE", "effective_date.date.year", effective_date=day(10000)),
    advance(BAD, "INVALID_DATE", "effective_date.date.year", effective_date=day(-1)),
    advance(BAD, "MISSING_VALUE", "effective_date.date", effective_date=date_pb2.EffectiveDate(at_latest=True)),
    advance(STATE, "DATE_GOES_BACK", "effective_date", name=LIVE, stage=7, effective_date=day(2022, 9)),
    asked("SetConnectionCheck", BAD, "DATE_IN_FUTURE", "date", check=1, state=4, date=day(2101)),
    asked("SetConnectionCheck", BAD, "INVALID_VALUE", "date", check=1, state=1, date=day(2022)),
    # Texts
    advance(BAD, "TEXT_TOO_LONG", "reason", reason="ă" * 2001),
    advance(BAD, "INVALID_CHARACTER", "reason", reason="a\0b"),
    asked("BlockIntegration", BAD, "EMPTY_REASON", "reason"),
    asked("BlockIntegration", BAD, "EMPTY_REASON", "reason", reason=" \n\u200b"),
    asked("SuspendIntegration", BAD, "EMPTY_REASON", "reason", name=LIVE),
    asked("WithdrawIntegration", BAD, "EMPTY_REASON", "reason"),
    asked("RevertIntegration", BAD, "EMPTY_REASON", "reason", name=LIVE, stage=ip.STAGE_BUILT),
    advance(BAD, "EMPTY_EVIDENCE", "evidence[1]", evidence=[{"note": "n"}, {}]),
    advance(BAD, "TOO_MANY", "evidence", evidence=[{"note": "n"}] * 21),
    advance(BAD, "INVALID_VALUE", "evidence[0].link", evidence=[{"link": "ftp://a.vn"}]),
    advance(BAD, "TEXT_TOO_LONG", "evidence[0].document_number", evidence=[{"document_number": "1" * 101}]),
    advance(
        BAD, "EVENT_TOO_LARGE", "", evidence=[provenance_pb2.Evidence(note="ế" * 2000, link="")] * 20, reason="ế" * 2000
    ),
    asked("SetPortalLink", BAD, "INVALID_VALUE", "uri", portal=1, uri="javascript:alert(1)"),
    asked("SetPortalLink", BAD, "TEXT_TOO_LONG", "uri", portal=1, uri="http://a.vn/" + "a" * 2000),
    # The state machine
    advance(STATE, "ILLEGAL_TRANSITION", "stage", stage=ip.STAGE_SELECTED),
    advance(STATE, "ILLEGAL_TRANSITION", "stage", name=LIVE, stage=ip.STAGE_BUILT),
    advance(STATE, "NOT_ACTIVE", "name", name=BLOCKED),
    asked("RevertIntegration", STATE, "ILLEGAL_TRANSITION", "stage", stage=ip.STAGE_BUILT, reason="r"),
    asked("BlockIntegration", STATE, "NOT_ACTIVE", "name", name=BLOCKED, reason="r"),
    asked("SuspendIntegration", STATE, "ILLEGAL_TRANSITION", "name", reason="r"),
    asked("UnblockIntegration", STATE, "ILLEGAL_TRANSITION", "name"),
    asked("ResumeIntegration", STATE, "ILLEGAL_TRANSITION", "name"),
    asked("ReinstateIntegration", STATE, "ILLEGAL_TRANSITION", "name"),
    # Corrections
    asked("CorrectTransition", BAD, "MISSING_VALUE", "effective_date", reason="r"),
    asked("CorrectTransition", BAD, "INVALID_VALUE", "annul", annul=False, reason="r"),
    asked("CorrectTransition", BAD, "INVALID_VALUE", "transition", annul=True, transition=-1, reason="r"),
    asked("CorrectTransition", BAD, "EMPTY_REASON", "reason", name=BLOCKED, annul=True),
    asked("CorrectTransition", "NOT_FOUND", "TRANSITION_NOT_FOUND", "transition", annul=True, reason="r"),
    asked(
        "CorrectTransition",
        "NOT_FOUND",
        "TRANSITION_NOT_FOUND",
        "transition",
        name=LIVE,
        transition=9,
        annul=True,
        reason="r",
    ),
    asked(
        "CorrectTransition",
        STATE,
        "CORRECTION_BREAKS_HISTORY",
        "transition",
        name="integrations/bca-004",
        transition=1,
        annul=True,
        reason="r",
    ),
    asked(
        "CorrectTransition",
        STATE,
        "DATE_GOES_BACK",
        "effective_date",
        name="integrations/bca-004",
        transition=1,
        effective_date=day(2022, 8),
        reason="r",
    ),
    # What guards a command
    advance("ABORTED", "STALE_ETAG", "etag", etag="x"),
    asked("CorrectTransition", "ABORTED", "STALE_ETAG", "etag", name=LIVE, annul=True, reason="r", etag="x"),
    asked("SetConnectionCheck", "ABORTED", "STALE_ETAG", "etag", check=1, state=4, etag="x"),
    asked("SetPortalLink", "ABORTED", "STALE_ETAG", "etag", portal=1, uri="http://a.vn", etag="x"),
    advance(BAD, "INVALID_REQUEST_ID", "request_id", request_id="ổ"),
    advance(BAD, "INVALID_REQUEST_ID", "request_id", request_id="a" * 129),
    advance(BAD, "INVALID_TOKEN", "at_least[0]", at_least=["x"]),
    advance(BAD, "TOO_MANY", "at_least", at_least=["x"] * 21),
    # Batches
    asked("BatchAdvanceIntegrations", BAD, "MISSING_VALUE", "requests"),
    asked("BatchAdvanceIntegrations", BAD, "TOO_MANY", "requests", requests=[{"name": NAME, "stage": 4}] * 1001),
    asked(
        "BatchAdvanceIntegrations",
        BAD,
        "INVALID_VALUE",
        "requests[0].request_id",
        requests=[{"name": NAME, "stage": 4, "request_id": "a"}],
    ),
    asked(
        "BatchAdvanceIntegrations",
        BAD,
        "INVALID_VALUE",
        "requests[0].at_least",
        requests=[{"name": NAME, "stage": 4, "at_least": ["a"]}],
    ),
    asked(
        "BatchAdvanceIntegrations",
        BAD,
        "INVALID_DATE",
        "requests[1].effective_date.date.month",
        requests=[{"name": NAME, "stage": 4}, {"name": NAME, "stage": 5, "effective_date": day(2022, 13)}],
    ),
    # Lists
    asked("ListIntegrations", BAD, "INVALID_NAME", "programme", programme="bca-2022"),
    asked("ListIntegrations", BAD, "INVALID_PAGE_SIZE", "page_size", page_size=-1),
    asked("ListIntegrations", BAD, "INVALID_PAGE_TOKEN", "page_token", page_token="x"),
    asked("ListIntegrations", BAD, "INVALID_FILTER", "filter", filter="stage ="),
    asked("ListIntegrations", BAD, "UNKNOWN_FIELD", "filter", filter="colour = red"),
    asked("ListIntegrations", BAD, "UNKNOWN_VALUE", "filter", filter="stage = STAGE_BUILT"),
    asked("ListIntegrations", BAD, "UNKNOWN_VALUE", "filter", filter='check = "PAYMENT:GREEN"'),
    asked("ListIntegrations", BAD, "UNKNOWN_FIELD", "order_by", order_by="colour"),
    asked("ListTransitions", BAD, "INVALID_PAGE_SIZE", "page_size", parent=NAME, page_size=-1),
    asked("ListTransitions", BAD, "INVALID_PAGE_TOKEN", "page_token", parent=NAME, page_token="x"),
    asked("ListEvents", BAD, "INVALID_VALUE", "after_sequence", after_sequence=-1),
    asked("ListEvents", BAD, "INVALID_PAGE_SIZE", "page_size", page_size=-1),
    asked("ListEvents", STATE, "EPOCH_CHANGED", "epoch", epoch="another"),
]


async def test_bad_input_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    """Every case gets its own code, reason and field, in words that begin with the field; the journal stays as it was."""
    async with integration_of(tmp_path, slots=4) as service:
        await service.call("BlockIntegration", pb.BlockIntegrationRequest(name=BLOCKED, reason="chờ"))
        await service.advance("bca-003", ip.STAGE_LIVE_ON_MINISTRY_PORTAL, effective_date=day(2022, 10, 5))
        await service.advance("bca-004", ip.STAGE_TESTED, effective_date=day(2022, 5))
        await service.call(
            "RevertIntegration",
            pb.RevertIntegrationRequest(
                name="integrations/bca-004", stage=ip.STAGE_BUILT, reason="lỗi", effective_date=day(2022, 7)
            ),
        )
        # Evidence of checks is in every event of its integration: bca-001 has no room for much more.
        for check in (ip.CHECK_IDENTITY, ip.CHECK_POST):
            await service.call(
                "SetConnectionCheck",
                pb.SetConnectionCheckRequest(
                    name=NAME,
                    check=check,
                    state=ip.CHECK_STATE_PASSED,
                    evidence=[provenance_pb2.Evidence(note="ế" * 500)] * 10,
                ),
            )
        before = service.runtime.live.current
        found = [(method, await refused(service.call(method, request))) for method, request, _ in CASES]
        after = service.runtime.live.current

    assert [(method, refusal.short) for method, refusal in found] == [
        (method, expected) for method, _, expected in CASES
    ]
    assert [refusal.message for _, refusal in found if not refusal.message.startswith(f"{refusal.field}")] == []
    assert after == before


async def test_an_unknown_number_is_named(tmp_path: Path) -> None:
    """The refusal of an enum number names field, number and what is offered instead."""
    async with integration_of(tmp_path) as service:
        refusal = await refused(service.advance("bca-001", 8))

    assert refusal.metadata == {"value": "8"}
    assert refusal.message == (
        "stage: 8 is not known to this version; give one of SELECTED, STANDARDISED, REENGINEERED, BUILT, TESTED, "
        "LIVE_ON_MINISTRY_PORTAL, INTEGRATED"
    )
