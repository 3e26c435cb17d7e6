"""What every command has: the language, the form of the output, who is asking, and how a failure is told.

Invariant: a command ends with 0 done, 1 refused, 2 wrong usage or 3 unreachable, and never with a stack trace for what a
service or the user did.
"""

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from services.cli.client import WRONG_USAGE, connect, default_actor, exit_code
from services.client import Client, RefusedError, TiendoError, UnreachableError
from services.common.config import Settings, SettingsError, check_environment, explain
from services.common.figures import instant, partial_date
from services.common.words import Lang, choose_lang, word, word_error

_SHORT = 22  # characters of a column that is never broken


class UsageProblemError(Exception):
    """The command was typed wrongly; the message is in the user's language."""


class StopError(Exception):
    """The command ends here with a code; what there is to say was said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Globals:
    """What was given before the command's name."""

    lang: str | None = None
    as_json: bool = False


@dataclass
class Session:
    """One run of one command."""

    lang: Lang
    as_json: bool
    actor: str
    console: Console = field(default_factory=lambda: Console(highlight=False, markup=False, soft_wrap=False))

    @cached_property
    def settings(self) -> Settings:
        """The shared settings. Raises SettingsError."""
        check_environment(os.environ)
        try:
            return Settings()
        except ValidationError as error:
            raise explain(error, "TIENDO_") from None

    @cached_property
    def client(self) -> Client:
        """The connections."""
        return connect(self.settings, self.actor)

    def word(self, key: str, **values: object) -> str:
        """Give a text in the session's language."""
        return word(key, self.lang, **values)

    def say(self, *lines: str) -> None:
        """Print lines as they are; the terminal breaks long ones."""
        for line in lines:
            print(line, flush=True)

    def complain(self, line: str) -> None:
        """Print a line to the error stream."""
        print(line, file=sys.stderr, flush=True)

    def show_json(self, content: Message | Mapping[str, Any] | Sequence[Any]) -> None:
        """Print one JSON document."""
        print(to_json(content, indent=2), flush=True)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
        """Print a table without lines that fits the terminal; the columns `numbers` are aligned right.

        Short columns stay in one line and long texts are broken; the heading of a number is broken at its words.
        """
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_header=any(headers))
        for place, header in enumerate(headers):
            cells = [row[place] for row in rows]
            if place in numbers:
                width = max(map(len, (*header.split(), *cells)))
                table.add_column(header, justify="right", max_width=width)
            else:
                short = max(map(len, (header, *cells))) <= _SHORT
                table.add_column(header, no_wrap=short, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def sure(self, question: str, *, yes: bool) -> None:
        """Ask before a step that people regret. Raises StopError when the answer is no."""
        if yes:
            return
        self.complain(question)
        sys.stderr.write(f"{self.word('screen.common.sure')} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip().lower()
        if answer not in {"y", "yes", "c", "có", "co"}:
            self.complain(self.word("screen.common.nothing_done"))
            raise StopError(1)

    def tell(self, failure: TiendoError) -> None:
        """Word a failed call."""
        if self.as_json:
            self.complain(to_json({"error": _error_fields(failure)}))
        else:
            self.complain(error_text(failure, self.lang))


def to_json(content: Message | Mapping[str, Any] | Sequence[Any], indent: int | None = None) -> str:
    """Give JSON as the contract maps it; what has no presence is written out, so that a reader finds every field."""
    if isinstance(content, Message):
        text: str = json_format.MessageToJson(
            content, always_print_fields_with_no_presence=True, ensure_ascii=False, indent=indent
        )
        return text
    return json.dumps(content, ensure_ascii=False, indent=indent)


def error_text(failure: TiendoError, lang: Lang) -> str:
    """Give the line that tells of a failed call, worded by its reason; the service's own words for a new reason."""
    if isinstance(failure, UnreachableError):
        key = "screen.common.no_answer" if failure.late else "screen.common.unreachable"
        return word(key, lang, address=failure.address)
    if not isinstance(failure, RefusedError):
        return str(failure)
    metadata = {name: _shown(name, value) for name, value in failure.metadata.items()}
    if "remedy" in metadata:
        metadata["remedy"] = _remedy(metadata["remedy"], metadata.get("name", ""))
    # These are named in the sentence itself.
    field_path = "" if failure.field in {"etag", "name", "parent", "file"} else failure.field
    try:
        what = word_error(failure.reason, lang, metadata, field_path)
    except KeyError:
        what = failure.message
    return word("screen.common.refused", lang, what=what)


def _shown(name: str, value: str) -> str:
    """Put an instant or a date of the metadata into the reader's form."""
    try:
        if name.endswith("_time"):
            return instant(datetime.fromisoformat(value))
        if name in {"today", "latest", "before"}:
            return partial_date(*(int(part) for part in value.split("-")))
    except (ValueError, TypeError):
        return value
    return value


def _remedy(method: str, name: str) -> str:
    """Give the command that does what the named method does: UnblockIntegration is `tiendo integration unblock`."""
    verb = method.removesuffix("Integration")
    return f"tiendo integration {verb.lower()} {name.rpartition('/')[2]}" if verb != method else method


def _error_fields(failure: TiendoError) -> dict[str, Any]:
    if isinstance(failure, RefusedError):
        return {
            "code": failure.code,
            "reason": failure.reason,
            "field": failure.field,
            "message": failure.message,
            "metadata": dict(failure.metadata),
        }
    return {"code": "UNAVAILABLE", "reason": "", "field": "", "message": str(failure), "metadata": {}}


LangOption = Annotated[str | None, typer.Option("--lang", help="vi or en; default: the terminal's.", metavar="vi|en")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, never translated.")]
ActorOption = Annotated[
    str | None, typer.Option("--actor", help="Who does it; default: the account's name.", metavar="NAME")
]


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register `function(session, …)` as a command that takes --lang, --json and --actor as well."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [
            inspect.Parameter("lang", keyword, default=None, annotation=LangOption),
            inspect.Parameter("as_json", keyword, default=False, annotation=JsonOption),
            inspect.Parameter("actor", keyword, default=None, annotation=ActorOption),
        ]
        context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
        parameters = [*(each.replace(kind=keyword) for each in own), *shared, context]

        def run(
            *, ctx: typer.Context, lang: str | None = None, as_json: bool = False, actor: str | None = None, **own: Any
        ) -> None:
            given = ctx.find_root().obj or Globals()
            _run(functools.partial(function, **own), lang or given.lang, as_json or given.as_json, actor)

        run.__doc__, run.__name__ = function.__doc__, function.__name__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, **settings)(run)
        return function

    return register


def _run(function: Callable[[Session], None], lang: str | None, as_json: bool, actor: str | None) -> None:
    try:
        session = Session(choose_lang(lang, os.environ), as_json, actor or default_actor())
    except ValueError:
        print(word("screen.common.wrong_usage", Lang.EN, what=f"--lang {lang}: vi, en"), file=sys.stderr)
        raise typer.Exit(WRONG_USAGE) from None
    try:
        function(session)
    except StopError as stop:
        raise typer.Exit(stop.code) from None
    except UsageProblemError as problem:
        session.complain(session.word("screen.common.wrong_usage", what=problem))
        raise typer.Exit(WRONG_USAGE) from None
    except SettingsError as problem:
        session.complain(session.word("screen.common.wrong_usage", what=problem))
        raise typer.Exit(WRONG_USAGE) from None
    except TiendoError as failure:
        session.tell(failure)
        raise typer.Exit(exit_code(failure)) from None
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
