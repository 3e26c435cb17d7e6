"""The panel's commands work in a new terminal as they stand."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from services.cli import panel
from services.cli.addresses import Addresses
from services.common.words import Lang

DEFAULT = Addresses(
    "127.0.0.1",
    {"catalog": 7101, "integration": 7102, "status": 7103},
    {"catalog": "127.0.0.1:7101", "integration": "127.0.0.1:7102", "status": "127.0.0.1:7103"},
    "nats://127.0.0.1:7104",
    7100,
)
FIGURE = "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022"


def script(folder: Path) -> Path:
    """An executable called tiendo in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tiendo"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_bare_name_only_when_the_shell_finds_this_program(tmp_path: Path) -> None:
    """Another tiendo earlier on the path, or none, asks for the whole path."""
    mine, other = script(tmp_path / "mine"), script(tmp_path / "other one")
    both = os.pathsep.join(map(str, (mine.parent, other.parent)))

    assert panel.program(mine, both) == "tiendo"
    assert panel.program(other, both) == f"'{other}'"
    assert panel.program(mine, str(tmp_path)) == str(mine)


def test_moved_ports_come_along(tmp_path: Path) -> None:
    """A command gets the addresses that differ from the defaults, and no other."""
    moved = Addresses(
        "127.0.0.1",
        {**DEFAULT.ports, "status": 8103},
        {**DEFAULT.calls, "status": "127.0.0.1:8103"},
        "nats://127.0.0.1:8104",
    )

    commands = [text for text, _ in panel.commands("tiendo", moved.assignments(), Lang.EN)]

    assert commands[0] == ("TIENDO_STATUS_ADDRESS=127.0.0.1:8103 TIENDO_NATS_URL=nats://127.0.0.1:8104 tiendo status")
    assert DEFAULT.assignments() == {}


def test_panel_as_agreed() -> None:
    """With the defaults the panel looks as agreed."""
    console = Console(width=80, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    panel.show(console, FIGURE, DEFAULT, "tiendo", Lang.EN)
    lines = [line.strip("│╭╰─╮╯ ") for line in console.export_text().splitlines()]
    console.file.close()

    assert lines == [
        "Tiendo",
        FIGURE,
        "Page    http://127.0.0.1:7100   Tiếng Việt · English",
        "gRPC    127.0.0.1  catalog 7101 · integration 7102 · status 7103",
        "NATS    nats://127.0.0.1:7104",
        "In a second terminal:",
        "tiendo status                        how complete, as of when",
        "tiendo watch                         progress as it happens",
        'tiendo catalog search "ho chieu"     find a service',
        "tiendo doctor                        is everything well?",
        "For trying out. Ctrl-C stops it and keeps the data.",
        "",
    ]


def test_long_commands_stand_alone_on_their_lines(tmp_path: Path) -> None:
    """What does not fit into the frame is printed below it, so that nothing of the frame is copied along."""
    console = Console(width=60, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    panel.show(console, FIGURE, DEFAULT, "/a/rather/long/path/to/the/environment/bin/tiendo", Lang.EN)
    framed = console.export_text()
    console.file.close()

    assert "status" not in framed.replace("status 7103", "")


@pytest.mark.parametrize(
    ("lang", "line"),
    [
        (Lang.VI, "Như vận hành thật: PostgreSQL · 3 máy chủ NATS · mỗi dịch vụ chạy 2 bản"),
        (Lang.EN, "As in production: PostgreSQL · 3 NATS servers · 2 of each service"),
    ],
)
def test_the_panel_says_what_runs_as_in_production(lang: Lang, line: str) -> None:
    """The production shape is named in one line of the panel, in either language."""
    console = Console(width=100, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    panel.show(console, FIGURE, DEFAULT, "tiendo", lang, engine="production")
    lines = [text.strip("│ ") for text in console.export_text().splitlines()]
    console.file.close()

    assert lines[5] == line
