"""The client library, as every command uses it: where the settings say, as the person at the terminal.

Invariant: a call ends with a reply or with an error that says which exit code it deserves.
"""

import getpass
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from services.client import Client, Places, RefusedError, TiendoError
from services.common.config import SERVICES, Settings

REFUSED = 1
WRONG_USAGE = 2
UNREACHABLE = 3

_PATIENCE_SECONDS = 1.5


def connect(settings: Settings, actor: str, *, patient: bool = True) -> Client:
    """Give a client. `patient`: try again for a moment when nobody answers."""
    places = Places(**{service: settings.address_of(service) for service in SERVICES})
    return Client(places, actor=actor, patience_seconds=_PATIENCE_SECONDS if patient else 0)


def exit_code(failure: TiendoError) -> int:
    """Give what the command ends with: a part that cannot answer now is unreachable; everything else was refused."""
    return REFUSED if isinstance(failure, RefusedError) and failure.code != "UNAVAILABLE" else UNREACHABLE


def default_actor() -> str:
    """Name the person at the terminal by the account's name; "anonymous" where the account has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "anonymous"


def pages(client: Client, method: Any, request: Any, limit: int = 0) -> Iterator[Any]:
    """Read page after page of a list; `limit`: as many pages as hold so many rows, 0: all."""
    return islice(client.pages(method, request), math.ceil(limit / request.page_size) if limit else None)
