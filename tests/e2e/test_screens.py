"""The commands' screens, as people read them, on the real programme."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.stack import Stack, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A seeded stack that the tests of this module share, in their order."""
    async with running_stack(seeded=True) as running:
        yield running


async def screen(stack: Stack, *arguments: str, actor: str = "lan") -> list[str]:
    """Run a command in English: its lines, without blanks at their ends; a moment of today stands as ⟨time⟩."""
    environ = {name: value for name, value in stack.environ.items() if name.startswith("TIENDO_")} | {"COLUMNS": "140"}
    command = ["--lang", "en", *arguments, "--actor", actor]
    done = await asyncio.to_thread(lambda: CliRunner().invoke(app, command, env=environ))
    text = re.sub(r"\d\d/\d\d/\d{4} \d\d:\d\d", "⟨time⟩", done.output)
    return [line.rstrip() for line in text.splitlines()]


async def test_a_slot_is_named_advanced_and_corrected(stack: Stack) -> None:
    """Each step says what it did in one line, and the figure after it."""
    named = await screen(stack, "catalog", "name", "bca-012", "Đăng ký tạm trú", "--evidence", "12/QĐ")
    advance = ("advance", "dang-ky-tam-tru", "--to", "INTEGRATED", "--date", "05/10/2022", "--evidence", "12/QĐ")
    advanced = await screen(stack, "integration", *advance)
    history = await screen(stack, "integration", "history", "bca-012")
    wrong = ("correct", "bca-012", "--annul", "--reason", "ghi nhầm dịch vụ", "--yes")
    corrected = await screen(stack, "integration", *wrong)

    assert named == ['bca-012 is now "Đăng ký tạm trú" (also dang-ky-tam-tru). Number and history unchanged.']
    assert advanced == [
        "bca-012 Đăng ký tạm trú: SELECTED → INTEGRATED on 05/10/2022",
        "12 / 227 completed (5.29 %), 215 not reported, as of 05/10/2022",
    ]
    assert [line.split("  ") for line in map(_spaced, history)] == [
        ["date", "recorded", "what", "by", "reason / evidence"],
        ["05/10/2022", "⟨time⟩", "SELECTED → INTEGRATED", "lan", "12/QĐ"],
    ]
    assert corrected == [
        "bca-012 Đăng ký tạm trú: INTEGRATED on 05/10/2022 annulled; it is SELECTED. Both entries stay in the history.",
        "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022",
    ]


def _spaced(line: str) -> str:
    return re.sub(" {2,}", "  ", line)


async def test_two_people_at_once(stack: Stack) -> None:
    """Whoever decided on an older state is told what was done meanwhile, when and by whom."""
    old = json.loads("\n".join(await screen(stack, "integration", "get", "bca-013", "--json")))["etag"]
    await screen(stack, "integration", "check", "bca-013", "payment", "failed", actor="minh")

    refused = await screen(stack, "integration", "advance", "bca-013", "--to", "BUILT", "--etag", old)

    assert refused == [
        "Refused: bca-013 was changed at ⟨time⟩ by minh (payment check: FAILED). Look, then run it again."
    ]


async def test_a_slot_is_called_by_its_number(stack: Stack) -> None:
    """Wherever a line tells of a service without a name, it gives its place in the plan."""
    blocked = await screen(stack, "integration", "block", "bca-014", "--reason", "chờ", "--date", "10/2022")
    shown = await screen(stack, "integration", "get", "bca-014")
    listed = await screen(stack, "integration", "list", "--filter", 'check = "payment:failed"')
    linked = await screen(stack, "integration", "link", "bca-014", "MINISTRY", "https://example.vn/a")
    removed = await screen(stack, "integration", "link", "bca-014", "MINISTRY", "")

    assert (
        blocked[0]
        == "bca-014 No. 14 (not yet named): blocked in 10/2022. Once cleared: tiendo integration unblock bca-014"
    )
    assert "  Service name      No. 14 (not yet named)" in shown
    assert listed[1].startswith("bca-013  No. 13 (not yet named)")
    assert linked == ["bca-014 No. 14 (not yet named): link to the Ministry portal recorded"]
    assert removed == ["bca-014 No. 14 (not yet named): link to the Ministry portal removed"]


