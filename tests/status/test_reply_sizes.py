"""What status answers fits into what a client takes, however long the texts are."""

import grpc.aio
import pytest

from tests.support.peers import blocked, service_created
from tests.support.status_service import details, running_status
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.status.v1 import attention_pb2, completion_pb2
from tiendo.status.v1 import status_service_pb2 as pb

MEBIBYTE = 1024 * 1024
LONG = [provenance_pb2.Evidence(note="x" * 2000)] * 20


async def test_a_page_of_long_events_stays_below_a_mebibyte() -> None:
    """A page ends early where evidence is long, and the walk still gives every event once, both ways."""
    async with running_status(seeded=True, listed=1, done=0) as (status, peers):
        for transition in range(1, 41):
            event = blocked(1, peers.catalog.revision, transition=transition, blocks=transition % 2 == 1)
            entry = event.integration_blocked if transition % 2 else event.integration_unblocked
            entry.transition.evidence.extend(LONG)
            peers.integration.add(event)
        await status.completion()
        walks: dict[str, list[int]] = {"sequence": [], "sequence desc": []}
        sizes: list[int] = []
        for order, seen in walks.items():
            request = pb.ListProgressEventsRequest(page_size=1000, order_by=order)
            while True:
                page = await status.stub.ListProgressEvents(request, timeout=10)
                seen += [event.sequence for event in page.events]
                sizes.append(page.ByteSize())
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token

    assert max(sizes) < MEBIBYTE
    assert len(sizes) == 4
    assert walks["sequence"] == list(range(1, 42))
    assert walks["sequence desc"] == list(range(41, 0, -1))


async def test_a_page_of_long_reasons_stays_below_a_mebibyte() -> None:
    """What wants attention comes in pages that end early where reasons are long, each item once."""
    async with running_status(seeded=True, listed=0, done=0) as (status, peers):
        for number in range(1, 701):
            peers.catalog.add(service_created(number))
            event = blocked(number, peers.catalog.revision, transition=1, blocks=True)
            event.integration_blocked.transition.reason = "x" * 2000
            peers.integration.add(event)
        await status.completion()
        request = pb.ListAttentionRequest(
            page_size=1000,
            kinds=[attention_pb2.ATTENTION_KIND_BLOCKED],
            as_of=date_pb2.PartialDate(year=2022, month=12),
        )
        first = await status.stub.ListAttention(request, timeout=10)
        request.page_token = first.next_page_token
        second = await status.stub.ListAttention(request, timeout=10)

    assert max(first.ByteSize(), second.ByteSize()) < MEBIBYTE
    assert [item.plan_number for item in (*first.items, *second.items)] == list(range(1, 701))
    assert second.next_page_token == ""


async def test_more_groups_than_a_reply_holds_are_refused() -> None:
    """1,000 groups are given; one more is refused with both numbers, and the total can still be asked for."""
    async with running_status(seeded=True, listed=0, done=0) as (status, peers):
        for number in range(1, 1001):
            event = service_created(number)
            event.service_created.service.field = f"Lĩnh vực {number}"
            peers.catalog.add(event)
        most = await status.completion(group_by=completion_pb2.GROUP_BY_FIELD)
        # Without a field: a group of its own.
        peers.catalog.add(service_created(1001))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await status.completion(group_by=completion_pb2.GROUP_BY_FIELD)
        total = (await status.completion()).total

    info, _ = details(caught.value)
    assert len(most.groups) == 1000
    assert (info.reason, dict(info.metadata)) == ("TOO_MANY", {"limit": "1000", "count": "1001"})
    assert total.listed == 1001
