"""The schema a database has, beside the one this code knows.

Invariant: looking makes nothing, and a database whose schema this code does not know is neither served nor migrated.
"""

import json
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services.common import db

NONE = "none"
_CONNECT_SECONDS = 3


class SchemaError(Exception):
    """The database has another schema than this code; the message gives both and the remedy."""


def check_schema(engine: Engine, service: str) -> None:
    """Raise SchemaError unless the database has exactly the schema that this code knows."""
    check_not_newer(engine, service)
    found, known = db.schema_versions(engine, service)
    if found != known:
        raise SchemaError(f"{engine.url} has schema {found}, this version needs {known}; run `tiendo migrate`")


def check_not_newer(engine: Engine, service: str) -> None:
    """Raise SchemaError where a newer version of Tiendo made the schema: there is no way back from it."""
    found, known = db.schema_versions(engine, service)
    if is_newer(found, known):
        raise SchemaError(
            f"{engine.url} has schema {found}, newer than {known}, which is all this version knows; "
            "install the newer version of Tiendo"
        )


def is_newer(found: str, known: str) -> bool:
    """Whether this code is older than the schema; schemas are numbered, with leading zeros."""
    return found not in (NONE, known) and found > known


def describe(service: str, url: str) -> str:
    """Describe a database as JSON, for `tiendo doctor`: `database`, `found`, `wanted`, `newer`, `answers`.

    `found` is empty where there is no database, or none that answers.
    """
    described = {"database": db.shown_url(url), "found": "", "wanted": "", "newer": False, "answers": True}
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).exists():
        return json.dumps(described)
    if parsed.get_backend_name() == "postgresql" and "connect_timeout" not in parsed.query:
        parsed = parsed.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    engine = db.open_engine(parsed.render_as_string(hide_password=False))
    try:
        found, known = db.schema_versions(engine, service)
        described |= {"found": found, "wanted": known, "newer": is_newer(found, known)}
    except DBAPIError:
        described["answers"] = False
    finally:
        engine.dispose()
    return json.dumps(described)
