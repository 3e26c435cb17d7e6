"""Integration follows the catalog: each row once, in order, and never guessing; on both engines."""

from typing import Any

import pytest
from sqlalchemy import text

from services.common.config import SettingsError
from services.common.db import open_engine, read_transaction
from services.common.feed import Checkpoint, FeedState
from services.integration import usecases
from services.integration.consumers import attach
from tests.support.catalog import create, fill, name, running_catalog
from tests.support.integration import (
    NAMED,
    OTHER_EPOCH,
    Integration,
    refused,
    running_integration,
    running_journal,
)
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import programme_pb2
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb


async def kinds(service: Integration) -> list[tuple[str, str]]:
    """What the journal says of which service."""
    return [
        (event.WhichOneof("event") or "", event.integration.service.removeprefix("services/"))
        for event in await service.events()
    ]


def rows(service: Integration, statement: str) -> list[tuple[Any, ...]]:
    """Read the database from outside."""
    engine = open_engine(service.own.database("integration", service.shared))
    try:
        with read_transaction(engine) as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


async def test_a_real_catalog_is_followed(catalog_database: str, integration_database: str) -> None:
    """What the catalog service does to services is there as soon as its revision is asked for."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 2)
        async with running_integration(integration_database, catalog.runtime.bound_port) as service:
            await name(catalog, "bca-002", NAMED)
            await create(catalog, 3)
            created = await service.get("bca-003")
            named = await service.get("dang-ky-thuong-tru")

    assert (created.display_name, created.stage) == ("", ip.STAGE_SELECTED)
    assert (named.name, named.display_name) == ("integrations/bca-002", NAMED)


async def test_what_the_catalog_tells_makes_and_describes_integrations(integration_database: str) -> None:
    """A new service makes one, a name or membership describes it anew, and what does not concern it adds nothing."""
    async with running_journal(2) as catalog:
        catalog.append(
            catalog_events_pb2.CatalogEvent(
                programme_created=catalog_events_pb2.ProgrammeCreated(programme=programme_pb2.Programme(name="p"))
            )
        )
        catalog.add("service_named", 2, "Khai báo tạm vắng")
        catalog.add("service_updated", 2, "Khai báo tạm vắng", field="Cư trú")
        catalog.add("service_updated", 2, "Khai báo tạm vắng", programme="other")
        catalog.add("service_retired", 1, NAMED)
        async with running_integration(integration_database, catalog.port) as service:
            found = await service.get("bca-002", catalog.revision)
            told = await kinds(service)
            event = (await service.events())[-1]
            causes = rows(service, "SELECT cause FROM journal ORDER BY sequence")

    assert told == [
        ("integration_created", "bca-001"),
        ("integration_created", "bca-002"),
        ("integration_described", "bca-002"),
        ("integration_described", "bca-002"),
    ]
    assert causes == [(f"catalog/ca7a106000000001/{sequence}",) for sequence in (1, 2, 4, 6)]
    assert (found.display_name, list(found.programmes)) == ("Khai báo tạm vắng", ["programmes/other"])
    assert found.update_actor == event.actor == "catalog clerk"


async def test_rows_taken_twice_add_nothing(integration_database: str) -> None:
    """The same rows again, in part or whole, leave state, journal and checkpoint as they were."""
    async with running_journal(3) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-003", catalog.revision)
        before = service.runtime.live.current
        again = await service.runtime.writer.run(lambda work: usecases.follow_catalog(work, catalog.rows))
        part = await service.runtime.writer.run(lambda work: usecases.follow_catalog(work, catalog.rows[1:2]))
        later = await service.runtime.writer.run(lambda work: usecases.follow_catalog(work, [catalog.rows[0]] * 2))
        after = service.runtime.live.current

    assert again == part == later == before.checkpoint
    assert after == before


async def test_a_gap_is_not_jumped(integration_database: str) -> None:
    """Rows after a hole wait: the checkpoint stays before it."""
    async with running_journal(2) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-002", catalog.revision)
        await catalog.stop()
        for number in (3, 4):
            catalog.add("service_created", number)
        reached = await service.runtime.writer.run(lambda work: usecases.follow_catalog(work, catalog.rows[3:]))
        events = await kinds(service)

    assert reached.sequence == 2
    assert len(events) == 2


async def test_a_row_that_cannot_be_read_is_put_aside_and_the_rest_goes_on(integration_database: str) -> None:
    """Damage, an unknown kind of event and a service without a proper name each go to the dead letters with a reason."""
    async with running_journal(1) as catalog:
        catalog.add_unreadable()
        catalog.append(catalog_events_pb2.CatalogEvent())
        event = catalog_events_pb2.CatalogEvent()
        event.service_created.service.name = "services/Không hợp lệ"
        catalog.append(event)
        catalog.add("service_created", 2)
        async with running_integration(integration_database, catalog.port) as service:
            await service.get("bca-002", catalog.revision)
            told = await kinds(service)
            dead = rows(service, "SELECT source, sequence, payload, reason FROM dead_letter ORDER BY sequence")

    assert told == [("integration_created", "bca-001"), ("integration_created", "bca-002")]
    assert [(source, sequence, payload) for source, sequence, payload, _ in dead] == [
        ("catalog", sequence, catalog.rows[sequence - 1].payload) for sequence in (2, 3, 4)
    ]
    assert [reason.split(":")[0] for *_, reason in dead] == ["DecodeError", "ValueError", "Refusal"]


async def test_not_found_is_said_only_after_the_catalog_was_asked(integration_database: str) -> None:
    """A service the catalog has just made is found at once; one it does not have is NOT_FOUND; without it nobody knows."""
    async with running_journal(1) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-001", catalog.revision)
        catalog.add("service_created", 2)
        moved = await service.advance("bca-002", ip.STAGE_BUILT)
        missing = await refused(service.get("bca-099"))
        await catalog.stop()
        unknown = await refused(service.get("bca-099"))
        unknown_history = await refused(service.history("bca-099"))
        known = await service.get("bca-001")

    assert moved.integration.stage == ip.STAGE_BUILT
    assert missing.short == ("NOT_FOUND", "INTEGRATION_NOT_FOUND", "name")
    assert missing.metadata == {"name": "integrations/bca-099"}
    assert unknown.short == ("UNAVAILABLE", "PEER_UNAVAILABLE", "name")
    assert (unknown.metadata, unknown.retry_seconds) == ({"peer": "catalog"}, 1.0)
    assert str(catalog.port) not in unknown.message
    assert unknown_history.short == ("UNAVAILABLE", "PEER_UNAVAILABLE", "parent")
    assert known.name == "integrations/bca-001"


async def test_a_revision_not_reached_is_waited_for_and_then_refused(integration_database: str) -> None:
    """A read waits for the catalog's revision until shortly before its deadline, then says how far it is."""
    async with running_journal(1) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-001", catalog.revision)
        await catalog.stop()
        catalog.add("service_created", 2)
        request = pb.GetIntegrationRequest(name="integrations/bca-001", at_least=[catalog.revision])
        refusal = await refused(service.stub.GetIntegration(request, timeout=0.4))

    assert refusal.short == ("UNAVAILABLE", "NOT_CAUGHT_UP", "at_least")
    assert refusal.metadata == {"journal": "catalog", "wanted": "2", "reached": "1"}


