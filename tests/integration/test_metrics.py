"""Integration measures what it put aside."""

from pathlib import Path

from tests.support.integration import running_integration, running_journal
from tests.support.scrape import page_of


async def test_rows_put_aside_are_counted(tmp_path: Path) -> None:
    """Two catalog rows that cannot be read are two dead letters, and still are after a restart."""
    async with running_journal(1) as catalog:
        catalog.add_unreadable()
        catalog.add("service_created", 2)
        catalog.add_unreadable()
        async with running_integration(tmp_path, catalog.port, metrics_port=0) as service:
            await service.rpc.feed.catch_up(10)
            first = await page_of(service.runtime.metrics_port)
        async with running_integration(tmp_path, catalog.port, metrics_port=0) as service:
            again = await page_of(service.runtime.metrics_port)

    assert first.value("tiendo_dead_letters", source="catalog") == 2
    assert again.value("tiendo_dead_letters", source="catalog") == 2
    assert first.value("tiendo_portal_unreachable_services") == 0


async def test_a_replica_without_a_role_tells_nothing_of_its_work(tmp_path: Path) -> None:
    """Once another replica has the roles, this one's relay and feeds have no lag to tell of, and it says who it is not."""
    async with running_journal(1) as catalog, running_integration(tmp_path, catalog.port, metrics_port=0) as service:
        await service.rpc.feed.catch_up(10)
        holding = await page_of(service.runtime.metrics_port)
        service.runtime.active.update(relay=lambda: False, projector=lambda: False)
        without = await page_of(service.runtime.metrics_port)

    shared = {
        "tiendo_relay_success_age_seconds",
        "tiendo_feed_lag_rows",
        "tiendo_feed_lag_seconds",
        "tiendo_feed_heard_age_seconds",
        "tiendo_feed_state",
    }
    assert [len(holding.values(name)) for name in sorted(shared)] == [1, 1, 1, 4, 1]
    assert [len(without.values(name)) for name in sorted(shared)] == [0] * 5
    assert (holding.value("tiendo_active", role="projector"), without.value("tiendo_active", role="projector")) == (
        1,
        0,
    )
