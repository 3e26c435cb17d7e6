"""A back-up or a database that is not whole is found before anything is written."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.catalog.storage import journal as catalog_journal
from services.common.place import Place, TransferRefusedError
from services.common.transfer import back_up, moving
from tests.support.databases import ENGINES, new_database
from tests.support.transfers import (
    LAST,
    LEASE_SECONDS,
    WRITTEN,
    Databases,
    everything,
    quiet,
    refusal,
    restore,
    rewrite,
    run,
)


def tampered(line: str, **changes: Any) -> str:
    """A journal line with some of its values changed: sequence, digest, payload, cause."""
    columns = WRITTEN.tables["journal"].columns
    values = dict(zip(columns, json.loads(line), strict=True)) | changes
    return json.dumps([values[name] for name in columns], separators=(",", ":"))


def change_row(number: int, **changes: Any) -> Callable[[str], str]:
    """Change one row of a journal."""

    def change(text_in: str) -> str:
        rows = text_in.splitlines()
        rows[number - 1] = tampered(rows[number - 1], **changes)
        return "\n".join(rows) + "\n"

    return change


def drop_row(number: int) -> Callable[[str], str]:
    """Leave one row of a table out."""

    def change(text_in: str) -> str:
        rows = text_in.splitlines()
        return "\n".join([*rows[: number - 1], *rows[number:]]) + "\n"

    return change


@pytest.mark.parametrize(
    ("member", "change", "reason", "why"),
    [
        ("integration/journal.jsonl", change_row(4, payload="CgA="), "chain", "row 4 was changed"),
        ("integration/journal.jsonl", drop_row(4), "chain", "row 4 is missing"),
        (
            "integration/journal.jsonl",
            drop_row(LAST),
            "chain",
            f"it ends at row {LAST - 1}, its head names row {LAST}",
        ),
        (
            "integration/transition.jsonl",
            drop_row(1),
            "damaged",
            "table integration/transition is not as it was written",
        ),
        (
            "integration/request.jsonl",
            lambda text_in: text_in.replace("step/3", "step/9"),
            "damaged",
            "is not as it was",
        ),
        ("integration.json", lambda _: "{", "damaged", "cannot be read"),
        ("integration.json", lambda text_in: text_in.replace('"format": 1', '"format": 2'), "damaged", "newer version"),
    ],
)
def test_a_changed_back_up_is_refused_before_anything_is_written(
    databases: Databases, member: str, change: Callable[[str], str], reason: str, why: str
) -> None:
    """A row changed, dropped or cut off, whatever checksums say, is found by the chain or the table's own hash."""
    file, changed, place = databases.backup("sqlite"), databases.folder / "changed.backup", databases.filled("sqlite")
    rewrite(file, changed, member, change)
    before = everything(place)

    with pytest.raises(TransferRefusedError) as caught:
        restore(place, changed, replace=True)

    assert caught.value.reason == reason
    assert why in caught.value.values["why"]
    assert everything(place) == before


def test_a_file_that_was_cut_off_or_is_no_back_up(databases: Databases) -> None:
    """Every length of a back-up but the whole is refused, and so is a bit that turned, another file, and none."""
    file, other = databases.backup("sqlite"), databases.folder / "other"
    content, place = file.read_bytes(), databases.empty("sqlite")

    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        other.write_bytes(content[:size])
        assert refusal(place, other) == "damaged"
    turned = bytearray(content)
    turned[content.index(b"integration/journal.jsonl") + 400] ^= 1
    other.write_bytes(turned)
    assert refusal(place, other) in {"damaged", "chain"}
    other.write_text("Đăng ký thường trú\n")
    assert refusal(place, other) == "damaged"
    assert refusal(place, databases.folder / "nothing") == "damaged"
    assert everything(place) == {}


def test_a_part_of_another_service_is_not_taken(databases: Databases) -> None:
    """A back-up of integration alone has nothing for the catalog, and says so."""
    place = Place("catalog", new_database("sqlite", databases.folder), catalog_journal)

    with pytest.raises(TransferRefusedError, match="no whole part of catalog"):
        restore(place, databases.backup("sqlite"))


@pytest.mark.parametrize("kind", ENGINES)
def test_a_broken_journal_is_found_when_it_is_backed_up_or_moved(databases: Databases, kind: str) -> None:
    """A row changed in the database itself: the back-up that is read back says so, and a move does not begin."""
    place, target = databases.filled(kind), databases.empty(kind)
    run(place, "UPDATE journal SET digest = :digest WHERE sequence = 5", digest="0" * 64)

    with pytest.raises(TransferRefusedError, match="row 5 was changed"):
        back_up(place, databases.folder / "a.backup", quiet)
    with (
        pytest.raises(TransferRefusedError, match="row 5 was changed"),
        moving(place, target, lease_seconds=LEASE_SECONDS, tell=quiet),
    ):
        pass

    assert everything(target) == {}