async def test_a_replaced_catalog_stops_the_feed_until_it_is_attached(integration_database: str) -> None:
    """Another epoch halts; `attach` adds and describes, removes nothing, and the running service goes on by itself."""
    async with running_journal(2) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-002", catalog.revision)
        await service.advance("bca-002", ip.STAGE_BUILT)
        catalog.begin(OTHER_EPOCH)
        catalog.add("service_created", 1, "Tên đầu")
        catalog.add("service_updated", 1, "Tên sau")
        catalog.add("service_created", 3)
        reason = await service.feed_is(FeedState.HALTED)
        unknown = await refused(service.get("bca-003"))
        said = await attach(service.shared, service.own)
        again = await attach(service.shared, service.own)
        await service.feed_is(FeedState.CURRENT)
        catalog.add("service_created", 4)
        await service.get("bca-004", catalog.revision)
        told = await kinds(service)
        kept = await service.get("bca-002")
        last = (await service.events())[-1]
        moved = await service.advance("bca-002", ip.STAGE_TESTED)
        event = (await service.events())[-1]

    assert reason == (
        "catalog: it has a new journal (another epoch). Nothing more is applied. "
        "Look at the catalog; if it was replaced on purpose, run `tiendo integration attach`."
    )
    assert unknown.reason == "PEER_UNAVAILABLE"
    assert "tiendo integration attach" in unknown.message
    assert said == "catalog read up to row 3: 2 integrations made or described anew"
    assert again == "catalog read up to row 3: 0 integrations made or described anew"
    assert told[3:] == [
        ("integration_described", "bca-001"),
        ("integration_created", "bca-003"),
        ("integration_created", "bca-004"),
    ]
    assert (kept.stage, moved.integration.stage) == (ip.STAGE_BUILT, ip.STAGE_TESTED)
    assert last.catalog_revision == event.catalog_revision == catalog.revision


