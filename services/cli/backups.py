"""`tiendo backup`, `tiendo restore`, and moving an installation from its files to a database server.

Invariant: a file that a back-up was written to holds all of it, read back; before that there is no file of that name.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as replaced_in
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from services.cli.carriers import RefusedWorkError, Tell, in_turn, together
from services.cli.client import REFUSED, UNREACHABLE
from services.cli.processes import environ_beside
from services.cli.session import Session, StopError, UsageProblemError, command, to_json
from services.common.config import SERVICES
from services.common.figures import instant, number
from services.common.words import keys, values_of

# A follower's part is taken before its sources', so that in the copy nobody has followed what is not in it.
_FOLLOWERS_FIRST = tuple(reversed(SERVICES))
_UNIT = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB")
_SERVICE = "{service}"


def backup(
    session: Session, file: Annotated[str, typer.Argument(metavar="FILE", help="Written anew; must not be there yet.")]
) -> None:
    """Write all data to one file, while everything runs; it is read back before this says that it is done.

    Each service's part is as of one moment. The NATS streams are not in it: they are filled again from the journals.
    """
    target = Path(file).absolute()
    if target.exists():
        raise _refused(session, "exists", file=file)
    try:
        # Readable by its owner alone, from the first byte on; the processes add to it.
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        beside = Path(name)
        try:
            with _worded(session), _progress(session) as tell:
                done = in_turn(_FOLLOWERS_FIRST, ("backup", name), environ_beside(session), tell)
            _keep(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise _refused(session, "exists", file=file) from None
    except OSError as problem:
        raise _refused(session, "no_file", file=file, why=problem.strerror or type(problem).__name__) from None
    if session.as_json:
        session.show_json({"file": str(target), "bytes": target.stat().st_size, "services": _ordered(done)})
        return
    _show(session, done)
    session.say(session.word("screen.carry.backed_up", file=file, size=_size(target.stat().st_size)))


def _keep(beside: Path, target: Path) -> None:
    """Put a whole file on the disk under its name. Raises FileExistsError where one of that name has come meanwhile."""
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError from None
        beside.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        help="Where to: postgresql://…, in which {service} stands for each service's name (a database each); without it "
        "each service gets a schema of its name in that one database. Or a folder, a file each in it. "
        "Default: where TIENDO_<SERVICE>_DATABASE_URL says.",
    ),
]


def restore(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Written by tiendo backup.")],
    service: Annotated[
        str, typer.Option("--service", metavar="SERVICE", help="Only this one of them; default: all three.")
    ] = "",
    to: ToOption = "",
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of the data that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a back-up's data into empty databases, while nothing serves them: all or nothing.

    Every journal's chain is checked before anything is written. Catalog and integration keep their epoch: where they end
    before what their followers and their stream have seen, these stop and say so; tiendo doctor names the command for
    each. Progress goes on under a new epoch, for its watchers could not tell: older watch tokens are refused.
    """
    if service and service not in SERVICES:
        choices = ", ".join(SERVICES)
        raise UsageProblemError(session.word("screen.common.unknown_choice", value=service, choices=choices))
    chosen = [service] if service else list(SERVICES)
    arguments = ["restore", str(Path(file).absolute()), *(["--replace"] if replace else [])]
    urls = _urls(session, to) if to else {}

    def confirm(ready: dict[str, Any]) -> None:
        replaced = {name: told for name, told in ready.items() if "replaces" in told}
        if replaced and not yes:
            _show(session, ready, complain=True)
            session.sure(session.word("screen.carry.sure_replace"), yes=False)

    with _worded(session), _progress(session) as tell:
        done = together(dict.fromkeys(chosen, arguments), environ_beside(session) | urls, tell, confirm)
    if session.as_json:
        session.show_json({"file": str(Path(file).absolute()), "services": _ordered(done)})
        return
    _show(session, done)
    session.say(session.word("screen.carry.restored"))
    if "status" in done:
        session.say(session.word("screen.carry.watchers_anew"))
    _say_settings(session, done, urls)


def move(session: Session, folder: str, to: str) -> None:
    """Move the databases of an embedded installation; `to` as for ToOption."""
    missing = [name for name in map(_variable, SERVICES) if not os.environ.get(name)]
    if not to and missing:
        raise UsageProblemError(session.word("screen.carry.no_target", settings=", ".join(missing)))
    urls = _urls(session, to) if to else {}
    files = {service: Path(folder).absolute() / f"{service}.db" for service in SERVICES}
    commands = {service: ("move", f"sqlite:///{file}") for service, file in files.items()}
    with _worded(session), _progress(session) as tell:
        done = together(commands, dict(os.environ) | urls, tell, lambda _: None)
    if session.as_json:
        session.show_json({"from": str(Path(folder).absolute()), "services": _ordered(done)})
        return
    _show(session, done)
    session.say(session.word("screen.carry.moved", folder=folder))
    _say_settings(session, done, urls)


