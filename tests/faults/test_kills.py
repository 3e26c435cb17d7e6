"""Services killed -9 at random moments of many writes: nothing acknowledged is lost, nothing is counted twice."""

import asyncio
import os
import random
from collections import Counter
from typing import Any

import grpc.aio
import pytest

from tests.support.journals import assert_chained, integration_events, progress_events
from tests.support.stack import SERVICES, Stack, running_stack
from tests.support.watchers import Watcher
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e]

WRITES = 1000
WRITERS = 8
KILLS = 10
STAGES = [integration_pb2.STAGE_STANDARDISED, integration_pb2.STAGE_REENGINEERED, integration_pb2.STAGE_BUILT]
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


async def acknowledged_by(stack: Stack, verb: str, request: Any) -> str:
    """Send a command until it is acknowledged, always under its one request id; give its revision."""
    while True:
        try:
            reply = await getattr(stack.integration_stub, f"{verb}Integration")(request, timeout=5)
        except grpc.aio.AioRpcError as failure:
            assert failure.code() in AGAIN, failure
            await asyncio.sleep(0.05)
        else:
            return str(reply.revision)


def commands(service: int) -> list[tuple[str, Any]]:
    """What one writer does to one integration: three stages, then blocked and unblocked three times."""
    made: list[tuple[str, Any]] = []
    common: dict[str, Any] = {"name": f"integrations/bca-{service:03}"}
    for stage in STAGES:
        date = date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=int(stage)))
        request_id = f"write/{service}/{stage}"
        request: Any = integration_service_pb2.AdvanceIntegrationRequest(
            **common, stage=stage, effective_date=date, request_id=request_id
        )
        made.append(("Advance", request))
    date = date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=11))
    for turn in range(3):
        for verb, reason in (("Block", "vướng mắc"), ("Unblock", "")):
            kind = getattr(integration_service_pb2, f"{verb}IntegrationRequest")
            request_id = f"write/{service}/{turn}/{verb}"
            made.append((verb, kind(**common, effective_date=date, reason=reason, request_id=request_id)))
    return made


@pytest.mark.parametrize("seed", range(227, 227 + int(os.environ.get("TEST_KILL_RUNS", "1"))))
async def test_kills_lose_nothing_and_repeat_nothing(seed: int) -> None:
    """Each service killed ten times during 1,000 writes: each write once, each watcher's history whole."""
    async with running_stack(seeded=True) as stack:
        watchers = [Watcher(stack) for _ in range(3)]
        for watcher in watchers:
            await watcher.start()
        acknowledged: dict[str, str] = {}
        places = asyncio.Semaphore(WRITERS)

        async def write(service: int) -> None:
            async with places:
                for verb, request in commands(service):
                    if len(acknowledged) < WRITES:
                        acknowledged[request.request_id] = await acknowledged_by(stack, verb, request)

        async def kill(victim: str) -> None:
            chance = random.Random(f"{seed}/{victim}")
            for turn in range(KILLS):
                due = min((turn + chance.random()) * WRITES / KILLS, WRITES - 20)
                while len(acknowledged) < due:
                    await asyncio.sleep(0.002)
                stack.kill(victim)
                await asyncio.sleep(chance.random() * 0.2)
                stack.spawn(victim)
                await stack.wait_serving(victim)

        await asyncio.gather(*map(kill, SERVICES), *(write(service) for service in range(12, 150)))
        answer = await counted(stack)
        events = await integration_events(stack)
        progress = await progress_events(stack)
        for watcher in watchers:
            await watcher.has_seen(progress[-1])
            await watcher.stop()

        assert len(acknowledged) >= WRITES
        assert_chained(events)
        written = Counter(event.request_id for event in events if event.request_id.startswith("write/"))
        assert set(written) == set(acknowledged)
        assert set(written.values()) == {1}
        assert answer.total.completed == 11
        naive = Counter({event.integration.name: event.integration.stage for event in events}.values())
        assert {stage.stage: stage.count for stage in answer.total.by_stage if stage.count} == dict(naive)
        assert_chained(progress)
        told = [event.cause for event in progress if event.cause.startswith("integration/")]
        assert len(told) == len(set(told)) == len(acknowledged) + 11
        for watcher in watchers:
            first = watcher.seen[0].sequence
            assert [event.sequence for event in watcher.seen] == list(range(first, progress[-1].sequence + 1))


async def counted(stack: Stack) -> status_service_pb2.GetCompletionResponse:
    """The counts, once they include everything that integration has."""
    newest = integration_service_pb2.ListIntegrationsRequest(page_size=1)
    listed = await stack.integration_stub.ListIntegrations(newest, timeout=10)
    request = status_service_pb2.GetCompletionRequest(at_least=list(listed.revisions))
    return await stack.status_stub.GetCompletion(request, timeout=30)
