"""The client library against the real services: what it promises to a program that uses it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from services.client import AsyncClient, Client, Places, RefusedError, StartAfreshError, UnreachableError
from services.common.resources import Revision
from tests.support.stack import Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, export_pb2, service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import events_pb2, status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

COMPLETION = status_service_pb2.GetCompletionRequest()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack() -> AsyncIterator[Stack]:
    """The three services with the first programme, for all tests of this file; none of them steps on another's services."""
    async with running_stack(seeded=True) as started:
        yield started


def advance(number: int, etag: str = "") -> integration_service_pb2.AdvanceIntegrationRequest:
    """A step of a service that is known by its selection only."""
    return integration_service_pb2.AdvanceIntegrationRequest(
        name=f"integrations/bca-{number:03}", stage=integration_pb2.STAGE_BUILT, etag=etag
    )


async def test_lists_give_each_service_once(stack: Stack) -> None:
    """All 227 over many pages, each once, in both clients; searches and integrations as well."""

    def blocking() -> list[list[str]]:
        with Client(stack.places()) as tiendo:
            return [
                [service.name for service in tiendo.list_services(page_size=50)],
                [service.name for service in tiendo.search_services("ho chieu")],
                [each.service for each in tiendo.list_integrations(filter_text="stage = INTEGRATED", page_size=3)],
            ]

    every, found, integrated = await asyncio.to_thread(blocking)
    async with AsyncClient(stack.places()) as tiendo:
        assert [service.name async for service in tiendo.list_services(page_size=50)] == every
        assert [service.name async for service in tiendo.search_services("ho chieu")] == found
        listed = tiendo.list_integrations(filter_text="stage = INTEGRATED", page_size=3)
        assert [each.service async for each in listed] == integrated

    assert every == [f"services/bca-{number:03}" for number in range(1, 228)]
    assert found == ["services/bca-001"]
    assert integrated == every[:11]


async def test_refusals_say_why(stack: Stack) -> None:
    """A refusal has its reason, field and metadata, is raised at once, and has changed nothing."""
    with Client(stack.places()) as tiendo, pytest.raises(RefusedError) as blocking:
        await asyncio.to_thread(tiendo.integration.AdvanceIntegration, advance(20, etag="AAAA"))
    async with AsyncClient(stack.places()) as other:
        with pytest.raises(RefusedError) as waiting:
            await other.catalog.GetService(catalog_service_pb2.GetServiceRequest(name="services/none"))
        unchanged = await other.integration.GetIntegration(
            integration_service_pb2.GetIntegrationRequest(name="integrations/bca-020")
        )

    assert (blocking.value.reason, blocking.value.field) in {("INVALID_TOKEN", "etag"), ("STALE_ETAG", "etag")}
    assert (waiting.value.reason, waiting.value.code, waiting.value.field) == ("SERVICE_NOT_FOUND", "NOT_FOUND", "name")
    assert waiting.value.metadata == {"name": "services/none"}
    assert unchanged.integration.stage == integration_pb2.STAGE_SELECTED


async def test_what_was_written_is_read(stack: Stack) -> None:
    """Right after commands, many at once, another service's answer includes all of them; and one says who sent them."""
    async with AsyncClient(stack.places(), actor="Văn A") as tiendo:
        before = (await tiendo.status.GetCompletion(COMPLETION)).total
        named = service_pb2.Service(name="services/bca-030", display_name="Dịch vụ thử")
        await tiendo.catalog.UpdateService(catalog_service_pb2.UpdateServiceRequest(service=named))
        await asyncio.gather(*(tiendo.integration.AdvanceIntegration(advance(number)) for number in range(30, 60)))
        after = (await tiendo.status.GetCompletion(COMPLETION)).total
        history = await tiendo.integration.ListTransitions(
            integration_service_pb2.ListTransitionsRequest(parent="integrations/bca-030")
        )

    assert (after.in_progress, after.not_reported) == (before.in_progress + 30, before.not_reported - 30)
    assert [entry.actor for entry in history.transitions] == ["Văn A"]


async def test_a_command_outlives_a_crash(stack: Stack) -> None:
    """A command that is sent while its service is dead is done once, within its deadline, when the service is back."""
    stack.kill("integration")
    async with AsyncClient(stack.places(), deadline_seconds=30) as tiendo:
        asked = asyncio.ensure_future(tiendo.integration.AdvanceIntegration(advance(61)))
        stack.spawn("integration")
        await asked
        history = await tiendo.integration.ListTransitions(
            integration_service_pb2.ListTransitionsRequest(parent="integrations/bca-061")
        )
    await stack.wait_serving("integration")

    assert len(history.transitions) == 1


