"""Commands of integration, and that they are kept, over gRPC, on both engines."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from services.common.db import read_transaction
from services.common.journal import digest_of
from services.integration import storage, usecases, wire
from tests.support.integration import ACTOR, NAMED, day, integration_of, refused
from tiendo.common.v1 import provenance_pb2
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb
from tiendo.integration.v1 import transition_pb2 as tp

NAME = "integrations/bca-001"


def step(kind: str, **fields: Any) -> tuple[str, Any]:
    """A transition command on bca-001."""
    return f"{kind}Integration", getattr(pb, f"{kind}IntegrationRequest")(name=NAME, **fields)


# What was done before, the command, the stage, condition and reason after it, the event.
STEPS: dict[str, tuple[list[tuple[str, Any]], tuple[str, Any], tuple[int, int, str], str]] = {
    "advance": (
        [],
        step("Advance", stage=ip.STAGE_BUILT, reason="xong"),
        (ip.STAGE_BUILT, ip.CONDITION_ACTIVE, ""),
        "integration_advanced",
    ),
    "revert": (
        [step("Advance", stage=ip.STAGE_TESTED)],
        step("Revert", stage=ip.STAGE_BUILT, reason="lỗi"),
        (ip.STAGE_BUILT, ip.CONDITION_ACTIVE, ""),
        "integration_reverted",
    ),
    "block": (
        [],
        step("Block", reason="chờ"),
        (ip.STAGE_SELECTED, ip.CONDITION_BLOCKED, "chờ"),
        "integration_blocked",
    ),
    "unblock": (
        [step("Block", reason="chờ")],
        step("Unblock"),
        (ip.STAGE_SELECTED, ip.CONDITION_ACTIVE, ""),
        "integration_unblocked",
    ),
    "suspend": (
        [step("Advance", stage=ip.STAGE_INTEGRATED)],
        step("Suspend", reason="tắt"),
        (ip.STAGE_INTEGRATED, ip.CONDITION_SUSPENDED, "tắt"),
        "integration_suspended",
    ),
    "resume": (
        [step("Advance", stage=ip.STAGE_INTEGRATED), step("Suspend", reason="tắt")],
        step("Resume"),
        (ip.STAGE_INTEGRATED, ip.CONDITION_ACTIVE, ""),
        "integration_resumed",
    ),
    "withdraw": (
        [],
        step("Withdraw", reason="bỏ"),
        (ip.STAGE_SELECTED, ip.CONDITION_WITHDRAWN, "bỏ"),
        "integration_withdrawn",
    ),
    "reinstate": (
        [step("Withdraw", reason="bỏ")],
        step("Reinstate"),
        (ip.STAGE_SELECTED, ip.CONDITION_ACTIVE, ""),
        "integration_reinstated",
    ),
}


@pytest.mark.parametrize("name", STEPS)
async def test_each_step_is_taken_told_and_kept(integration_database: str, name: str) -> None:
    """Reply, resource, history and journal say the same of each kind of step."""
    before, (method, request), (stage, condition, reason), event_name = STEPS[name]
    async with integration_of(integration_database) as service:
        for earlier_method, earlier in before:
            await service.call(earlier_method, earlier)
        was = await service.get("bca-001")
        reply = await service.call(method, request)
        found = await service.get("bca-001", reply.revision)
        history = await service.history("bca-001")
        event = (await service.events())[-1]

    assert reply.integration == found == event.integration
    assert (found.stage, found.condition, found.reason) == (stage, condition, reason)
    assert found.transition_count == len(before) + 1
    assert found.etag != was.etag
    assert found.update_actor == ACTOR
    assert reply.transition == history[-1] == getattr(event, event_name).transition
    assert event.WhichOneof("event") == event_name
    assert reply.transition.kind == tp.TransitionKind.Value(f"TRANSITION_KIND_{event_name.split('_')[1].upper()}")
    assert reply.transition.name == f"{NAME}/transitions/{len(before) + 1}"
    assert reply.transition.reason == request.reason
    assert (event.actor, event.request_id) == (ACTOR, "")


async def test_a_step_keeps_date_evidence_and_words_as_they_were_told(integration_database: str) -> None:
    """A month stays a month, and evidence comes back with the history; a step without a date is by today in Vietnam."""
    evidence = [provenance_pb2.Evidence(document_number="12/QĐ-BCA", link="https://example.vn/12", note="trang 3")]
    async with integration_of(integration_database) as service:
        told = await service.advance(
            "bca-001", ip.STAGE_BUILT, effective_date=day(2022, 9, at_latest=True), evidence=evidence
        )
        untold = await service.advance("bca-001", ip.STAGE_TESTED)
        history = await service.history("bca-001")

    assert told.transition.effective_date == told.integration.effective_date == day(2022, 9, at_latest=True)
    assert list(history[0].evidence) == evidence
    assert untold.transition.effective_date == day(2100, 3, 2, at_latest=True)


async def test_a_request_id_has_one_effect_and_one_reply(integration_database: str) -> None:
    """The same id and content again, at once or after a restart, gives the same reply and no event; other content is refused."""
    async with integration_of(integration_database) as service:
        replies = await asyncio.gather(
            *(service.advance("bca-001", ip.STAGE_BUILT, request_id="one") for _ in range(5))
        )
        count = len(await service.events())
        other = await refused(service.advance("bca-001", ip.STAGE_TESTED, request_id="one"))
    async with integration_of(integration_database) as service:
        again = await service.advance("bca-001", ip.STAGE_BUILT, request_id="one")
        later_count = len(await service.events())

    assert {reply.SerializeToString() for reply in [*replies, again]} == {again.SerializeToString()}
    assert count == later_count == 4
    assert other.short == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", "request_id")
    assert other.metadata == {"request_id": "one"}


async def test_a_refused_command_may_be_sent_again_under_its_id(integration_database: str) -> None:
    """Only what was done is remembered."""
    async with integration_of(integration_database) as service:
        first = await refused(service.call(*step("Unblock", request_id="two")))
        await service.call(*step("Block", reason="chờ"))
        second = await service.call(*step("Unblock", request_id="two"))

    assert first.reason == "ILLEGAL_TRANSITION"
    assert second.integration.condition == ip.CONDITION_ACTIVE


async def test_a_stale_etag_says_what_changed_when_and_by_whom(integration_database: str) -> None:
    """Of two commands with one etag the first wins; the second is told what happened, and nothing is lost."""
    async with integration_of(integration_database) as service:
        etag = (await service.get("bca-001")).etag
        check = pb.SetConnectionCheckRequest(name=NAME, check=ip.CHECK_PAYMENT, state=ip.CHECK_STATE_FAILED, etag=etag)
        await service.call("SetConnectionCheck", check)
        refusal = await refused(service.advance("bca-001", ip.STAGE_BUILT, etag=etag))
        now = await service.get("bca-001")
        await service.advance("bca-001", ip.STAGE_BUILT, etag=now.etag)

    assert refusal.short == ("ABORTED", "STALE_ETAG", "etag")
    assert refusal.metadata == {
        "name": NAME,
        "changed_time": "2100-03-01T20:00:00.000000Z",
        "changed_by": ACTOR,
        "change": "payment check: FAILED",
    }
    assert refusal.message == (
        f"etag: {NAME} was changed at 2100-03-01T20:00:00.000000Z by {ACTOR} (payment check: FAILED); "
        "read it again, look, and send the call with its new etag"
    )
    assert now.stage == ip.STAGE_SELECTED


async def test_checks_guard_the_last_stage_only(integration_database: str) -> None:
    """PENDING and FAILED keep it from INTEGRATED; a check that fails later is recorded and moves nothing."""
    async with integration_of(integration_database) as service:
        request = pb.SetConnectionCheckRequest(
            name=NAME, check=ip.CHECK_POST, state=ip.CHECK_STATE_PENDING, date=day(2022, 5)
        )
        pending = await service.call("SetConnectionCheck", request)
        kept_out = await refused(service.advance("bca-001", ip.STAGE_INTEGRATED))
        request.state = ip.CHECK_STATE_PASSED
        await service.call("SetConnectionCheck", request)
        await service.advance("bca-001", ip.STAGE_INTEGRATED)
        request.state = ip.CHECK_STATE_FAILED
        failed = await service.call("SetConnectionCheck", request)
        event = (await service.events())[-1]
        again = await service.call("SetConnectionCheck", request)
        count = len(await service.events())

    assert pending.integration.checks[4] == ip.ConnectionCheck(
        check=ip.CHECK_POST, state=ip.CHECK_STATE_PENDING, date=day(2022, 5)
    )
    assert kept_out.short == ("FAILED_PRECONDITION", "CHECK_NOT_PASSED", "stage")
    assert kept_out.metadata == {"name": NAME, "check": "POST", "state": "PENDING"}
    assert (failed.integration.stage, failed.integration.condition) == (ip.STAGE_INTEGRATED, ip.CONDITION_ACTIVE)
    assert event.connection_check_set.check == failed.integration.checks[4]
    assert event.connection_check_set.previous_state == ip.CHECK_STATE_PASSED
    assert again == failed
    assert count == 7


async def test_portal_links_are_set_and_removed(integration_database: str) -> None:
    """A link comes back with the resource, an empty one removes it, the same again writes nothing."""
    uri = "https://dichvucong.gov.vn/p/1"
    request = pb.SetPortalLinkRequest(name=NAME, portal=ip.PORTAL_NATIONAL, uri=uri)
    async with integration_of(integration_database) as service:
        linked = await service.call("SetPortalLink", request)
        again = await service.call("SetPortalLink", request)
        removed = await service.call("SetPortalLink", pb.SetPortalLinkRequest(name=NAME, portal=ip.PORTAL_NATIONAL))
        events = await service.events()

    assert list(linked.integration.portal_links) == [ip.PortalLink(portal=ip.PORTAL_NATIONAL, uri=uri)]
    assert again == linked
    assert list(removed.integration.portal_links) == []
    assert [event.portal_link_set.link.uri for event in events[3:]] == [uri, ""]


async def test_the_journal_is_one_chain_that_names_the_catalog_it_was_decided_on(integration_database: str) -> None:
    """Rows count 1, 2, 3 …, each names the digest before it and the catalog's revision, and its digest is that of its bytes."""
    async with integration_of(integration_database, slots=3) as service:
        await service.advance("bca-001", ip.STAGE_BUILT)
        events = await service.events()
        revisions = (await service.call("GetIntegration", pb.GetIntegrationRequest(name=NAME))).revisions

    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert [event.integration.display_name for event in events] == [NAMED, "", "", NAMED]
    assert events[-1].catalog_revision == revisions[1]
    for before, event in pairwise(events):
        assert event.previous_digest == before.digest
    for event in events:
        digest, event.digest = event.digest, ""

        assert digest_of(event.SerializeToString(deterministic=True)) == digest