async def test_attaching_without_anything_to_add_still_moves_decisions_to_the_new_catalog(
    integration_database: str,
) -> None:
    """Commands after it name the new catalog's revision, though no row was added."""
    async with running_journal(2) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-002", catalog.revision)
        catalog.begin(OTHER_EPOCH)
        catalog.add("service_created", 1, NAMED)
        await service.feed_is(FeedState.HALTED)
        said = await attach(service.shared, service.own)
        await service.feed_is(FeedState.CURRENT)
        await service.advance("bca-002", ip.STAGE_BUILT)
        event = (await service.events())[-1]

    assert said == "catalog read up to row 1: 0 integrations made or described anew"
    assert event.catalog_revision == catalog.revision


async def test_attaching_begins_again_when_the_feed_went_on_meanwhile(integration_database: str) -> None:
    """Rows read before the checkpoint moved are not used: it would be set back behind what was taken."""
    async with running_journal(3) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-003", catalog.revision)
        before = service.runtime.live.current
        first = Checkpoint(catalog.rows[0].epoch, 1, catalog.rows[0].digest)
        with pytest.raises(usecases.MovedOnError):
            usecases.attach(service.runtime.engine, catalog.rows[:1], first)
        kept = rows(service, "SELECT epoch, sequence, digest FROM checkpoint")

    assert kept == [(before.checkpoint.epoch, 3, before.checkpoint.digest)]


async def test_attaching_needs_a_catalog_that_answers(integration_database: str) -> None:
    """Without one it is refused in words that name its address, and changes nothing."""
    async with running_journal(1) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-001", catalog.revision)
        await catalog.stop()
        with pytest.raises(SettingsError) as refusal:
            await attach(service.shared, service.own)

    assert str(refusal.value) == (
        f"the catalog at 127.0.0.1:{catalog.port} does not answer; start it, then run this again"
    )


async def test_an_older_copy_of_the_catalog_is_attached_too(integration_database: str) -> None:
    """A catalog restored and written on has other rows at the same places: they are all taken, none is thought a repeat."""
    async with running_journal(3) as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-003", catalog.revision)
        catalog.go_back(1)
        reason = await service.feed_is(FeedState.HALTED)
        await attach(service.shared, service.own)
        for number in (12, 13, 14):
            catalog.add("service_created", number)
        await service.feed_is(FeedState.CURRENT, 4)
        told = await kinds(service)

    assert "an older copy?" in reason
    assert [service_id for _, service_id in told] == ["bca-001", "bca-002", "bca-003", "bca-012", "bca-013", "bca-014"]
