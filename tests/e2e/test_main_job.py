"""The main job, over real gRPC and real NATS, on the real programme."""

import asyncio
import json
import subprocess
import sysconfig
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.stack import ENGINES, Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import completion_pb2, events_pb2, status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=ENGINES)
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """A seeded stack that the tests of this module share, in their order: embedded, then as in production."""
    async with running_stack(request.param, seeded=True) as running:
        yield running


async def completion(
    stack: Stack,
    at_least: list[str] | None = None,
    **as_of: int,
) -> status_service_pb2.GetCompletionResponse:
    """Ask status, as of a date where one is given."""
    request = status_service_pb2.GetCompletionRequest(at_least=at_least)
    if as_of:
        request.as_of.CopyFrom(date_pb2.PartialDate(**as_of))
    return await stack.status_stub.GetCompletion(request, timeout=10)


async def seed_is_counted(stack: Stack) -> None:
    """Return once status includes what the seed recorded."""
    listed = await stack.integration_stub.ListIntegrations(
        integration_service_pb2.ListIntegrationsRequest(page_size=1),
        timeout=10,
    )
    await completion(stack, list(listed.revisions))


async def test_the_seed_is_counted(stack: Stack) -> None:
    """With the seed alone, 11 of 227 are complete, 216 not reported, as of 09/2022."""
    await seed_is_counted(stack)

    answer = await completion(stack)

    total = answer.total
    counted = (total.planned, total.listed, total.completed, total.uncertain, total.in_progress, total.not_reported)
    assert counted == (227, 227, 11, 0, 0, 216)
    assert answer.facts_through == date_pb2.PartialDate(year=2022, month=9)
    assert [(stage.stage, stage.count) for stage in total.by_stage] == [
        (1, 216),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 11),
    ]
    assert len(answer.revisions) == 2


async def test_pages_give_every_service_once(stack: Stack) -> None:
    """Pages of 50 give the 227 services, each exactly once."""
    names: list[str] = []
    token = ""
    while True:
        request = catalog_service_pb2.ListServicesRequest(page_size=50, page_token=token)
        page = await stack.catalog_stub.ListServices(request, timeout=10)
        names += [service.name for service in page.services]
        token = page.next_page_token
        if not token:
            break

    assert names == [f"services/bca-{number:03}" for number in range(1, 228)]


async def test_seeding_twice_changes_nothing(stack: Stack) -> None:
    """A second seed adds no row to any journal."""
    before = await heads(stack)

    await stack.seed()

    assert await heads(stack) == before


async def heads(stack: Stack) -> list[tuple[str, int]]:
    """The newest row of catalog and integration."""
    catalog = await stack.catalog_stub.ListEvents(catalog_service_pb2.ListEventsRequest(page_size=1), timeout=10)
    integration = await stack.integration_stub.ListEvents(
        integration_service_pb2.ListEventsRequest(page_size=1),
        timeout=10,
    )
    return [(answer.head.epoch, answer.head.sequence) for answer in (catalog, integration)]


async def test_past_days_are_answered_as_the_source_allows(stack: Stack) -> None:
    """The 11 are certain from the end of September 2022, uncertain before in 2022, and nothing before the programme."""
    await seed_is_counted(stack)
    answers = {
        "2022-09": await completion(stack, year=2022, month=9),
        "30/09/2022": await completion(stack, year=2022, month=9, day=30),
        "15/09/2022": await completion(stack, year=2022, month=9, day=15),
        "31/08/2022": await completion(stack, year=2022, month=8, day=31),
        "31/12/2021": await completion(stack, year=2021, month=12, day=31),
    }

    counted = {day: (answer.total.completed, answer.total.uncertain) for day, answer in answers.items()}
    assert counted == {
        "2022-09": (11, 0),
        "30/09/2022": (11, 0),
        "15/09/2022": (0, 11),
        "31/08/2022": (0, 11),
        "31/12/2021": (0, 0),
    }


