"""`tiendo catalog export`: the services as a file.

Invariant: the kind of file follows from the end of its name; a file that did not come whole is not left behind.
"""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.catalog import ProgrammeOption, app
from services.cli.files import refuse_existing, written
from services.cli.session import Session, UsageProblemError, command, to_json
from services.cli.status import programme_name
from services.common.words import Lang
from tiendo.catalog.v1 import catalog_service_pb2, export_pb2

__all__ = ["app"]

_FORMATS = {
    ".csv": export_pb2.EXPORT_FORMAT_CSV,
    ".xlsx": export_pb2.EXPORT_FORMAT_XLSX,
    ".json": export_pb2.EXPORT_FORMAT_JSON,
    ".jsonld": export_pb2.EXPORT_FORMAT_JSON_LD,
}
_LANGUAGES = {Lang.VI: export_pb2.EXPORT_LANGUAGE_VIETNAMESE, Lang.EN: export_pb2.EXPORT_LANGUAGE_ENGLISH}


@command(app, "export")
def export(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A name ending in .csv, .xlsx, .json or .jsonld.")],
    filter_text: Annotated[str, typer.Option("--filter", help="Only these services, as in list.")] = "",
    programme: ProgrammeOption = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the services into a file: lines (.csv), a workbook (.xlsx), JSON, or linked data (.jsonld)."""
    if file.suffix.lower() not in _FORMATS:
        raise UsageProblemError(session.word("screen.export.wrong_suffix", file=file))
    refuse_existing(session, file, force=force)
    request = catalog_service_pb2.ExportServicesRequest(
        programme=programme_name(programme),
        filter=filter_text,
        format=_FORMATS[file.suffix.lower()],
        language=_LANGUAGES[session.lang],
    )
    header = export_pb2.ExportHeader()
    with written(session, file, force=force) as content:
        for part in session.client.catalog.ExportServices(request):
            content.write(part.chunk)
            header.MergeFrom(part.header)
    if session.as_json:
        session.say(to_json(header))
        return
    session.say(session.word("screen.export.done", count=header.service_count, file=file))
