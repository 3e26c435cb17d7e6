"""What can be said of a service's database while the service is away: the schema it has, beside the one this code knows.

Invariant: looking makes nothing.
"""

import json
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services.common import db

_CONNECT_SECONDS = 3


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
        known = db.revisions(service)
        with db.read_transaction(engine) as connection:
            found = db.found_revision(connection)
        described |= {"found": found, "wanted": known[0], "newer": found not in {"none", *known}}
    except DBAPIError:
        described["answers"] = False
    finally:
        engine.dispose()
    return json.dumps(described)
