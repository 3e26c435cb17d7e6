"""Lists typed at a terminal, on the real programme: what each command says, and what it did."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.lists import export, ministry_export, workbook
from tests.support.stack import Stack, running_stack
from tiendo.integration.v1 import integration_service_pb2
from tiendo.status.v1 import events_pb2, status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

HEADINGS = ("STT", "Số thứ tự", "Tên dịch vụ", "Giai đoạn", "Ngày thực hiện", "Minh chứng")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A seeded stack that the tests of this module share, in their order."""
    async with running_stack(seeded=True) as running:
        yield running


async def tiendo(stack: Stack, *arguments: str, lang: str = "en") -> tuple[int, str]:
    """Run a command; give its exit code and all it said."""
    environ = {name: value for name, value in stack.environ.items() if name.startswith("TIENDO_")} | {"COLUMNS": "240"}
    done = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["--lang", lang, *arguments], env=environ))
    return done.exit_code, done.output


async def events(stack: Stack, revision: str) -> list[tuple[str, str]]:
    """Kind and service of every progress event, once status includes a revision."""
    request = status_service_pb2.ListProgressEventsRequest(page_size=1000, at_least=[revision])
    found = (await stack.status_stub.ListProgressEvents(request)).events
    return [(events_pb2.ProgressEventKind.Name(each.kind), each.service) for each in found]


async def test_a_register_is_imported_in_one_command(stack: Stack, tmp_path: Path) -> None:
    """339 procedures come in, the programme's figure stays, and the spoilt list is refused with its cells."""
    code, said = await tiendo(
        stack, "catalog", "import", str(ministry_export(tmp_path / "danh-muc.xlsx")), "--register"
    )
    _, again = await tiendo(
        stack, "catalog", "import", str(tmp_path / "danh-muc.xlsx"), "--register", "--dry-run", "--json"
    )
    spoilt = ministry_export(tmp_path / "so.xlsx", codes_as_numbers=True)
    refused, told = await tiendo(stack, "catalog", "import", str(spoilt), "--register", "--limit", "2")

    assert (code, said.splitlines()[-1]) == (0, "339 new")
    assert "Mã số → procedure code · Tên → name · Cơ quan thực hiện → agency · Lĩnh vực → field" in said
    assert "Not used: Cơ quan ban hành" in said
    printed = json.loads(again)
    assert (printed["summary"]["unchanged"], printed["summary"]["applied"], len(printed["rows"])) == (339, False, 339)
    assert refused == 1
    assert "A3    2.00001 is stored as a number" in told
    assert "… and 337 more; all of them: --limit 0" in told
    assert "339 wrong\nNothing was changed" in told


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_what_is_exported_is_imported_again(stack: Stack, tmp_path: Path, lang: str) -> None:
    """Each kind of file of the services, as typed in either language, says nothing new; linked data is no list."""
    said = {}
    for ending in ("csv", "xlsx", "json", "jsonld"):
        file = str(tmp_path / f"services.{ending}")
        await tiendo(stack, "catalog", "export", file, lang=lang)
        said[ending] = [
            await tiendo(stack, "catalog", "import", file, *more, lang=lang)
            for more in ((), ("--register", "--dry-run"))
        ]
    count = "227 không đổi" if lang == "vi" else "227 unchanged"

    for ending in ("csv", "xlsx", "json"):
        assert [(code, told.splitlines()[-2]) for code, told in said[ending]] == [(0, count)] * 2
    assert [code for code, _ in said["jsonld"]] == [1, 1]
    linked = json.loads((tmp_path / "services.jsonld").read_text())["@graph"]
    assert sum("schema:GovernmentService" in each["@type"] for each in linked) == 227


async def test_a_mapping_names_the_216_slots(stack: Stack, tmp_path: Path) -> None:
    """Suggestions are written, looked through and used: the dry run says what the import then does; the figure stays."""
    rows = [(f"9.{row[0][2:]}", *row[1:]) if len(row) == 5 and row[0][1:2] == "." else row for row in export(216)]
    file = str(workbook(tmp_path / "216.xlsx", rows, merges={"A1:E1": "DANH MỤC"}))
    mapping = str(tmp_path / "mapping.csv")
    unsure, told = await tiendo(stack, "catalog", "import", file, "--suggest", mapping)
    _, dry = await tiendo(stack, "catalog", "import", file, "--mapping", mapping, "--dry-run")
    code, said = await tiendo(stack, "catalog", "import", file, "--mapping", mapping)
    again, nothing = await tiendo(stack, "catalog", "import", file)
    _, status = await tiendo(stack, "status")
    _, shown = await tiendo(stack, "catalog", "get", "bca-012", "--json")

    assert unsure == 1
    assert "if it is bca-012, confirm it: --accept bca-012=3" in told
    assert "216 named\nA dry run: nothing was changed" in dry
    assert (code, said.splitlines()[-1]) == (0, "216 named")
    assert (again, nothing.splitlines()[-2:]) == (0, ["216 unchanged", "The list says nothing new."])
    assert "11 / 227" in status
    service = json.loads(shown)
    assert (service["naming"], service["memberships"][0]["planNumber"]) == ("NAMING_NAMED", 12)


