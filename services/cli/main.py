"""The command `tiendo`: what operators and managers type.

Invariant: exit codes 0 done, 1 refused, 2 wrong usage, 3 unreachable; no stack trace for anything a user can cause.
"""

import os
import subprocess
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from services.cli import catalog, doctor, integration, output, status, up, watch
from services.cli.client import REFUSED, CommandError, Session, default_actor
from services.cli.words import choose_lang
from services.common.config import SERVICES, Settings, SettingsError, check_environment, explain

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tiendo tracks a programme of online public services from plan to completed integration.",
)
status_app = typer.Typer(invoke_without_command=True, help="How complete, as of when.")
app.add_typer(catalog.app, name="catalog")
app.add_typer(integration.app, name="integration")
app.add_typer(status_app, name="status")


@app.callback()
def begin(
    context: typer.Context,
    lang: Annotated[str | None, typer.Option("--lang", help="vi or en; default: the terminal's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON, one object a line.")] = False,
    actor: Annotated[str, typer.Option("--actor", help="Who asks; default: this account.")] = "",
) -> None:
    """Prepare the session of a command."""
    check_environment(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        raise explain(error, "TIENDO_") from None
    try:
        chosen = choose_lang(lang, os.environ)
    except ValueError:
        raise typer.BadParameter("vi, en", param_hint="--lang") from None
    context.obj = Session(chosen, json, settings, actor or default_actor())


@app.command("up")
def start_all(context: typer.Context) -> None:
    """Start everything on this machine, with the real data; Ctrl-C stops it and keeps the data."""
    up.run(context.obj)


@app.command("serve")
def serve(service: Annotated[str, typer.Argument(help="catalog, integration or status")]) -> None:
    """Run one service in the foreground."""
    if service not in SERVICES:
        raise typer.BadParameter(", ".join(SERVICES))
    os.execv(sys.executable, [sys.executable, "-m", f"services.{service}"])  # noqa: S606


@app.command("migrate")
def migrate(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="One service; default: all three, and the streams.")] = "",
) -> None:
    """Bring the schemas up to date and make missing streams; twice changes nothing."""
    if service and service not in SERVICES:
        raise typer.BadParameter(", ".join(SERVICES))
    for name in [service] if service else SERVICES:
        done = subprocess.run([sys.executable, "-m", f"services.{name}", "migrate"], check=False)
        if done.returncode:
            raise CommandError(REFUSED, "")
    if not service:
        for line in up.make_streams(context.obj.settings.nats_url):
            output.line(line)


@app.command("seed")
def seed(context: typer.Context) -> None:
    """Send the first programme, its 227 services and the 11 completions; twice adds nothing."""
    revision = up.seed(context.obj)
    session: Session = context.obj
    if session.json:
        output.print_json({"revision": revision})
    else:
        status.print_summary(session, revision)


@status_app.callback()
def show_status(
    context: typer.Context,
    as_of: Annotated[str, typer.Option("--as-of", help="The day asked about: 30/09/2022, 09/2022 or 2022.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help="Only what was recorded by then: 2022-10-05T08:00:00+07:00.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="field, agency, level or stage.")] = "",
    programme: catalog.Programme = "",
) -> None:
    """How complete, as of when, and what is still asked for."""
    if context.invoked_subcommand is None:
        status.show(context.obj, programme, as_of, known_at, by)


@status_app.command("rebuild")
def rebuild() -> None:
    """Put the read model together anew from the journals of catalog and integration."""
    os.execv(sys.executable, [sys.executable, "-m", "services.status", "rebuild"])  # noqa: S606


@app.command("watch")
def watch_progress(
    context: typer.Context,
    programme: catalog.Programme = "",
    after: Annotated[str, typer.Option("--after", help="Go on after this token.")] = "",
    beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the first event kept.")] = False,
    only: Annotated[str, typer.Option("--only", help="Only these, for example blocked,reverted.")] = "",
    service: Annotated[str, typer.Option("--service", help="Only this service, by id or alias.")] = "",
) -> None:
    """Progress as it happens; goes on by itself after a lost connection."""
    watch.run(context.obj, programme, after, only, service, beginning=beginning)


@app.command("doctor")
def look(context: typer.Context) -> None:
    """Is everything well? Exit 1 and the remedy if not."""
    doctor.run(context.obj)


def run() -> None:
    """Be the command `tiendo`."""
    try:
        app(_globals_first(sys.argv[1:]))
    except SettingsError as error:
        output.error(str(error))
        sys.exit(REFUSED)
    except CommandError as error:
        if str(error):
            output.error(str(error))
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells count what Ctrl-C ended


def _globals_first(arguments: list[str]) -> list[str]:
    """Let --json, --lang and --actor stand anywhere, as people type them."""
    first: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if argument == "--":
            return first + rest + arguments[index:]
        if argument == "--json" or argument.startswith(("--lang=", "--actor=")):
            first.append(argument)
        elif argument in {"--lang", "--actor"} and index + 1 < len(arguments):
            first += arguments[index : index + 2]
            index += 1
        else:
            rest.append(argument)
        index += 1
    return first + rest


if __name__ == "__main__":
    run()
