"""Reads whole journals over gRPC, and checks what every reader may rely on."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tests.support.stack import Stack
from tiendo.integration.v1 import events_pb2, integration_service_pb2
from tiendo.status.v1 import events_pb2 as progress_pb2
from tiendo.status.v1 import status_service_pb2


async def integration_events(stack: Stack) -> list[events_pb2.IntegrationEvent]:
    """The whole integration journal."""
    events: list[events_pb2.IntegrationEvent] = []
    while True:
        after = events[-1].sequence if events else 0
        request = integration_service_pb2.ListEventsRequest(after_sequence=after, page_size=1000)
        page = await stack.integration_stub.ListEvents(request, timeout=10)
        if not page.events:
            return events
        events += page.events


async def progress_events(stack: Stack) -> list[progress_pb2.ProgressEvent]:
    """The whole progress journal."""
    events: list[progress_pb2.ProgressEvent] = []
    token = ""
    while True:
        request = status_service_pb2.ListProgressEventsRequest(page_size=1000, page_token=token)
        page = await stack.status_stub.ListProgressEvents(request, timeout=10)
        events += page.events
        token = page.next_page_token
        if not token:
            return events


def assert_chained(rows: Sequence[Any]) -> None:
    """Rows count on by one, each naming the digest of the one before it."""
    for before, after in pairwise(rows):
        assert after.sequence == before.sequence + 1
        assert after.previous_digest == before.digest