async def test_a_progress_list_is_recorded_all_or_nothing(stack: Stack, tmp_path: Path) -> None:
    """Twelve rows, three wrong: nothing, and each wrong cell. Mended: twelve steps, twelve events in order. Again: none."""
    good: list[tuple[Any, ...]] = [
        (str(n), str(11 + n), "", "Đã xây dựng", "09/2022" if n % 2 else "đến 09/2022", "12/QĐ") for n in range(1, 13)
    ]
    wrong = list(good)
    wrong[1] = (*good[1][:3], "Xây rồi", *good[1][4:])
    wrong[4] = (*good[4][:4], "31/09/2022", good[4][5])
    wrong[8] = ("9", "500", *good[8][2:])
    bad = str(workbook(tmp_path / "wrong.xlsx", [HEADINGS, *wrong]))
    fine = str(workbook(tmp_path / "tien-do.xlsx", [HEADINGS, *good]))

    refused, told = await tiendo(stack, "integration", "import", bad)
    _, told_in_vietnamese = await tiendo(stack, "integration", "import", bad, lang="vi")
    _, dry = await tiendo(stack, "integration", "import", fine, "--dry-run")
    before = (
        await stack.integration_stub.ListEvents(integration_service_pb2.ListEventsRequest(page_size=1))
    ).head.sequence
    code, said = await tiendo(stack, "integration", "import", fine, "--json")
    revision = json.loads(said)["revision"]
    again, nothing = await tiendo(stack, "integration", "import", fine)
    after = (
        await stack.integration_stub.ListEvents(integration_service_pb2.ListEventsRequest(page_size=1))
    ).head.sequence
    steps = [
        service for kind, service in await events(stack, revision) if kind == "PROGRESS_EVENT_KIND_SERVICE_ADVANCED"
    ]
    history = await tiendo(stack, "integration", "history", "bca-013")

    assert refused == 1
    assert [line.split()[0] for line in told.splitlines() if line[1:2].isdigit()] == ["D3", "E6", "B10"]
    for each, stage, date, number in (
        (
            told,
            "D3 There is no stage “Xây rồi”; give its words, or one of: SELECTED, STANDARDISED",
            "E6 There is no date 31/09/2022; check day, month and year.",
            "B10 The programme has no service “500”; mend it, or say which: --accept ID=ROW.",
        ),
        (
            told_in_vietnamese,
            "D3 Không có giai đoạn “Xây rồi”; dùng tên giai đoạn, hoặc: SELECTED, STANDARDISED",
            "E6 Không có ngày 31/09/2022 trên lịch; hãy kiểm tra ngày, tháng, năm.",
            "B10 Chương trình không có dịch vụ “500”; hãy sửa, hoặc chỉ rõ: --accept MÃ=DÒNG.",
        ),
    ):
        plain = " ".join(each.split())
        assert [fix for fix in (stage, date, number) if fix not in plain] == []
    assert "3 wrong\nNothing was changed" in told
    assert "12 steps would be recorded." in dry
    assert (code, again, after - before) == (0, 0, 12)
    assert "12 recorded before." in nothing
    assert steps == [f"services/bca-{number:03}" for number in range(12, 24)]
    assert "by 09/2022" in history[1]
    assert "12/QĐ; tien-do.xlsx, dòng 3" in history[1]


async def test_another_programme_is_filled_from_a_list(stack: Stack, tmp_path: Path) -> None:
    """A programme is a choice: made by a command, filled by a list, counted beside the first; one row too many is refused."""
    made, said = await tiendo(
        stack,
        "catalog",
        "programme",
        "create",
        "thi-diem",
        "--name",
        "Thí điểm mẫu",
        "--planned",
        "3",
        "--target",
        "2027",
    )
    rows = [("Tên",), ("Mẫu A",), ("Mẫu B",), ("Mẫu C",), ("Mẫu D",)]
    full, told = await tiendo(
        stack, "catalog", "import", str(workbook(tmp_path / "4.xlsx", rows)), "--programme", "thi-diem"
    )
    fits = str(workbook(tmp_path / "3.xlsx", rows[:4]))
    code, done = await tiendo(stack, "catalog", "import", fits, "--programme", "thi-diem")
    step = [("Tên", "Giai đoạn", "Ngày"), ("Mẫu B", "INTEGRATED", "09/2026")]
    moved, figure = await tiendo(
        stack, "integration", "import", str(workbook(tmp_path / "b.xlsx", step)), "--programme", "thi-diem"
    )
    listed = await tiendo(stack, "catalog", "programme", "list")
    changed = await tiendo(stack, "catalog", "programme", "update", "thi-diem", "--planned", "4")

    assert (made, full, code, moved, changed[0]) == (0, 1, 0, 0, 0)
    assert "Added the programme thi-diem Thí điểm mẫu." in said
    assert "4 wrong" not in told
    assert "1 wrong" in told
    assert done.splitlines()[-1] == "3 new"
    assert figure.splitlines()[-1].startswith("1 / 3 completed")
    assert "thi-diem" in listed[1]


async def test_a_list_typed_wrongly_ends_with_2(stack: Stack, tmp_path: Path) -> None:
    """No such file, a pair that is none, a field that is none, two targets: wrong usage, and nothing is asked."""
    file = str(workbook(tmp_path / "a.xlsx", [("Tên",), ("Mẫu",)]))
    usage = [
        ("catalog", "import", str(tmp_path / "none.xlsx")),
        ("catalog", "import", file, "--map", "Tên"),
        ("catalog", "import", file, "--map", "Tên=colour"),
        ("catalog", "import", file, "--accept", "bca-012=x"),
        ("catalog", "import", file, "--register", "--programme", "bca-2022"),
        ("integration", "import", file),
    ]

    assert [(await tiendo(stack, *arguments))[0] for arguments in usage] == [2] * len(usage)