async def test_naming_and_advancing_reach_every_watcher(stack: Stack) -> None:
    """A slot that is named and integrated shows within a second to a watcher and to a plain NATS subscriber."""
    await seed_is_counted(stack)
    messages: asyncio.Queue[Msg] = asyncio.Queue()
    client = Client()
    await client.connect(stack.nats_url)
    await client.subscribe("tiendo.progress.v1.>", cb=messages.put)
    await client.flush()
    watch: Any = stack.status_stub.WatchProgress(status_service_pb2.WatchProgressRequest())
    assert not (await watch.read()).HasField("event")

    await stack.catalog_stub.UpdateService(
        catalog_service_pb2.UpdateServiceRequest(
            service=service_pb2.Service(name="services/bca-012", display_name="Đăng ký tạm trú"),
            request_id=str(uuid.uuid4()),
        ),
        timeout=10,
    )
    named = await next_event(watch)
    advance = integration_service_pb2.AdvanceIntegrationRequest(
        name="integrations/dang-ky-tam-tru",
        stage=integration_pb2.STAGE_INTEGRATED,
        effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=5)),
        evidence=[provenance_pb2.Evidence(note="12/BC-X05")],
        request_id=str(uuid.uuid4()),
    )
    metadata = (("traceparent", TRACEPARENT), ("tiendo-actor", "V%C4%83n%20A"))
    reply = await stack.integration_stub.AdvanceIntegration(advance, timeout=10, metadata=metadata)
    integrated = await asyncio.wait_for(next_event(watch), 1)
    first = await asyncio.wait_for(messages.get(), 1)
    second = await asyncio.wait_for(messages.get(), 1)
    watch.cancel()
    await client.close()

    assert named.kind == events_pb2.PROGRESS_EVENT_KIND_SERVICE_NAMED
    assert reply.integration.name == "integrations/bca-012"
    assert integrated.kind == events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED
    assert integrated.actor == "Văn A"
    assert integrated.traceparent.split("-")[1] == TRACEPARENT.split("-")[1]
    assert first.subject == "tiendo.progress.v1.bca-2022.service_named.bca-012"
    assert second.subject == "tiendo.progress.v1.bca-2022.service_integrated.bca-012"
    event = json.loads(second.data)
    assert {name: event[name] for name in ("specversion", "source", "type", "subject", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "/tiendo/status",
        "type": "tiendo.progress.v1.service.integrated",
        "subject": "services/bca-012",
        "datacontenttype": "application/json",
    }
    data = event["data"]
    assert (data["displayName"], data["fromStage"], data["toStage"]) == (
        "Đăng ký tạm trú",
        "STAGE_SELECTED",
        "STAGE_INTEGRATED",
    )
    assert data["effectiveDate"] == {"date": {"year": 2022, "month": 10, "day": 5}}
    assert data["completion"] == {"planned": 227, "completed": 12, "notReported": 215}
    assert event["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]

    answer = await completion(stack, [reply.revision])
    assert (answer.total.completed, answer.total.not_reported) == (12, 215)
    assert answer.facts_through == date_pb2.PartialDate(year=2022, month=10, day=5)
    assert (await completion(stack, year=2022, month=9)).total.completed == 11


async def next_event(watch: Any) -> events_pb2.ProgressEvent:
    """The next event of a watch, bookmarks passed over."""
    while (message := await watch.read()) is not grpc.aio.EOF:
        if message.HasField("event"):
            event: events_pb2.ProgressEvent = message.event
            return event
    raise AssertionError("the watch ended")


async def test_groups_sum_to_the_total(stack: Stack) -> None:
    """By field, the parts sum to the whole, and the last one is what is not known."""
    request = status_service_pb2.GetCompletionRequest(group_by=completion_pb2.GROUP_BY_FIELD)
    answer = await stack.status_stub.GetCompletion(request, timeout=10)

    assert sum(group.counts.planned for group in answer.groups) == 227
    assert sum(group.counts.completed for group in answer.groups) == answer.total.completed
    assert [group.not_known for group in answer.groups][-1]


async def test_any_grpc_tool_can_ask(stack: Stack) -> None:
    """Buf curl finds the services by reflection and gets the figures, zeros included."""
    buf = Path(sysconfig.get_path("scripts")) / "buf"
    url = f"http://{stack.address('status')}/tiendo.status.v1.StatusService/GetCompletion"
    command = [str(buf), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", "{}", url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr
    total = json.loads(done.stdout)["total"]
    assert (total["planned"], total["uncertain"], total["suspended"], total["withdrawn"]) == (227, 0, 0, 0)


async def test_reflection_lists_the_service(stack: Stack) -> None:
    """Each port tells which service answers there."""
    found: dict[str, list[str]] = {}
    for service in ("catalog", "integration", "status"):
        channel: Any = stack.channel(service)
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await call.read()
        found[service] = [entry.name for entry in answer.list_services_response.service]
        call.cancel()

    for service, names in found.items():
        assert f"tiendo.{service}.v1.{service.title()}Service" in names
        assert "grpc.health.v1.Health" in names
