"""How answers look on a terminal and as JSON.

Invariant: with --json, standard output holds JSON and nothing else; without, tables fit the terminal and wrap names.
"""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli import figures
from services.cli.client import Session
from services.cli.words import Lang
from tiendo.common.v1 import date_pb2

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(message: Message | dict[str, Any]) -> None:
    """Print one JSON object on one line, words untranslated."""
    tree = message if isinstance(message, dict) else as_dict(message)
    print(json.dumps(tree, ensure_ascii=False), flush=True)


def as_dict(message: Message) -> dict[str, Any]:
    """Give a message as its JSON object; zeros that were sent are kept."""
    tree: dict[str, Any] = MessageToDict(message)
    return tree


def line(text: str) -> None:
    """Print one line of text as it is."""
    print(text, flush=True)


def error(text: str) -> None:
    """Print a sentence to standard error."""
    errors.print(Text(text), soft_wrap=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str | Text]], *, right: Sequence[int] = ()) -> None:
    """Print a plain table; columns named in `right` (by place) are aligned to the right."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headers), header_style="bold")
    for place, header in enumerate(headers):
        grid.add_column(Text(header), justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console.print(grid)


def date(message: date_pb2.PartialDate) -> str:
    """Show a date as precise as it is."""
    return figures.partial_date(message.year, message.month, message.day)


def when(message: date_pb2.EffectiveDate, lang: Lang) -> str:
    """Say inside a sentence when something happened."""
    part = message.date
    return figures.when(part.year, part.month, part.day, at_latest=message.at_latest, lang=lang)


def effective(message: date_pb2.EffectiveDate, lang: Lang) -> str:
    """Show when something happened in a column: `đến 09/2022`, `05/10/2022`."""
    return when(message, lang) if message.at_latest else date(message.date)


def service_name(session: Session, display_name: str, service_id: str, plan_number: int = 0) -> str:
    """Call a service by its name, or by its number in the plan where it has none yet."""
    if display_name:
        return display_name
    number = plan_number or int("".join(letter for letter in service_id if letter.isdigit()) or 0)
    return figures.slot_name(number, session.lang)