async def test_a_file_outlives_a_crash_before_its_first_byte(stack: Stack) -> None:
    """An export that is asked for while its service is dead comes, whole, in both clients."""
    request = catalog_service_pb2.ExportServicesRequest(format=export_pb2.EXPORT_FORMAT_JSON)

    def blocking() -> bytes:
        with Client(stack.places(), patience_seconds=30) as tiendo:
            return b"".join(part.chunk for part in tiendo.catalog.ExportServices(request))

    stack.kill("catalog")
    file = asyncio.create_task(asyncio.to_thread(blocking))
    async with AsyncClient(stack.places(), patience_seconds=30) as tiendo:
        asked = asyncio.create_task(_joined(tiendo, request))
        stack.spawn("catalog")
        other = await asked

    assert await file == other
    assert len(json.loads(other)) == 227


async def _joined(tiendo: AsyncClient, request: catalog_service_pb2.ExportServicesRequest) -> bytes:
    return b"".join([part.chunk async for part in tiendo.catalog.ExportServices(request)])


async def test_every_call_ends_by_its_deadline(stack: Stack) -> None:
    """A service that stands still, and one that is not there: both are told apart, by the deadline and at once."""
    request = catalog_service_pb2.GetServiceRequest(name="services/bca-001")
    async with AsyncClient(stack.places(), deadline_seconds=0.5) as tiendo:
        await tiendo.catalog.GetService(request)
        stack.freeze("catalog")
        try:
            with pytest.raises(UnreachableError) as late:
                await tiendo.catalog.GetService(request)
        finally:
            stack.thaw("catalog")
    async with AsyncClient(Places(status="127.0.0.1:1"), patience_seconds=0) as tiendo:
        with pytest.raises(UnreachableError) as away:
            await tiendo.status.GetCompletion(COMPLETION)

    assert (late.value.late, away.value.late) == (True, False)
    assert "127.0.0.1:1" in str(away.value)


async def test_a_watch_goes_on_over_a_crash(stack: Stack) -> None:
    """Status is killed and started again under two watches: both get every event once, in order, and notice that they resumed."""
    seen: dict[str, list[int]] = {"blocking": [], "waiting": []}
    resumed: list[str] = []
    last = 100 + 5 * 3
    tiendo, other = Client(stack.places()), AsyncClient(stack.places())
    start = other.status.GetCompletion(COMPLETION)
    token = (await start).watch_token

    def blocking() -> None:
        for message in tiendo.watch(after=token, on_resumed=lambda: resumed.append("blocking")):
            seen["blocking"].append(message.event.sequence)
            if message.event.service.endswith(str(last)):
                return

    async def waiting() -> None:
        async for message in other.watch(after=token, on_resumed=lambda: resumed.append("waiting")):
            seen["waiting"].append(message.event.sequence)
            if message.event.service.endswith(str(last)):
                return

    watches = [asyncio.create_task(asyncio.to_thread(blocking)), asyncio.create_task(waiting())]
    for number in range(101, last + 1):
        await other.integration.AdvanceIntegration(advance(number))
        if number in {105, 110}:
            await other.status.GetCompletion(COMPLETION)
            stack.kill("status")
            stack.spawn("status")
    async with asyncio.timeout(30):
        await asyncio.gather(*watches)
    tiendo.close()
    await other.close()

    assert seen["blocking"] == list(range(seen["blocking"][0], seen["blocking"][0] + 15))
    assert seen["waiting"] == seen["blocking"]
    assert set(resumed) == {"blocking", "waiting"}


async def test_a_lost_history_says_what_to_do(stack: Stack) -> None:
    """A token of another epoch is refused with the words to start afresh, and starting so works."""
    expired = Revision("progress", "another", 1).encode()
    async with AsyncClient(stack.places()) as tiendo:
        with pytest.raises(StartAfreshError) as lost:
            await anext(aiter(tiendo.watch(after=expired)))
        answer = await tiendo.status.GetCompletion(COMPLETION)
        watch = tiendo.watch(after=answer.watch_token, kinds=[events_pb2.PROGRESS_EVENT_KIND_SERVICE_ADVANCED])
        await tiendo.integration.AdvanceIntegration(advance(150))
        message = await anext(aiter(watch))

    assert lost.value.reason == "TOKEN_EXPIRED"
    assert "status.GetCompletion" in str(lost.value)
    assert (message.event.service, watch.token) == ("services/bca-150", message.token)


async def test_closing_ends_a_watch(stack: Stack) -> None:
    """A program that closes its client leaves no thread behind."""
    tiendo = Client(stack.places())
    began = threading.Event()

    def watch() -> None:
        for _ in tiendo.watch(from_beginning=True):
            began.set()

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await asyncio.to_thread(began.wait, 10)
    tiendo.close()

    await asyncio.wait_for(watching, 10)
    with pytest.raises(ValueError, match="closed"):
        tiendo.status.GetCompletion(COMPLETION)
    assert isinstance(tiendo.channel("status"), grpc.Channel)
