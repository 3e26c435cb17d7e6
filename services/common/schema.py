"""The schema of a service's database: the one that is found, beside the one that this code knows.

Invariant: looking makes nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services.common import db

_CONNECT_SECONDS = 3


class SchemaError(Exception):
    """The database has another schema than this code; the message gives both and the command."""


def migrations_of(service: str) -> Path:
    """Give the folder of a service's migrations."""
    return Path(__file__).parent.parent / service / "migrations"


def revisions(service: str) -> list[str]:
    """Give the schemas that this code knows, the newest first: each migration's file is called by its own."""
    # Not asked of alembic: reading that takes longer than all else that a start does with the schema.
    files = migrations_of(service).glob("versions/[0-9]*.py")
    return sorted((file.name.partition("_")[0] for file in files), reverse=True)


def found_revision(connection: Connection) -> str:
    """Give the schema found in the database; "none" when there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return "none"
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found or "none"


def check_schema(engine: Engine, service: str) -> None:
    """Raise SchemaError unless the database has exactly the newest schema that this code knows."""
    known = revisions(service)
    with db.read_transaction(engine) as connection:
        found = found_revision(connection)
    if found == known[0]:
        return
    refuse_newer(engine, found, known)
    raise SchemaError(f"{engine.url} has schema {found}, this version needs {known[0]}; run `tiendo migrate`")


def refuse_newer(engine: Engine, found: str, known: Sequence[str]) -> None:
    """Raise SchemaError when a database has a schema that this code does not know, which is to say a newer one."""
    if found not in {"none", *known}:
        raise SchemaError(
            f"{engine.url} has schema {found}, newer than this version of Tiendo, which knows {known[0]}; "
            "a schema never goes back: install the version that made it, or `tiendo restore` the back-up from before"
        )


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
        known = revisions(service)
        with db.read_transaction(engine) as connection:
            found = found_revision(connection)
        described |= {"found": found, "wanted": known[0], "newer": found not in {"none", *known}}
    except DBAPIError:
        described["answers"] = False
    finally:
        engine.dispose()
    return json.dumps(described)
