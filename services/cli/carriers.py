"""The services' own processes at work on their databases: back-ups, restoring, moving.

Invariant: what they write is committed for all of them or for none, for each waits until every other one is ready.
"""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from services.cli.processes import module_command

# Told on the way: service, what is told of its progress.
Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass
class RefusedWorkError(Exception):
    """A service's process would not, or could not."""

    service: str
    reason: str
    """A code; empty where it said nothing that is known here."""
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Carrier:
    """One service's process."""

    def __init__(self, service: str, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.service = service
        self._process = subprocess.Popen(
            module_command(service, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=dict(environ),
        )

    def until(self, kind: str, tell: Tell) -> dict[str, Any]:
        """Give what it says once it is "ready" or "done". Raises RefusedWorkError."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                told: dict[str, Any] = json.loads(line)
                if "progress" in told:
                    tell(self.service, told["progress"])
                elif "refused" in told:
                    values = told["refused"]
                    raise RefusedWorkError(self.service, values.pop("reason"), values.pop("message"), values)
                elif kind in told:
                    return dict(told[kind])
        assert self._process.stderr is not None
        raise RefusedWorkError(self.service, "", self._process.stderr.read().strip().rpartition("\n")[2])

    def go(self) -> None:
        """Let it commit."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Wait for its end; one that was not told to commit commits nothing."""
        with suppress(BrokenPipeError):
            self._process.communicate()


def in_turn(
    services: Sequence[str], arguments: Sequence[str], environ: Mapping[str, str], tell: Tell
) -> dict[str, Any]:
    """Let one after the other do its work. Raises RefusedWorkError at the first that does not."""
    done = {}
    for service in services:
        carrier = Carrier(service, arguments, environ)
        try:
            done[service] = carrier.until("done", tell)
        finally:
            carrier.end()
    return done


def together(
    commands: Mapping[str, Sequence[str]],
    environ: Mapping[str, str],
    tell: Tell,
    confirm: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Let all do their work at once; `confirm` gets what each is ready to commit, and may raise.

    Raises RefusedWorkError: nothing was committed, unless the reason is "half": a database failed in the very commit.
    """
    carriers = [Carrier(service, arguments, environ) for service, arguments in commands.items()]
    try:
        with ThreadPoolExecutor(len(carriers)) as threads:
            ready = list(threads.map(lambda each: _tried(each, "ready", tell), carriers))
        for outcome in ready:
            if isinstance(outcome, RefusedWorkError):
                raise outcome
        confirm({each.service: outcome for each, outcome in zip(carriers, ready, strict=True)})
        for each in carriers:
            each.go()
        done = {each.service: _tried(each, "done", tell) for each in carriers}
    finally:
        for each in carriers:
            each.end()
    failed = [name for name, outcome in done.items() if isinstance(outcome, RefusedWorkError)]
    if failed:
        names = ", ".join(failed)
        raise RefusedWorkError(failed[0], "half", f"{names} could not commit, the others have", {"services": names})
    return done


def _tried(carrier: Carrier, kind: str, tell: Tell) -> Any:
    try:
        return carrier.until(kind, tell)
    except RefusedWorkError as refusal:
        return refusal