def _variable(service: str) -> str:
    return f"TIENDO_{service.upper()}_DATABASE_URL"


def _urls(session: Session, to: str) -> dict[str, str]:
    """Give each service's setting for the one place that was named. Raises UsageProblemError."""
    if "://" not in to:
        return {_variable(name): f"sqlite:///{Path(to).absolute() / name}.db" for name in SERVICES}
    if _SERVICE in to:
        return {_variable(name): to.replace(_SERVICE, name) for name in SERVICES}
    parts = urlsplit(to)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise UsageProblemError(session.word("screen.carry.no_such_target", url=_shown(to)))
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    return {
        _variable(name): urlunsplit(
            parts._replace(
                scheme="postgresql",
                query=urlencode(
                    given | {"options": f"{given.get('options', '')} -csearch_path={name}".strip()}, quote_via=quote
                ),
            )
        )
        for name in SERVICES
    }


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _say_settings(session: Session, done: Mapping[str, Any], urls: Mapping[str, str]) -> None:
    """Say what the services have to be told to find the data; passwords are left for the reader to put in."""
    if urls:
        session.say(session.word("screen.carry.settings"))
        session.say(*(f"  {_variable(service)}={done[service]['url']}" for service in SERVICES if service in done))


def _ordered(done: Mapping[str, Any]) -> dict[str, Any]:
    return {service: done[service] for service in SERVICES if service in done}


def _show(session: Session, done: Mapping[str, Any], *, complain: bool = False) -> None:
    """Show a line a service: its schema, its journal's end, how much there is, and what it takes the place of."""
    word = session.word
    columns = ("service", "schema", "newest", "recorded", "rows", "instead")
    rows = []
    for service, told in _ordered(done).items():
        replaced = told.get("replaces")
        rows.append(
            [
                service,
                told["schema"],
                number(told["sequence"], session.lang),
                instant(datetime.fromisoformat(told["recorded_time"]), seconds=True),
                number(sum(told["tables"].values()), session.lang),
                number(replaced["sequence"], session.lang) if replaced else "",
            ]
        )
    shown = columns if any(row[-1] for row in rows) else columns[:-1]
    numbers = [place for place, name in enumerate(shown) if name in {"newest", "rows", "instead"}]
    headers = [word(f"screen.carry.column_{name}") for name in shown]
    screen = replaced_in(session, console=_to_stderr()) if complain else session
    screen.table(headers, [row[: len(shown)] for row in rows], numbers=numbers)


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= _UNIT and unit < len(_UNITS) - 1:
        size, unit = size / _UNIT, unit + 1
    return f"{size:.0f} {_UNITS[unit]}"


def _to_stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


@contextmanager
def _progress(session: Session) -> Iterator[Tell]:
    """Show how far each service is, on a terminal; elsewhere the outcome says it."""
    console = _to_stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def tell(service: str, told: Mapping[str, Any]) -> None:
            if service not in bars:
                bars[service] = progress.add_task(service)
            step = session.word(f"screen.carry.step_{told['step']}")
            description = f"{service:<12} {step}: {told['table']}"
            progress.update(bars[service], description=description, completed=told["rows"], total=told["of"] or 1)

        yield tell


@contextmanager
def _worded(session: Session) -> Iterator[None]:
    """Word what a service's process refused, and end the command with its code."""
    try:
        yield
    except RefusedWorkError as refusal:
        values = {"service": refusal.service, **refusal.values}
        raise _refused(session, refusal.reason, message=refusal.message, **values) from None


def _refused(session: Session, reason: str, message: str = "", **values: Any) -> StopError:
    key = f"screen.carry.{reason}"
    known = key in keys()
    what = session.word(key, **{name: values[name] for name in values_of(key)}) if known else message
    if session.as_json:
        session.complain(to_json({"error": {"reason": reason, "message": message or what, **values}}))
    else:
        session.complain(session.word("screen.common.refused", what=what))
    return StopError(UNREACHABLE if reason == "unreachable" else REFUSED)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup")(backup)
    command(app, "restore")(restore)
