"""Lists are applied all or nothing and kept, on both engines."""

from pathlib import Path

from tests.support.catalog import create, fill, running_catalog
from tests.support.importing import import_list, journal_length, last_events
from tests.support.lists import ministry_export, workbook


async def test_a_list_is_kept_whole(catalog_database: str, tmp_path: Path) -> None:
    """What a list brought is there after a restart, in one chain with what came before; the same list changes nothing."""
    file = ministry_export(tmp_path / "danh-muc.xlsx", 120)
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 2)
        report = await import_list(catalog, file, register=True, request_id="r1")
        kept = {name: entry.message for name, entry in catalog.runtime.live.current.services.items()}
    async with running_catalog(catalog_database) as catalog:
        found = {name: entry.message for name, entry in catalog.runtime.live.current.services.items()}
        same = await import_list(catalog, file, register=True, request_id="r1")
        again = await import_list(catalog, file, register=True)
        events = await last_events(catalog, 0)

    assert report.counts == {"created": 120}
    assert found == kept
    assert (same.rows, same.summary, again.counts) == (report.rows, report.summary, {"unchanged": 120})
    assert [event.sequence for event in events] == list(range(1, 124))
    assert [event.previous_digest for event in events[1:]] == [event.digest for event in events[:-1]]


async def test_one_wrong_row_stops_all(catalog_database: str, tmp_path: Path) -> None:
    """A row that cannot be taken leaves the journal as it was, whichever it is; U+0000 reaches no database."""
    file = tmp_path / "list.json"
    file.write_text('[{"name": "Mẫu"}, {"name": "M\\u0000u"}]')
    late = workbook(tmp_path / "late.xlsx", [("Mã số", "Tên"), ("1.000010", "Một"), ("1.00002", "Hai")])
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 0)
        await create(catalog, 1, "Sẵn có")
        before = await journal_length(catalog)
        reports = [await import_list(catalog, each, register=True) for each in (file, late)]
        assert await journal_length(catalog) == before

    assert [report.counts for report in reports] == [{"created": 1, "rejected": 1}] * 2
    assert [problem for report in reports for problem in report.problems()] == [
        (2, "INVALID_CHARACTER", "[2].name"),
        (3, "INVALID_VALUE", "A3"),
    ]
    assert not any(report.summary.applied for report in reports)
