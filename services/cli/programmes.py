"""`tiendo catalog programme`: the plans whose progress is counted.

Invariant: a programme's denominator changes only by a command that names it.
"""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from services.cli.client import pages
from services.cli.imports import app as catalog_app
from services.cli.output import date_text, or_nothing, parse_date
from services.cli.session import Session, UsageProblemError, command
from services.cli.status import programme_name
from services.common.figures import number
from tiendo.catalog.v1 import catalog_service_pb2, programme_pb2
from tiendo.common.v1 import provenance_pb2

__all__ = ["catalog_app"]

app = typer.Typer(no_args_is_help=True, help="The programmes whose progress is counted.")
pb = catalog_service_pb2

ProgrammeArgument = Annotated[str, typer.Argument(metavar="ID", help="a-z, 0-9 and the hyphen, at most 63.")]
NameOption = Annotated[str, typer.Option("--name", help="What it is called.")]
PlannedOption = Annotated[int, typer.Option("--planned", min=0, help="How many services are planned: the denominator.")]
StartOption = Annotated[str, typer.Option("--start", help="When it began: 05/10/2022, 10/2022, 2022.")]
TargetOption = Annotated[str, typer.Option("--target", help="By when all is to be complete.")]
OwnerOption = Annotated[str, typer.Option("--owner", help="Who answers for it.")]
GlossOption = Annotated[str, typer.Option("--gloss", help="Its name in English.")]
CitationOption = Annotated[str, typer.Option("--citation", help="Where it comes from.")]


@command(app, "list")
def list_programmes(session: Session) -> None:
    """List programmes."""
    found: list[programme_pb2.Programme] = []
    for page in pages(session.client, session.client.catalog.ListProgrammes, pb.ListProgrammesRequest(page_size=1000)):
        found.extend(page.programmes)
    if session.as_json:
        session.show_json(pb.ListProgrammesResponse(programmes=found, total_size=len(found)))
        return
    rows = [
        (
            each.name.rpartition("/")[2],
            each.display_name,
            number(each.planned_count, session.lang),
            or_nothing(date_text(each.target_date)),
        )
        for each in found
    ]
    headers = [session.word(key) for key in ("term.id", "term.programme", "count.planned", "term.target_date")]
    session.table(headers, rows, numbers=(2,))


@command(app, "get")
def get(session: Session, programme: ProgrammeArgument = "") -> None:
    """Show one programme."""
    request = pb.GetProgrammeRequest(name=programme_name(programme))
    found = session.client.catalog.GetProgramme(request).programme
    if session.as_json:
        session.show_json(found)
        return
    _show(session, found)


def _worded(
    session: Session, name: str, planned: int, start: str, target: str, owner: str, gloss: str
) -> programme_pb2.Programme:
    """Put what was typed into a message; what was left out is left out there too."""
    return programme_pb2.Programme(
        display_name=name,
        planned_count=planned,
        start_date=parse_date(start, session.lang) if start else None,
        target_date=parse_date(target, session.lang) if target else None,
        owner=owner,
        english_gloss=gloss,
    )


@command(app, "create")
def create(
    session: Session,
    programme: ProgrammeArgument,
    name: NameOption,
    planned: PlannedOption,
    start: StartOption = "",
    target: TargetOption = "",
    owner: OwnerOption = "",
    gloss: GlossOption = "",
    citation: CitationOption = "",
    request_id: Annotated[str, typer.Option("--request-id", help="To send the same command again.")] = "",
) -> None:
    """Add a programme. Its places are filled by tiendo catalog import --programme ID, or create --programme ID."""
    made = _worded(session, name, planned, start, target, owner, gloss)
    if citation:
        made.provenance.add(kind=provenance_pb2.PROVENANCE_KIND_REPORTED, citation=citation)
    request = pb.CreateProgrammeRequest(programme_id=programme, programme=made, request_id=request_id)
    reply = session.client.catalog.CreateProgramme(request)
    _told(session, reply, "created")


@command(app, "update")
def update(
    session: Session,
    programme: ProgrammeArgument,
    name: NameOption = "",
    planned: PlannedOption = 0,
    start: StartOption = "",
    target: TargetOption = "",
    owner: OwnerOption = "",
    gloss: GlossOption = "",
    etag: Annotated[str, typer.Option("--etag", help="The etag you decided on; default: the present one.")] = "",
    request_id: Annotated[str, typer.Option("--request-id", help="To send the same command again.")] = "",
) -> None:
    """Change what is given; the only way a denominator moves."""
    before = session.client.catalog.GetProgramme(pb.GetProgrammeRequest(name=programme_name(programme))).programme
    made = _worded(session, name, planned, start, target, owner, gloss)
    made.name, made.etag = before.name, etag or before.etag
    paths = [field.name for field, _ in made.ListFields() if field.name not in {"name", "etag"}]
    if not paths:
        choices = "--name, --planned, --start, --target, --owner, --gloss"
        raise UsageProblemError(session.word("screen.common.at_least_one_of", choices=choices))
    request = pb.UpdateProgrammeRequest(programme=made, update_mask=FieldMask(paths=paths), request_id=request_id)
    _told(session, session.client.catalog.UpdateProgramme(request), "updated")


def _told(session: Session, reply: pb.CreateProgrammeResponse | pb.UpdateProgrammeResponse, what: str) -> None:
    if session.as_json:
        session.show_json(reply)
        return
    programme_id = reply.programme.name.rpartition("/")[2]
    session.say(session.word(f"screen.programme.{what}", id=programme_id, name=reply.programme.display_name))
    if what == "created":
        session.say(session.word("screen.programme.fill", id=programme_id))


def _show(session: Session, programme: programme_pb2.Programme) -> None:
    word = session.word
    rows = [
        (word("term.programme"), programme.display_name),
        (word("term.english_gloss"), programme.english_gloss),
        (word("count.planned"), number(programme.planned_count, session.lang)),
        (word("term.start_date"), date_text(programme.start_date)),
        (word("term.target_date"), date_text(programme.target_date)),
        (word("term.owner"), programme.owner),
    ]
    session.say(programme.name.rpartition("/")[2])
    session.table(("", ""), [(f"  {label}", text) for label, text in rows if text.strip()])


catalog_app.add_typer(app, name="programme")
