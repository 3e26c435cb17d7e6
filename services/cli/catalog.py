"""Commands on the catalog: find services, name a slot, change, add, retire.

Invariant: a change is decided on the state the command has just read (its etag goes along).
"""

from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from services.cli.client import pages
from services.cli.output import date_text, evidence, or_nothing, parse_date, plan_number, rest_command, short, title
from services.cli.session import Session, UsageProblemError, command
from services.cli.status import programme_name
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.common.v1 import provenance_pb2

app = typer.Typer(no_args_is_help=True, help="The services that are planned.")
pb = catalog_service_pb2

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="Its id or alias.")]
EvidenceOption = Annotated[list[str] | None, typer.Option("--evidence", help="Document number, note or address.")]
EtagOption = Annotated[str, typer.Option("--etag", help="The etag you decided on; default: the present one.")]
RequestOption = Annotated[str, typer.Option("--request-id", help="To send the same command again.")]
ProgrammeOption = Annotated[str, typer.Option("--programme", help="Its id; - for every one.")]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0: all.")]
NameOption = Annotated[str | None, typer.Option("--name", help="The official name.")]
GlossOption = Annotated[str | None, typer.Option("--gloss", help="An English gloss.")]
FieldOption = Annotated[str | None, typer.Option("--field", help="Field of administration.")]
AgencyOption = Annotated[list[str] | None, typer.Option("--agency", help="Owning agency; replaces those held.")]
LevelOption = Annotated[list[str] | None, typer.Option("--level", help="Level of government; repeat for several.")]
AudienceOption = Annotated[list[str] | None, typer.Option("--audience", help="Whom it is for; repeat for several.")]
ChannelOption = Annotated[list[str] | None, typer.Option("--channel", help="How it is used; repeat for several.")]
CodeOption = Annotated[list[str] | None, typer.Option("--code", help="Procedure code; repeat for several.")]
NumberOption = Annotated[int, typer.Option("--plan-number", min=0, help="Its place in the plan.")]


def _name(service: str) -> str:
    return service if "/" in service else f"services/{service}"


def _read(session: Session, service: str) -> service_pb2.Service:
    request = pb.GetServiceRequest(name=_name(service))
    return session.client.catalog.GetService(request).service


def _id(service: service_pb2.Service) -> str:
    return service.name.rpartition("/")[2]


def service_title(session: Session, service: service_pb2.Service) -> str:
    """Give a service's name, or its number in the plan while it has none."""
    return title(service.display_name, plan_number(service), session.lang)


@command(app, "get")
def get(session: Session, service: ServiceArgument) -> None:
    """Show one service."""
    found = _read(session, service)
    if session.as_json:
        session.show_json(found)
        return
    word = session.word
    memberships = ", ".join(
        f"{each.programme.rpartition('/')[2]} {each.plan_number or ''}" for each in found.memberships
    )
    retired = f"{date_text(found.retirement.date)} {found.retirement.reason}" if found.HasField("retirement") else ""
    rows = [
        (word("term.display_name"), service_title(session, found)),
        (word("term.alias"), found.alias),
        (word("term.english_gloss"), found.english_gloss),
        (word("term.programme"), memberships),
        (word("term.procedure_code"), ", ".join(code.code for code in found.procedure_codes)),
        (word("term.field"), found.field + _mark(session, found, "field")),
        (word("term.agency"), ", ".join(each.agency for each in found.agencies)),
        (word("term.level"), ", ".join(found.levels)),
        (word("term.audience"), ", ".join(found.audiences)),
        (word("term.channel"), ", ".join(found.channels)),
        (word("term.online_level"), ", ".join(level.level for level in found.online_levels)),
        (word("screen.catalog.retired_term"), retired),
    ]
    session.say(_id(found))
    session.table(("", ""), [(f"  {label}", text) for label, text in rows if text.strip()])
    if found.provenance:
        session.say(f"  {word('term.provenance')}")
    for entry in found.provenance:
        kind = word(f"provenance.{short(provenance_pb2.ProvenanceKind, entry.kind, 'PROVENANCE_KIND_')}")
        session.say(f"    {or_nothing(entry.field)}: {kind}. {entry.citation}")


