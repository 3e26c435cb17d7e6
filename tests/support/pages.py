"""The pages of a status service in the test's own process, over the real programme."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.cli.seed import load
from tests.support.peers import (
    Peers,
    integrated,
    integration_created,
    programme_created,
    service_created,
)
from tests.support.ports import free_port
from tests.support.status_service import StatusService, running_status
from tiendo.common.v1 import provenance_pb2

CITATION = "Suy luận: lĩnh vực do hệ thống xếp theo tên dịch vụ."


def real_seed(peers: Peers) -> None:
    """Record the programme as its source has it: the eleven by their names, done by 09/2022, and 216 slots."""
    peers.catalog.add(programme_created())
    named = {entry.plan_number: entry for entry in load().services if entry.display_name}
    for number in range(1, 228):
        event = service_created(number, named[number].display_name if number in named else "")
        if number in named:
            service = event.service_created.service
            service.field, service.english_gloss = named[number].field, named[number].english_gloss
            service.provenance.add(field="field", kind=provenance_pb2.PROVENANCE_KIND_INFERRED, citation=CITATION)
        peers.catalog.add(event)
    for number in range(1, 228):
        peers.integration.add(integration_created(number, peers.catalog.revision))
    for number in named:
        peers.integration.add(integrated(number, peers.catalog.revision, at_latest=True, year=2022, month=9))


class Site:
    """A browser without a screen, in front of one service."""

    def __init__(self, service: StatusService, peers: Peers, client: httpx.AsyncClient) -> None:
        self.service, self.peers, self.client = service, peers, client

    async def get(self, path: str, code: int = 200, **headers: str) -> httpx.Response:
        """Fetch a page that answers with this code."""
        answer = await self.client.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        assert answer.status_code == code, (path, answer.status_code, text_of(answer)[:400])
        return answer

    async def text(self, path: str, code: int = 200, **headers: str) -> str:
        """Fetch a page; give its words."""
        return text_of(await self.get(path, code, **headers))

    async def caught_up(self) -> None:
        """Return once the service has seen everything of its sources."""
        await self.service.completion()


def text_of(answer: httpx.Response) -> str:
    """The words of a page's content, single spaces between them."""
    content = answer.text.partition("<main")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())


def rows_of(answer: httpx.Response) -> list[str]:
    """The ids of the services that a page lists, in their order."""
    return re.findall(r'<td [^>]*class="name"><a href="/services/([a-z0-9-]+)', answer.text)


@asynccontextmanager
async def running_site(**settings: Any) -> AsyncIterator[Site]:
    """Start a status service with pages, over the real programme, and end it after use."""
    port = free_port()
    async with (
        running_status(prepare=real_seed, web_port=port, **settings) as (service, peers),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        site = Site(service, peers, client)
        await site.caught_up()
        yield site
