"""Reads whole journals over gRPC, and checks what every reader may rely on."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from tests.support.stack import Stack
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
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


async def catalog_events(stack: Stack) -> list[catalog_events_pb2.CatalogEvent]:
    """The whole catalog journal."""
    events: list[catalog_events_pb2.CatalogEvent] = []
    while True:
        after = events[-1].sequence if events else 0
        request = catalog_service_pb2.ListEventsRequest(after_sequence=after, page_size=1000)
        page = await stack.catalog_stub.ListEvents(request, timeout=10)
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


async def stream_sequences(stack: Stack, stream: str, newest: int) -> list[int]:
    """The sequences that a stream holds, in its order, once its last one is `newest`."""
    messages = await stream_messages(stack, stream, newest)
    return [int(json.loads(message.data)["data"]["sequence"]) for message in messages]


async def stream_messages(stack: Stack, stream: str, newest: int) -> list[Msg]:
    """The messages that a stream holds, in its order, once the sequence in its last one is `newest`."""
    client = await nats.connect(stack.nats_url)
    js = client.jetstream()
    try:
        async with asyncio.timeout(60):
            while True:
                # A cluster whose leader has just ended leaves a question unanswered now and then.
                with contextlib.suppress(nats.errors.TimeoutError, nats.js.errors.ServiceUnavailableError):
                    state = (await js.stream_info(stream)).state
                    if state.messages and await _sequence_at(js, stream, state.last_seq) == newest:
                        break
                await asyncio.sleep(0.05)
        subscription = await js.subscribe("", stream=stream, ordered_consumer=True)
        return [await subscription.next_msg(timeout=10) for _ in range(state.messages)]
    finally:
        await client.close()


async def _sequence_at(js: JetStreamContext, stream: str, number: int) -> int:
    message = await js.get_msg(stream, number)
    return int(json.loads(message.data or b"{}")["data"]["sequence"])


def assert_chained(rows: Sequence[Any]) -> None:
    """Rows count on by one, each naming the digest of the one before it."""
    for before, after in pairwise(rows):
        assert after.sequence == before.sequence + 1
        assert after.previous_digest == before.digest
