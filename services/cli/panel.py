"""The panel that `tiendo up` ends in.

Invariant: every command in it works in a new terminal as it stands, wherever that terminal is.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from services.cli.addresses import Addresses
from services.common.words import Lang, word

_COMMANDS = (("status", "status"), ("watch", "watch"), ('catalog search "{wanted}"', "search"), ("doctor", "doctor"))
_WANTED = "ho chieu"
_COLUMN = 36
_FRAME = 4


def own_script() -> Path:
    """Find the `tiendo` of this environment."""
    beside = Path(sys.executable).parent / "tiendo"
    return beside if beside.exists() else Path(sysconfig.get_path("scripts")) / "tiendo"


def program(script: Path, search_path: str | None = None) -> str:
    """Say how to call this very program: by its bare name only where the shell finds no other by it."""
    found = shutil.which("tiendo", path=search_path)
    if found and Path(found).resolve() == script.resolve():
        return "tiendo"
    return shlex.quote(os.path.abspath(script))  # noqa: PTH100  links are kept: the environment is found by them


def commands(call: str, assignments: Mapping[str, str], lang: Lang, *, wanted: str = _WANTED) -> list[tuple[str, str]]:
    """Give each command with what it is for."""
    prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in assignments.items())
    return [
        (f"{prefix}{call} {arguments.format(wanted=wanted)}", word(f"screen.up.{key}", lang))
        for arguments, key in _COMMANDS
    ]


def show(
    console: Console,
    figure: str,
    addresses: Addresses,
    call: str,
    lang: Lang,
    *,
    engine: str = "embedded",
    simulated: Mapping[str, str] | None = None,
) -> None:
    """Print the panel; where the commands don't fit into it, they follow below, each on its own line.

    `simulated`: the settings of a simulation, where this is one.
    """
    ports = {service: str(port) for service, port in addresses.ports.items()}
    lines = [
        *([word("screen.simulate.programme", lang)] if simulated is not None else []),
        figure,
        *([word("screen.up.page", lang, address=addresses.page())] if addresses.page() else []),
        word("screen.up.grpc", lang, host=addresses.host, **ports),
        word("screen.up.nats", lang, address=addresses.nats_url),
    ]
    if engine != "embedded":
        lines.append(word(f"screen.up.engine_{engine}", lang))
    sought = _WANTED if simulated is None else word("screen.simulate.search", lang)
    wanted = commands(call, {**(simulated or {}), **addresses.assignments()}, lang, wanted=sought)
    column = max(_COLUMN, *(len(text) + 1 for text, _ in wanted))
    rows = [f"  {text:<{column}} {meaning}" for text, meaning in wanted]
    second = word("screen.up.second_terminal", lang)
    foot = word("screen.up.foot" if simulated is None else "screen.simulate.foot", lang)
    inside = max(map(len, rows)) + _FRAME <= console.width
    if inside:
        lines += [second, *rows, foot]
    text = Text("\n".join(lines), no_wrap=True, overflow="ignore")
    console.print(
        Panel(text, title=word("screen.up.title", lang), title_align="left", box=box.ROUNDED, expand=False),
        crop=False,
    )
    if not inside:
        print(second)
        for text_of, meaning in wanted:
            print(f"  {text_of}\n      {meaning}")
        print(foot, flush=True)
