"""The data that released versions wrote, kept in `tests/released`, a folder for each; see `tests.support.release`."""

from pathlib import Path

from sqlalchemy import Engine

from services.common import db, tables
from services.common.archive import Archived
from services.common.migrations import migrate_in

FOLDER = Path(__file__).parent.parent / "released"
RELEASES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())


def released(release: str, service: str) -> Archived:
    """What a service of that release had written."""
    return Archived(FOLDER / release, service)


def put_back(engine: Engine, data: Archived) -> None:
    """Make the schema of that time in an empty database and fill it; nothing of today's code decides what is in it."""
    contents = data.contents
    with db.write_transaction(engine) as connection:
        migrate_in(connection, contents.service, to=contents.schema)
        made = tables.data_tables(connection)
        for name, table in contents.tables.items():
            tables.fill(connection, made[name], table.columns, data.lines(name))
