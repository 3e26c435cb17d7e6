"""Other parts of Tiendo as processes: run to their end, or become one.

Invariant: parts are started by their module's name with this interpreter and never imported.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from services.cli import running
from services.cli.session import Session, StopError


def module_command(service: str, *arguments: str) -> list[str]:
    """Give the command line of a service's process."""
    return [sys.executable, "-m", f"services.{service}", *arguments]


def environ_beside(session: Session) -> dict[str, str]:
    """Give the environment of a process that opens the same databases as a `tiendo up` which runs on this folder."""
    return running.heard(session.settings.data_dir) | dict(os.environ)


def run_module(session: Session, service: str, *arguments: str) -> None:
    """Run a command of a service and show what it says. Raises StopError with its code when it fails."""
    done = run_all([service], *arguments, environ=environ_beside(session))[0]
    for line in done.stdout.splitlines():
        session.say(line)
    if "Traceback (most recent call last)" in done.stderr:
        log = session.settings.data_dir.absolute() / "logs" / f"{service}-{arguments[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stderr, encoding="utf-8")
        session.complain(session.word("screen.up.part_failed", part=f"{service} {arguments[0]}", log=log))
    else:
        for line in done.stderr.splitlines():
            session.complain(line)
    if done.returncode:
        raise StopError(done.returncode)
    if session.as_json:
        session.show_json({"done": True})


def run_all(
    services: Sequence[str], *arguments: str, environ: Mapping[str, str]
) -> list[subprocess.CompletedProcess[str]]:
    """Run the same command of several services at once, to their ends."""
    running = [
        subprocess.Popen(
            module_command(service, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environ),
        )
        for service in services
    ]
    ended = []
    for process in running:
        out, err = process.communicate()
        ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return ended


def become(service: str, *arguments: str) -> NoReturn:
    """Turn this process into a service's."""
    sys.stdout.flush()
    command = module_command(service, *arguments)
    os.execv(command[0], command)  # noqa: S606