async def test_what_a_list_leaves_out_is_one_command_away(stack: Stack) -> None:
    """The command that shows the rest asks for the same services."""
    integrated = await screen(stack, "integration", "list", "--stage", "integrated", "--limit", "1")
    found = await screen(stack, "catalog", "search", "cấp", "lại", "--limit", "1")

    assert integrated[-1] == "Showing 1 / 11. For more: tiendo integration list --stage integrated --limit 0"
    assert found[-2] == "Showing 1 / 3. For more: tiendo catalog search 'cấp lại' --limit 0"


async def test_a_refused_step_names_the_command_that_clears_it(stack: Stack) -> None:
    """What stands in the way is removed by a command that can be pasted as it stands."""
    step = await screen(stack, "integration", "advance", "bca-014", "--to", "BUILT")
    backwards = await screen(stack, "integration", "advance", "bca-001", "--to", "BUILT")
    nothing = await screen(
        stack, "integration", "correct", "bca-001", "--entry", "9", "--annul", "--reason", "x", "--yes"
    )

    assert step == ["Refused: bca-014: Blocked. Run first: tiendo integration unblock bca-014"]
    assert backwards[0].endswith("see: tiendo integration history bca-001")
    assert nothing[0].endswith("bca-001 has no entry 9; see: tiendo integration history bca-001")


async def test_what_wants_attention_comes_with_the_command_that_mends_it(stack: Stack) -> None:
    """Each reason with its services, why, since when; then that the target has passed, which is no reason by itself."""
    await screen(stack, "integration", "block", "bca-020", "--reason", "chờ kết nối", "--date", "30/10/2022")
    shown = await screen(stack, "attention", "--kind", "blocked", "--as-of", "30/11/2022")
    whole = await screen(stack, "attention", "--as-of", "01/2023")
    found = json.loads("\n".join(await screen(stack, "attention", "--kind", "overdue", "--limit", "1", "--json")))
    wrong = await screen(stack, "attention", "--kind", "late")

    assert shown[0] == "Blocked (2)"
    place = shown.index("  bca-020  No. 20 (not yet named)  30/10/2022 (31 days)  chờ kết nối")
    assert shown[place + 1] == "      tiendo integration unblock bca-020 --date …"
    assert whole[-1].startswith("Target date passed (within 2022): 11 / 227 completed, ")
    assert [item["kind"] for item in found["items"]] == ["ATTENTION_KIND_OVERDUE"]
    assert wrong[0].startswith("Wrong usage: there is no “late”; choose one of: BLOCKED, SUSPENDED,")


async def test_where_nothing_can_be_forecast_the_screen_says_why(stack: Stack) -> None:
    """What remains, the pace that asks for, and what is missing for a forecast."""
    shown = await screen(stack, "forecast", "--as-of", "09/2022")

    assert [_spaced(line) for line in shown[:-1]] == [
        "227 online public services of the Ministry of Public Security · target: completed within 2022",
        "As of 09/2022",
        "  Still to complete  216",
        "  Needed per month  72 (until 31/12/2022)",
        "  Achieved per month  not enough reports",
    ]
    assert shown[-1] == (
        "Too little to forecast from. Completions with a date: 0; different dates: 0, at least 6 are needed; "
        "weeks since the first: 0, at least 8."
    )


async def test_the_services_are_written_into_a_file(stack: Stack, tmp_path: Path) -> None:
    """The end of the name says which file; one that is there stays unless told; a refused export leaves none behind."""
    file = tmp_path / "services.csv"
    first = await screen(stack, "catalog", "export", str(file), "--filter", "naming = NAMED")
    rows = file.read_text(encoding="utf-8-sig").splitlines()
    again = await screen(stack, "catalog", "export", str(file))
    forced = await screen(stack, "catalog", "export", str(file), "--force")
    refused = await screen(stack, "catalog", "export", str(tmp_path / "other.json"), "--filter", "bogus = 1")
    wrong = await screen(stack, "catalog", "export", "services.pdf")

    assert first == [f"12 services written to {file}"]
    assert len(rows) == 13
    assert rows[0].startswith('"Plan number","Id","Service name"')
    assert again == [f"{file} exists; add --force to replace it."]
    assert forced == [f"227 services written to {file}"]
    assert refused[0].startswith("Refused: ")
    assert wrong[0].startswith("Wrong usage: services.pdf: the name must end in .csv")
    assert [each.name for each in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == ["services.csv"]
