"""Other systems use Tiendo by its contract alone.

The example in `javascript/` does, and what is on NATS is read by the CloudEvents project's own library and judged by our
AsyncAPI document.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from services.client import AsyncClient
from tests.support import node
from tests.support.asyncapi import channels_of, payload
from tests.support.journals import catalog_events, integration_events, progress_events, stream_messages
from tests.support.stack import Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

EXAMPLE = Path(__file__).parent / "javascript"
PROTOS = Path(__file__).parents[2] / "proto"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with the packages it names; no test where they cannot be had."""
    made = tmp_path_factory.mktemp("javascript")
    shutil.copytree(EXAMPLE, made, dirs_exist_ok=True)
    node.install(made)
    return made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack() -> AsyncIterator[Stack]:
    """The three services with the first programme."""
    async with running_stack(seeded=True) as started:
        yield started


class Example:
    """The example as it runs; `told` is what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []

    async def until(self, key: str, count: int) -> list[dict[str, Any]]:
        """Read on until so many lines have this key; give them."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while len(found := [line for line in self.told if key in line]) < count:
                line = await self._process.stdout.readline()
                assert line, (await self._process.communicate())[1].decode()
                self.told.append(json.loads(line))
        return found


async def test_another_system_lists_counts_watches_and_listens(stack: Stack, folder: Path) -> None:
    """All 227 over pages, each once; 11 / 227; a refusal in words; by watch and NATS every event, over a crash of status."""
    environ = os.environ | stack.environ | {"TIENDO_PROTOS": str(PROTOS), "TIENDO_NATS_URL": stack.nats_url}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", "main.js", cwd=folder, env=environ, stdout=pipe, stderr=pipe)
    example = Example(process)
    try:
        await example.until("following", 1)
        for number in range(12, 22):
            request = pb.AdvanceIntegrationRequest(
                name=f"integrations/bca-{number:03}", stage=integration_pb2.STAGE_BUILT
            )
            reply = await stack.integration_stub.AdvanceIntegration(request, timeout=10)
            if number == 16:
                asked = status_service_pb2.GetCompletionRequest(at_least=[reply.revision])
                await stack.status_stub.GetCompletion(asked, timeout=10)
                stack.kill("status")
                stack.spawn("status")
        watched = await example.until("watched", 10)
        heard = await example.until("subject", 10)
    finally:
        process.kill()
        await process.communicate()

    services = [line["service"] for line in example.told if "name" in line]
    (counted,) = (line for line in example.told if "planned" in line)
    (refused,) = (line for line in example.told if "refused" in line)
    first = int(watched[0]["sequence"])
    assert services == [f"services/bca-{number:03}" for number in range(1, 228)]
    assert counted == {
        "planned": 227,
        "completed": 11,
        "notReported": 216,
        "factsThrough": {"year": 2022, "month": 9, "day": 0},
    }
    assert refused["refused"].startswith("name: ")
    assert [int(line["sequence"]) for line in watched] == list(range(first, first + 10))
    assert {line["watched"] for line in watched} == {"PROGRESS_EVENT_KIND_SERVICE_ADVANCED"}
    assert [line["service"] for line in watched] == [f"services/bca-{number:03}" for number in range(12, 22)]
    assert {line["sequence"] for line in heard} == {line["sequence"] for line in watched}
    assert heard[0]["subject"] == "tiendo.progress.v1.bca-2022.service_advanced.bca-012"


async def every_kind_of_command(stack: Stack) -> None:
    """Let most kinds of event happen to one service."""
    name = "integrations/bca-200"
    told = [provenance_pb2.Evidence(document_number="1", link="https://example.vn/1", note="có dấu")]
    day = date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10), at_latest=True)
    async with AsyncClient(stack.places(), actor="Văn A") as tiendo:
        service = service_pb2.Service(name="services/bca-200", display_name="Dịch vụ thử")
        service.procedure_codes.add(code="1.003290")
        service.agencies.add(agency="Cục thử").valid_from.year = 2020
        service.online_levels.add(scheme=service_pb2.ONLINE_LEVEL_SCHEME_ND42_2022, level="TOAN_TRINH")
        service.levels[:], service.audiences[:], service.channels[:] = ["tỉnh"], ["Công dân"], ["Trực tuyến"]
        catalog, step = tiendo.catalog, tiendo.integration
        await catalog.UpdateService(catalog_service_pb2.UpdateServiceRequest(service=service, evidence=told))
        service.english_gloss = "A trial"
        await catalog.UpdateService(catalog_service_pb2.UpdateServiceRequest(service=service))
        await step.AdvanceIntegration(
            pb.AdvanceIntegrationRequest(name=name, stage=integration_pb2.STAGE_BUILT, effective_date=day)
        )
        await step.BlockIntegration(pb.BlockIntegrationRequest(name=name, reason="chờ", evidence=told))
        await step.UnblockIntegration(pb.UnblockIntegrationRequest(name=name))
        check = pb.SetConnectionCheckRequest(name=name, check=integration_pb2.CHECK_PAYMENT, evidence=told)
        check.state = integration_pb2.CHECK_STATE_PASSED
        await step.SetConnectionCheck(check)
        link = pb.SetPortalLinkRequest(name=name, portal=integration_pb2.PORTAL_MINISTRY, uri="https://example.vn/")
        await step.SetPortalLink(link)
        await step.AdvanceIntegration(pb.AdvanceIntegrationRequest(name=name, stage=integration_pb2.STAGE_INTEGRATED))
        await step.SuspendIntegration(pb.SuspendIntegrationRequest(name=name, reason="bảo trì"))
        await step.ResumeIntegration(pb.ResumeIntegrationRequest(name=name))
        await step.RevertIntegration(
            pb.RevertIntegrationRequest(name=name, stage=integration_pb2.STAGE_TESTED, reason="làm lại")
        )
        corrected = pb.CorrectTransitionRequest(name=name, transition=7, annul=True, reason="ghi nhầm")
        await step.CorrectTransition(corrected)
        await step.WithdrawIntegration(pb.WithdrawIntegrationRequest(name=name, reason="rút"))
        await step.ReinstateIntegration(pb.ReinstateIntegrationRequest(name=name))
        retired = catalog_service_pb2.RetireServiceRequest(name="services/bca-200", reason="bãi bỏ")
        await catalog.RetireService(retired)
        await tiendo.status.GetCompletion(status_service_pb2.GetCompletionRequest())


async def test_what_is_on_nats_is_what_the_document_says(stack: Stack) -> None:
    """Each message of the three streams is a CloudEvent, on a channel of the document, and has only fields that it describes."""
    await every_kind_of_command(stack)
    newest = {
        "TIENDO_CATALOG": (await catalog_events(stack))[-1].sequence,
        "TIENDO_INTEGRATION": (await integration_events(stack))[-1].sequence,
        "TIENDO_PROGRESS": (await progress_events(stack))[-1].sequence,
    }
    met = set()
    for stream, sequence in newest.items():
        for message in await stream_messages(stack, stream, sequence):
            event = JSONFormat().read(None, message.data)
            (channel,) = channels_of(message.subject)
            met.add(channel)

            assert isinstance(event, CloudEvent)
            assert event.get_id() == f"{event.get_data()['epoch']}.{event.get_data()['sequence']}"  # type: ignore[call-overload,index]
            assert event.get_type().startswith(f"tiendo.{channel.partition('.')[0]}.v1.")
            assert [error.message for error in payload(channel).iter_errors(json.loads(message.data))] == []

    assert len(met) > 25, sorted(met)
