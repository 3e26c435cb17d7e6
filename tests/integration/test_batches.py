"""Batches and corrections: many steps at once, and steps that were recorded wrongly."""

import asyncio
from pathlib import Path
from typing import Any

from services.common.work import Caller
from services.integration import domain, usecases
from services.integration.wire import Told
from tests.support.integration import ACTOR, Integration, day, integration_of, refused
from tiendo.common.v1 import provenance_pb2
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb

NAME = "integrations/bca-001"


def batch(*steps: tuple[str, int], **fields: Any) -> pb.BatchAdvanceIntegrationsRequest:
    """Advance these services to these stages."""
    requests = [pb.AdvanceIntegrationRequest(name=f"integrations/{service}", stage=stage) for service, stage in steps]  # type: ignore[arg-type]
    return pb.BatchAdvanceIntegrationsRequest(requests=requests, **fields)


async def advance_all(service: Integration, request: pb.BatchAdvanceIntegrationsRequest) -> Any:
    """Send a batch."""
    return await service.call("BatchAdvanceIntegrations", request)


async def test_a_batch_is_decided_in_order(tmp_path: Path) -> None:
    """Each step sees those before it, on the same integration too, and the reply holds each after its own step."""
    request = batch(
        ("bca-001", ip.STAGE_BUILT),
        ("bca-002", ip.STAGE_TESTED),
        ("dang-ky-thuong-tru", ip.STAGE_TESTED),
        request_id="b",
    )
    async with integration_of(tmp_path) as service:
        reply = await advance_all(service, request)
        again = await advance_all(service, request)
        found = await service.get("bca-001", reply.revision)
        history = await service.history("bca-001")
        events = await service.events()

    assert [(one.name, one.stage) for one in reply.integrations] == [
        ("integrations/bca-001", ip.STAGE_BUILT),
        ("integrations/bca-002", ip.STAGE_TESTED),
        ("integrations/bca-001", ip.STAGE_TESTED),
    ]
    assert again == reply
    assert found == reply.integrations[2]
    assert [(entry.from_stage, entry.to_stage) for entry in history] == [
        (ip.STAGE_SELECTED, ip.STAGE_BUILT),
        (ip.STAGE_BUILT, ip.STAGE_TESTED),
    ]
    assert [event.integration for event in events[3:]] == list(reply.integrations)
    assert len({one.etag for one in reply.integrations}) == 3


async def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    """Whatever is wrong with one step, even an event too large to publish, is told with its place, and nothing is written."""
    good = ("bca-001", ip.STAGE_BUILT)
    huge = batch(good, ("bca-002", ip.STAGE_BUILT))
    huge.requests[1].evidence.extend([provenance_pb2.Evidence(note="ă" * 2000, link="https://a.vn/" + "a" * 1900)] * 20)
    huge.requests[1].reason = "ă" * 2000
    stale = batch(good, good)
    stale.requests[1].stage = ip.STAGE_TESTED
    stale.requests[1].etag = "old"
    cases = {
        "not later": batch(good, ("bca-001", ip.STAGE_BUILT)),
        "unknown stage": batch(good, ("bca-002", 99)),
        "not there": batch(good, ("bca-099", ip.STAGE_BUILT)),
        "stale": stale,
        "too large": huge,
    }
    async with integration_of(tmp_path) as service:
        # Large resources make large events: evidence of checks is in each.
        for check in (ip.CHECK_IDENTITY, ip.CHECK_POST):
            await service.call(
                "SetConnectionCheck",
                pb.SetConnectionCheckRequest(
                    name="integrations/bca-002",
                    check=check,
                    state=ip.CHECK_STATE_PASSED,
                    evidence=[provenance_pb2.Evidence(note="ă" * 1000)] * 12,
                ),
            )
        before = service.runtime.live.current
        refusals = {name: await refused(advance_all(service, request)) for name, request in cases.items()}
        after = service.runtime.live.current
        reply = await advance_all(service, batch(good))

    assert {name: refusal.short for name, refusal in refusals.items()} == {
        "not later": ("FAILED_PRECONDITION", "ILLEGAL_TRANSITION", "requests[1].stage"),
        "unknown stage": ("INVALID_ARGUMENT", "UNKNOWN_VALUE", "requests[1].stage"),
        "not there": ("NOT_FOUND", "INTEGRATION_NOT_FOUND", "requests[1].name"),
        "stale": ("ABORTED", "STALE_ETAG", "requests[1].etag"),
        "too large": ("INVALID_ARGUMENT", "EVENT_TOO_LARGE", "requests[1]"),
    }
    assert after == before
    assert reply.integrations[0].stage == ip.STAGE_BUILT


async def test_corrections_stay_in_the_history_beside_what_they_correct(tmp_path: Path) -> None:
    """Annulling takes the step back, re-dating moves its date; each entry says by whom it was corrected."""
    async with integration_of(tmp_path) as service:
        await service.advance("bca-001", ip.STAGE_BUILT, effective_date=day(2022, 5))
        await service.advance("bca-001", ip.STAGE_INTEGRATED, effective_date=day(2022, 10, 5))
        annulled = await service.call(
            "CorrectTransition", pb.CorrectTransitionRequest(name=NAME, annul=True, reason="ghi nhầm")
        )
        redated = await service.call(
            "CorrectTransition",
            pb.CorrectTransitionRequest(name=NAME, transition=1, effective_date=day(2022, 4), reason="sai tháng"),
        )
        history = await service.history("bca-001")
        events = await service.events()
        twice = await refused(
            service.call(
                "CorrectTransition", pb.CorrectTransitionRequest(name=NAME, transition=2, annul=True, reason="r")
            )
        )

    assert (annulled.integration.stage, annulled.integration.effective_date) == (ip.STAGE_BUILT, day(2022, 5))
    assert (annulled.corrected.number, annulled.corrected.effective_date) == (2, day(2022, 10, 5))
    assert (annulled.transition.number, annulled.transition.correction.annul) == (3, True)
    assert (redated.integration.stage, redated.integration.effective_date) == (ip.STAGE_BUILT, day(2022, 4))
    assert (redated.transition.correction.transition, redated.transition.effective_date) == (1, day(2022, 4))
    assert [entry.number for entry in history] == [1, 2, 3, 4]
    assert [entry.annulled_by for entry in history] == [0, 3, 0, 0]
    assert [entry.redated_by for entry in history] == [4, 0, 0, 0]
    assert history[0].effective_date == day(2022, 5)
    assert events[-1].transition_corrected.transition == redated.transition
    assert events[-1].transition_corrected.corrected == redated.corrected
    assert twice.short == ("FAILED_PRECONDITION", "NOT_CORRECTABLE", "transition")


async def test_a_correction_sees_what_the_same_transaction_added(tmp_path: Path) -> None:
    """A step and its correction that share a transaction are decided one after the other."""
    caller = Caller(ACTOR)
    async with integration_of(tmp_path) as service:
        writer = service.runtime.writer
        _, corrected = await asyncio.gather(
            writer.run(lambda work: usecases.take_step(work, domain.advance, Told(NAME), caller, domain.Stage.BUILT)),
            writer.run(lambda work: usecases.correct(work, Told(NAME, reason="ghi nhầm"), 0, caller, annul=True)),
        )
        history = await service.history("bca-001")

    assert ip.Integration.FromString(corrected.message).stage == ip.STAGE_SELECTED
    assert [(entry.number, entry.annulled_by) for entry in history] == [(1, 2), (2, 0)]
