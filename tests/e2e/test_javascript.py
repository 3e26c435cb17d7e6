"""Another system, in another language, uses Tiendo by its contract alone: the example in `javascript/`."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import node
from tests.support.stack import Stack, running_stack
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
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
async def stack(folder: Path) -> AsyncIterator[Stack]:
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
            request = integration_service_pb2.AdvanceIntegrationRequest(
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
