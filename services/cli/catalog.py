"""`tiendo catalog …`: find, name and change services.

Invariant: naming keeps number, id and history; what a command changed is said in one line.
"""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from services.cli import output
from services.cli.client import Session, new_request_id
from services.cli.status import programme_name
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import provenance_pb2

app = typer.Typer(no_args_is_help=True, help="Find, name and change services.")

Programme = Annotated[str, typer.Option("--programme", help="The programme's id; default: the installation's.")]
Evidence = Annotated[list[str] | None, typer.Option("--evidence", help="What backs it: a document number or a note.")]
Name = Annotated[str, typer.Argument(help="The service's id or alias, for example bca-012.")]


@app.command("get")
def get(context: typer.Context, service: Name) -> None:
    """Show one service."""
    session: Session = context.obj
    answer = session.call(session.catalog.GetService, pb.GetServiceRequest(name=service_of(service)))
    if session.json:
        output.print_json(answer)
        return
    _print_service(session, answer.service)


@app.command("list")
def list_services(
    context: typer.Context,
    programme: Programme = "",
    filter_: Annotated[str, typer.Option("--filter", help='Conditions, for example "naming = SLOT".')] = "",
    order_by: Annotated[str, typer.Option("--order-by", help="plan_number, name, display_name or update_time.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> None:
    """List services."""
    session: Session = context.obj
    services: list[service_pb2.Service] = []
    token = ""
    while True:
        request = pb.ListServicesRequest(
            programme=programme_name(programme),
            filter=filter_,
            order_by=order_by,
            page_size=min(limit - len(services), 1000),
            page_token=token,
        )
        answer = session.call(session.catalog.ListServices, request)
        services += answer.services
        token = answer.next_page_token
        if not token or len(services) >= limit:
            break
    _print_services(session, services)
    if not session.json and len(services) < answer.total_size:
        more = f"tiendo catalog list --limit {answer.total_size}"
        output.line(session.word("screen.catalog.shown", shown=len(services), total=answer.total_size, command=more))


@app.command("search")
def search(
    context: typer.Context,
    query: Annotated[list[str], typer.Argument(help="Words in any order, with or without accents; a code too.")],
    programme: Programme = "",
) -> None:
    """Find services by words."""
    session: Session = context.obj
    words = " ".join(query)
    request = pb.SearchServicesRequest(query=words, programme=programme_name(programme))
    answer = session.call(session.catalog.SearchServices, request)
    if not session.json:
        if not answer.services:
            output.line(session.word("screen.catalog.found_none", query=words))
            return
        output.line(session.word("screen.catalog.found", count=answer.total_size))
    _print_services(session, list(answer.services))


@app.command("name")
def name(context: typer.Context, service: Name, display_name: str, evidence: Evidence = None) -> None:
    """Give a slot its official name, or a service another one."""
    session: Session = context.obj
    answer = _update(session, service, service_pb2.Service(display_name=display_name), ["display_name"], evidence)
    if not session.json:
        made = answer.service
        _say(session, "screen.catalog.named", made, alias=made.alias)


@app.command("update")
def update(
    context: typer.Context,
    service: Name,
    field: Annotated[str | None, typer.Option(help="Field of administration.")] = None,
    gloss: Annotated[str | None, typer.Option(help="English gloss.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="Procedure code, as in 1.003290; replaces all.")] = None,
    agency: Annotated[list[str] | None, typer.Option(help="Owning agency; replaces all.")] = None,
    level: Annotated[list[str] | None, typer.Option(help="Level of government; replaces all.")] = None,
    evidence: Evidence = None,
) -> None:
    """Change what is known of a service."""
    session: Session = context.obj
    wanted = service_pb2.Service()
    paths: list[str] = []
    if field is not None:
        wanted.field = field
        paths.append("field")
    if gloss is not None:
        wanted.english_gloss = gloss
        paths.append("english_gloss")
    if code is not None:
        wanted.procedure_codes.extend(service_pb2.ProcedureCode(code=one) for one in code)
        paths.append("procedure_codes")
    if agency is not None:
        wanted.agencies.extend(service_pb2.Agency(agency=one) for one in agency)
        paths.append("agencies")
    if level is not None:
        wanted.levels.extend(level)
        paths.append("levels")
    if not paths:
        raise typer.BadParameter("--field, --gloss, --code, --agency, --level")
    answer = _update(session, service, wanted, paths, evidence)
    if not session.json:
        _say(session, "screen.catalog.updated", answer.service)


@app.command("create")
def create(
    context: typer.Context,
    service_id: str,
    display_name: Annotated[str, typer.Argument(help="The official name; none: a slot.")] = "",
    programme: Programme = "",
    plan_number: Annotated[int, typer.Option("--number", help="Its place in the plan.")] = 0,
) -> None:
    """Add a service to a programme."""
    session: Session = context.obj
    counted_by = programme_name(programme) or f"programmes/{session.settings.default_programme}"
    wanted = service_pb2.Service(
        display_name=display_name,
        memberships=[service_pb2.Membership(programme=counted_by, plan_number=plan_number)],
    )
    request = pb.CreateServiceRequest(service_id=service_id, service=wanted, request_id=new_request_id())
    answer = session.call(session.catalog.CreateService, request)
    if session.json:
        output.print_json(answer)
    else:
        _say(session, "screen.catalog.created", answer.service)


@app.command("retire")
def retire(
    context: typer.Context,
    service: Name,
    reason: Annotated[str, typer.Option(help="Why, required.")],
    replaced_by: Annotated[str, typer.Option(help="Id or alias of what takes its place.")] = "",
) -> None:
    """Record that the procedure was abolished; no count changes."""
    session: Session = context.obj
    request = pb.RetireServiceRequest(
        name=service_of(service),
        reason=reason,
        replaced_by=service_of(replaced_by) if replaced_by else "",
        request_id=new_request_id(),
    )
    answer = session.call(session.catalog.RetireService, request)
    if session.json:
        output.print_json(answer)
    else:
        _say(session, "screen.catalog.retired", answer.service)


def service_of(name: str) -> str:
    """Give the resource name of a service given by id, alias or name."""
    return name if "/" in name else f"services/{name}"


def evidence_of(texts: list[str] | None) -> list[provenance_pb2.Evidence]:
    """Read evidence as typed: web addresses are links, everything else a note."""
    return [
        provenance_pb2.Evidence(link=text)
        if text.startswith(("http://", "https://"))
        else provenance_pb2.Evidence(note=text)
        for text in texts or []
    ]


def _update(
    session: Session,
    service: str,
    wanted: service_pb2.Service,
    paths: list[str],
    evidence: list[str] | None,
) -> pb.UpdateServiceResponse:
    wanted.name = service_of(service)
    wanted.etag = session.call(session.catalog.GetService, pb.GetServiceRequest(name=wanted.name)).service.etag
    request = pb.UpdateServiceRequest(
        service=wanted,
        update_mask=FieldMask(paths=paths),
        evidence=evidence_of(evidence),
        request_id=new_request_id(),
    )
    answer = session.call(session.catalog.UpdateService, request)
    if session.json:
        output.print_json(answer)
    return answer


def _say(session: Session, key: str, service: service_pb2.Service, **values: str) -> None:
    service_id = service.name.partition("/")[2]
    shown = output.service_name(session, service.display_name, service_id, _number(service))
    output.line(session.word(key, id=service_id, name=shown, **values))


def _number(service: service_pb2.Service) -> int:
    return service.memberships[0].plan_number if service.memberships else 0


def _print_services(session: Session, services: list[service_pb2.Service]) -> None:
    if session.json:
        for service in services:
            output.print_json(service)
        return
    rows = []
    for service in services:
        service_id = service.name.partition("/")[2]
        shown = output.service_name(session, service.display_name, service_id, _number(service))
        rows.append((service_id, shown, service.field))
    output.table([session.word(f"term.{key}") for key in ("id", "display_name", "field")], rows)


def _print_service(session: Session, service: service_pb2.Service) -> None:
    service_id = service.name.partition("/")[2]
    rows = [
        ("id", service_id),
        ("display_name", output.service_name(session, service.display_name, service_id, _number(service))),
        ("english_gloss", service.english_gloss),
        ("alias", service.alias),
        ("plan_number", str(_number(service) or "")),
        ("procedure_code", ", ".join(code.code for code in service.procedure_codes)),
        ("field", service.field),
        ("agency", ", ".join(entry.agency for entry in service.agencies)),
        ("level", ", ".join(service.levels)),
    ]
    output.table(("", ""), [(session.word(f"term.{key}"), value or "–") for key, value in rows])
    for entry in service.provenance:
        kind = provenance_pb2.ProvenanceKind.Name(entry.kind).removeprefix("PROVENANCE_KIND_")
        what = f"{entry.field}: " if entry.field else ""
        output.line(f"{session.word('term.provenance')}: {what}{session.word(f'provenance.{kind}')}. {entry.citation}")