def _mark(session: Session, service: service_pb2.Service, field: str) -> str:
    """Mark a value that is ours and not the source's."""
    inferred = any(
        entry.field == field and entry.kind == provenance_pb2.PROVENANCE_KIND_INFERRED for entry in service.provenance
    )
    return f" {session.word('term.inferred_mark')}" if inferred else ""


def _show_services(session: Session, found: Sequence[service_pb2.Service], total: int, more: str) -> None:
    rows = [
        (
            str(plan_number(service) or ""),
            _id(service),
            service_title(session, service),
            service.field,
        )
        for service in found
    ]
    headers = [session.word(f"term.{term}") for term in ("plan_number", "id", "display_name", "field")]
    session.table(headers, rows, numbers=(0,))
    if len(found) < total:
        session.say(session.word("screen.catalog.shown", shown=len(found), total=total, command=more))


@command(app, "list")
def list_services(
    session: Session,
    filter_text: Annotated[str, typer.Option("--filter", help='For example: naming = SLOT AND field = "…".')] = "",
    order_by: Annotated[
        str, typer.Option("--order-by", help="plan_number, name, display_name, update_time; desc.")
    ] = "",
    limit: LimitOption = 50,
    programme: ProgrammeOption = "",
) -> None:
    """List services."""
    request = pb.ListServicesRequest(
        programme=programme_name(programme),
        filter=filter_text,
        order_by=order_by,
        page_size=min(limit, 1000) if limit else 1000,
    )
    found: list[service_pb2.Service] = []
    total = 0
    for page in pages(session.client, session.client.catalog.ListServices, request, limit):
        found.extend(page.services)
        total = page.total_size
    if session.as_json:
        session.show_json(pb.ListServicesResponse(services=found, total_size=total))
        return
    more = rest_command("catalog list", filter=filter_text, order_by=order_by, programme=programme)
    _show_services(session, found, total, more)


@command(app, "search")
def search(
    session: Session,
    query: Annotated[list[str], typer.Argument(metavar="WORDS…", help="With or without accents, in any order.")],
    limit: LimitOption = 20,
    programme: ProgrammeOption = "",
) -> None:
    """Find services by words, code, id or number."""
    text = " ".join(query)
    request = pb.SearchServicesRequest(
        query=text, programme=programme_name(programme), page_size=min(limit, 1000) if limit else 1000
    )
    found: list[service_pb2.Service] = []
    total = 0
    for page in pages(session.client, session.client.catalog.SearchServices, request, limit):
        found.extend(page.services)
        total = page.total_size
    if session.as_json:
        session.show_json(pb.SearchServicesResponse(services=found, total_size=total))
        return
    if not found:
        session.say(session.word("screen.catalog.found_none", query=text))
        return
    _show_services(session, found, total, rest_command("catalog search", text, programme=programme))
    session.say(session.word("screen.catalog.found", count=total))