async def test_a_restart_keeps_everything(integration_database: str) -> None:
    """State loaded from the tables, and state folded from the journal, equal the one that was shown."""
    async with integration_of(integration_database) as service:
        await service.advance("bca-001", ip.STAGE_BUILT, effective_date=day(2022, 5))
        await service.call(*step("Block", reason="chờ"))
        await service.call(
            "SetConnectionCheck",
            pb.SetConnectionCheckRequest(name=NAME, check=ip.CHECK_E_FORM, state=ip.CHECK_STATE_PASSED),
        )
        await service.call(
            "SetPortalLink", pb.SetPortalLinkRequest(name=NAME, portal=ip.PORTAL_MINISTRY, uri="http://a.vn")
        )
        shown = service.runtime.live.current
        history = await service.history("bca-001")
        with read_transaction(service.runtime.engine) as connection:
            rows = storage.journal.read(connection, 0, 1000)
    folded = storage.State(shown.head).changed(
        shown.head, shown.checkpoint, usecases.decode(storage.State(shown.head), rows)
    )
    async with integration_of(integration_database) as service:
        loaded = service.runtime.live.current
        later = await service.history("bca-001")

    assert loaded == shown
    assert folded == shown
    assert later == history


def test_every_event_has_its_subject_and_type() -> None:
    """The CloudEvents type is the resource, a dot, and what happened to it."""
    types = {name: wire.event_type(name) for name in ("integration_advanced", "transition_corrected")}
    types |= {name: wire.event_type(name) for name in ("connection_check_set", "portal_link_set")}

    assert types == {
        "integration_advanced": "tiendo.integration.v1.integration.advanced",
        "transition_corrected": "tiendo.integration.v1.transition.corrected",
        "connection_check_set": "tiendo.integration.v1.connection_check.set",
        "portal_link_set": "tiendo.integration.v1.portal_link.set",
    }
