"""Two replicas of the catalog on one database: what one has acknowledged, the other does not deny."""

from pathlib import Path

import pytest

from tests.support.catalog import create, fill, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb


async def test_events_are_listed_up_to_what_any_replica_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that does not show the newest row yet lists it all the same, and its head is that of the journal."""
    monkeypatch.setenv("TIENDO_FOLLOW_SECONDS", "600")
    async with running_catalog(tmp_path) as one, running_catalog(tmp_path) as other:
        await fill(one, 3)
        await create(one, 4)
        whole = await other.stub.ListEvents(pb.ListEventsRequest())
        newest = await other.stub.ListEvents(pb.ListEventsRequest(after_sequence=4))

    assert [event.sequence for event in whole.events] == [1, 2, 3, 4, 5]
    assert [event.sequence for event in newest.events] == [5]
    assert whole.head == newest.head
    assert newest.head.digest == newest.events[-1].digest