@command(app, "name")
def name_service(
    session: Session,
    service: ServiceArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The official name.")],
    evidence_texts: EvidenceOption = None,
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Give a slot its official name, or a service another; number, id and history stay."""
    before = _read(session, service)
    request = pb.UpdateServiceRequest(
        service=service_pb2.Service(name=before.name, display_name=name, etag=etag or before.etag),
        update_mask=FieldMask(paths=["display_name"]),
        evidence=evidence(evidence_texts),
        request_id=request_id,
    )
    reply = session.client.catalog.UpdateService(request)
    if session.as_json:
        session.show_json(reply)
        return
    after = reply.service
    session.say(session.word("screen.catalog.named", id=_id(after), name=after.display_name, alias=after.alias))


@command(app, "create")
def create(
    session: Session,
    service_id: Annotated[str, typer.Argument(metavar="ID", help="a-z, 0-9 and the hyphen, at most 63.")],
    name: NameOption = None,
    gloss: GlossOption = None,
    field: FieldOption = None,
    agency: AgencyOption = None,
    level: LevelOption = None,
    audience: AudienceOption = None,
    channel: ChannelOption = None,
    code: CodeOption = None,
    programme: Annotated[str, typer.Option("--programme", help="That counts it; default: none.")] = "",
    plan_number: NumberOption = 0,
    citation: Annotated[str, typer.Option("--citation", help="Where it comes from.")] = "",
    request_id: RequestOption = "",
) -> None:
    """Add a service."""
    made, _ = _service(name, gloss, field, agency, level, audience, channel, code)
    if programme:
        made.memberships.add(programme=programme_name(programme), plan_number=plan_number)
    if citation:
        made.provenance.add(kind=provenance_pb2.PROVENANCE_KIND_REPORTED, citation=citation)
    request = pb.CreateServiceRequest(service_id=service_id, service=made, request_id=request_id)
    reply = session.client.catalog.CreateService(request)
    _changed(session, reply, "created")


@command(app, "update")
def update(
    session: Session,
    service: ServiceArgument,
    name: NameOption = None,
    gloss: GlossOption = None,
    field: FieldOption = None,
    agency: AgencyOption = None,
    level: LevelOption = None,
    audience: AudienceOption = None,
    channel: ChannelOption = None,
    code: CodeOption = None,
    evidence_texts: EvidenceOption = None,
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Change what is given; an empty text clears it."""
    made, paths = _service(name, gloss, field, agency, level, audience, channel, code)
    if not paths:
        choices = "--name, --gloss, --field, --agency, --level, --audience, --channel, --code"
        raise UsageProblemError(session.word("screen.common.at_least_one_of", choices=choices))
    before = _read(session, service)
    made.name, made.etag = before.name, etag or before.etag
    request = pb.UpdateServiceRequest(
        service=made,
        update_mask=FieldMask(paths=paths),
        evidence=evidence(evidence_texts),
        request_id=request_id,
    )
    _changed(session, session.client.catalog.UpdateService(request), "updated")


def _service(
    name: str | None,
    gloss: str | None,
    field: str | None,
    agency: list[str] | None,
    level: list[str] | None,
    audience: list[str] | None,
    channel: list[str] | None,
    code: list[str] | None,
) -> tuple[service_pb2.Service, list[str]]:
    """Make the resource of the options that were given, and name its fields."""
    made = service_pb2.Service(
        display_name=name or "",
        english_gloss=gloss or "",
        field=field or "",
        agencies=[service_pb2.Agency(agency=text) for text in agency or [] if text],
        levels=[text for text in level or [] if text],
        audiences=[text for text in audience or [] if text],
        channels=[text for text in channel or [] if text],
        procedure_codes=[service_pb2.ProcedureCode(code=text) for text in code or [] if text],
    )
    given: dict[str, object] = {
        "display_name": name,
        "english_gloss": gloss,
        "field": field,
        "agencies": agency,
        "levels": level,
        "audiences": audience,
        "channels": channel,
        "procedure_codes": code,
    }
    return made, [path for path, value in given.items() if value is not None and value != []]


def _changed(
    session: Session, reply: pb.CreateServiceResponse | pb.UpdateServiceResponse | pb.RetireServiceResponse, what: str
) -> None:
    if session.as_json:
        session.show_json(reply)
        return
    name = service_title(session, reply.service)
    session.say(session.word(f"screen.catalog.{what}", id=_id(reply.service), name=name))


@command(app, "retire")
def retire(
    session: Session,
    service: ServiceArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    date: Annotated[str | None, typer.Option("--date", help="When it was abolished.")] = None,
    replaced_by: Annotated[str, typer.Option("--replaced-by", help="What takes its place.")] = "",
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Record that the procedure was abolished; no count changes."""
    when = parse_date(date, session.lang) if date else None
    before = _read(session, service)
    request = pb.RetireServiceRequest(
        name=before.name,
        date=when,
        reason=reason,
        replaced_by=_name(replaced_by) if replaced_by else "",
        etag=etag or before.etag,
        request_id=request_id,
    )
    _changed(session, session.client.catalog.RetireService(request), "retired")
