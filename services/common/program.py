"""A service's program: `python -m services.<service> [serve|migrate|schema|…]`.

Invariant: each command reads the code that it needs and no more, for reading it all takes most of a short one's time.
"""

import asyncio
import os
import sys
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from services.common.config import ServiceSettings, Settings, SettingsError, check_environment, explain
from services.common.db import may_pass
from services.common.log import configure
from services.common.ports import PortTakenError
from services.common.process import read
from services.common.schema import SchemaError, describe

_USAGE = 2

O = TypeVar("O", bound=ServiceSettings)  # noqa: E741 (the type of the own settings)


def main(service: str, *others: str) -> None:
    """Be the program. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 unreachable.

    `others` are further commands, each a coroutine function of the service's `consumers` that gives a sentence to print. The
    rooms of a service are called the same in each, so that a command is found without reading what others need.
    """
    words = sys.argv[1:] or ["serve"]
    try:
        kind = getattr(_room(service, "config"), f"{service.title()}Settings")
        shared, own = read_settings(kind)
        configure(service, shared.log_format, shared.log_level)
        match words:
            case ["serve"]:
                serve, run = _room(service, "app").serve, read("services.common.server").run
                run(lambda stopping: serve(shared, own, stopping), grace_seconds=shared.drain_seconds)
            case ["schema"]:
                print(describe(service, own.database(service, shared)))  # noqa: T201
            case ["migrate"]:
                migrate, journal = read("services.common.migrations").migrate_service, _room(service, "storage").journal
                found, made = migrate(service, shared, own, journal)
                done = "nothing to do" if found == made else f"{made} made"
                print(f"{service}: schema {found} found, {done}")  # noqa: T201
            case [command] if command in others:
                print(asyncio.run(getattr(_room(service, "consumers"), command)(shared, own)))  # noqa: T201
            case _:
                carrying, journal = read("services.common.carry"), _room(service, "storage").journal
                code = carrying.carry(service, journal, shared, own, words)
                if code == _USAGE:
                    usage = " | ".join(("serve", "migrate", "schema", *others, *carrying.COMMANDS.values()))
                    print(f"usage: python -m services.{service} [{usage}]", file=sys.stderr)  # noqa: T201
                sys.exit(code)
    except (SettingsError, SchemaError, PortTakenError) as refusal:
        print(f"{service}: {refusal}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except DBAPIError as failure:
        if not may_pass(failure):
            raise
        setting = f"TIENDO_{service.upper()}_DATABASE_URL"
        said = " ".join(str(failure.orig).split())
        print(f"{service}: the database does not answer ({said}); start it or mend {setting}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _room(service: str, name: str) -> Any:
    return read(f"services.{service}.{name}")


def read_settings(settings: type[O]) -> tuple[Settings, O]:
    """Read and check the environment. Raises SettingsError naming the variable."""
    check_environment(os.environ, settings)
    made: list[Any] = []
    for kind in (Settings, settings):
        try:
            made.append(kind())
        except ValidationError as error:
            raise explain(error, kind.model_config.get("env_prefix", "")) from None
    return made[0], made[1]
