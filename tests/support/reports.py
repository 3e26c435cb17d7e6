"""States to report on: the real programme as it is seeded, and what a test adds to it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from services.cli.seed import load
from services.cli.seeding import completion_request, partial_date, programme_request, service_request
from services.common.feed import Checkpoint
from services.common.journal import Head
from services.common.text import alias_of
from services.common.words import Lang
from services.status.projection import ReadModel, fold
from services.status.report import Format, make
from services.status.storage import State
from services.status.usecases import Question
from services.status.wire import fact_of
from tests.support.peers import Peers, programme_created, service_created
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2

TODAY = date(2026, 11, 27)

# Every way a text of the contract could come alive in a file, or break it.
HOSTILE = st.text(
    st.sampled_from("=+-@＝＋－＠'\"\t#*$\\<>&_x0041;,|aĐệ 1\n\ufffe\uffff\u200b")
    | st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    min_size=1,
    max_size=40,
).filter(lambda text: bool(text.strip()))


def add_seed(peers: Peers) -> None:
    """Record the real programme in the journals of catalog and integration."""
    seed = load()
    made = programme_request(seed.programme)
    made.programme.name = f"programmes/{seed.programme.id}"
    created = catalog_events_pb2.ProgrammeCreated(programme=made.programme)
    peers.catalog.add(catalog_events_pb2.CatalogEvent(programme_created=created))
    for entry in seed.services:
        service = service_request(entry, seed.programme.id).service
        service.name, service.alias = f"services/{entry.id}", alias_of(service.display_name)
        add_service(peers, service)
    for request in completion_request(seed.completions, seed.programme.id, []).requests:
        transition = transition_pb2.Transition(
            number=1,
            kind=transition_pb2.TRANSITION_KIND_ADVANCED,
            from_stage=integration_pb2.STAGE_SELECTED,
            to_stage=request.stage,
            effective_date=request.effective_date,
            evidence=request.evidence,
        )
        add_step(peers, request.name.partition("/")[2], "integration_advanced", transition, actor="seed")


def add_service(peers: Peers, service: service_pb2.Service, *, updated: bool = False) -> None:
    """Record that the catalog has a service, or has changed it."""
    if updated:
        changed = catalog_events_pb2.ServiceUpdated(service=service)
        peers.catalog.add(catalog_events_pb2.CatalogEvent(service_updated=changed))
        return
    peers.catalog.add(
        catalog_events_pb2.CatalogEvent(service_created=catalog_events_pb2.ServiceCreated(service=service))
    )


def add_step(
    peers: Peers, service_id: str, event: str, transition: transition_pb2.Transition, actor: str = "vt"
) -> None:
    """Record a step of a service's integration, by its event's name."""
    row = integration_events_pb2.IntegrationEvent(
        actor=actor,
        catalog_revision=peers.catalog.revision,
        integration=integration_pb2.Integration(name=f"integrations/{service_id}", service=f"services/{service_id}"),
    )
    getattr(row, event).transition.CopyFrom(transition)
    peers.integration.add(row)


def step(
    number: int, kind: str, date: str, *, to: str = "", at_latest: bool = False, reason: str = "", note: str = ""
) -> transition_pb2.Transition:
    """Write a step: its kind (ADVANCED, BLOCKED, …), when (2022-10 or 2022-10-05), the stage or condition it leads to."""
    made = transition_pb2.Transition(
        number=number,
        kind=transition_pb2.TransitionKind.Value(f"TRANSITION_KIND_{kind}"),
        effective_date=date_pb2.EffectiveDate(date=partial_date(date), at_latest=at_latest),
        reason=reason,
        evidence=[provenance_pb2.Evidence(note=note)] if note else [],
    )
    if kind in {"ADVANCED", "REVERTED"}:
        made.to_stage = integration_pb2.Stage.Value(f"STAGE_{to}")
    else:
        made.to_condition = integration_pb2.Condition.Value(f"CONDITION_{to}")
    return made


def add_autumn(peers: Peers) -> None:
    """Record what an autumn may bring: named, completed, held up, switched off, withdrawn and corrected services."""
    described = service_pb2.Service(
        name="services/bca-012",
        alias="dang-ky-tam-tru",
        display_name="Đăng ký tạm trú",
        field="Đăng ký, quản lý cư trú",
        memberships=[service_pb2.Membership(programme="programmes/bca-2022", plan_number=12)],
        procedure_codes=[service_pb2.ProcedureCode(code="1.003290"), service_pb2.ProcedureCode(code="2.001100")],
        agencies=[service_pb2.Agency(agency="Cục Cảnh sát quản lý hành chính về trật tự xã hội")],
        levels=["tỉnh", "xã"],
        audiences=["công dân"],
        online_levels=[service_pb2.OnlineLevel(scheme=service_pb2.ONLINE_LEVEL_SCHEME_ND42_2022, level="TOAN_TRINH")],
        provenance=[
            provenance_pb2.Provenance(kind=provenance_pb2.PROVENANCE_KIND_IMPORTED, citation="Danh mục"),
            provenance_pb2.Provenance(
                field="field", kind=provenance_pb2.PROVENANCE_KIND_INFERRED, citation="Theo tên dịch vụ"
            ),
        ],
    )
    add_service(peers, described, updated=True)
    advanced, blocked = "integration_advanced", "integration_blocked"
    add_step(peers, "bca-012", advanced, step(1, "ADVANCED", "2022-10-05", to="INTEGRATED", note="12/BC-C06"))
    add_step(peers, "bca-013", advanced, step(1, "ADVANCED", "2022-08", to="BUILT"))
    add_step(peers, "bca-013", blocked, step(2, "BLOCKED", "2022-09-20", to="BLOCKED", reason="chờ kết nối"))
    add_step(peers, "bca-014", advanced, step(1, "ADVANCED", "2022-07-01", to="INTEGRATED"))
    add_step(
        peers, "bca-014", "integration_suspended", step(2, "SUSPENDED", "2022-10-10", to="SUSPENDED", reason="bảo trì")
    )
    add_step(
        peers, "bca-015", "integration_withdrawn", step(1, "WITHDRAWN", "2022-09-01", to="WITHDRAWN", reason="trùng")
    )
    add_step(peers, "bca-016", advanced, step(1, "ADVANCED", "2022-09-15", to="INTEGRATED"))
    wrong = transition_pb2.Transition(
        number=2, kind=transition_pb2.TRANSITION_KIND_CORRECTED, reason="ghi nhầm dịch vụ"
    )
    wrong.correction.transition, wrong.correction.annul = 1, True
    add_step(peers, "bca-016", "transition_corrected", wrong)


def state_of(peers: Peers) -> State:
    """Fold both journals."""
    model, places = ReadModel(), {}
    for source in (peers.catalog, peers.integration):
        facts = [fact_of(source.name, row) for row in source.rows]
        model = fold(model, [fact for fact in facts if fact is not None])
        places[source.name] = Checkpoint(source.head.epoch, source.head.sequence, source.head.digest)
    recorded = max(peers.catalog.head.recorded_time, peers.integration.head.recorded_time)
    return State(Head("5ea7000000000001", 1, "", recorded), model, places)


def seeded(*more: Callable[[Peers], None]) -> State:
    """Give the state of the real programme, and what is recorded after it."""
    peers = Peers()
    for add in (add_seed, *more):
        add(peers)
    return state_of(peers)


def held_up(reasons: list[str]) -> State:
    """Give the state of a programme whose services are held up, each for one of the reasons."""
    peers = Peers()
    peers.catalog.add(programme_created(len(reasons)))
    for number, reason in enumerate(reasons, 1):
        peers.catalog.add(service_created(number))
        add_step(peers, f"bca-{number:03}", "integration_advanced", step(1, "ADVANCED", "2022-08", to="BUILT"))
        halt = step(2, "BLOCKED", "2022-08", to="BLOCKED", reason=reason)
        add_step(peers, f"bca-{number:03}", "integration_blocked", halt)
    return state_of(peers)


def made(state: State, kind: Format, lang: Lang = Lang.VI, folder: Path | None = None, **asked: Any) -> bytes:
    """Make a report and give its bytes, in a file of that folder too; `asked` are the question's, and `compare`."""
    compare = asked.pop("compare", None)
    question = Question("bca-2022", **asked)
    file = make(state, question, kind, lang, today=TODAY, compare=compare)
    with file.content:
        content = file.content.read()
    assert len(content) == file.size_bytes
    if folder:
        (folder / file.file_name).write_bytes(content)
    return content
