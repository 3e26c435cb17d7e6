"""States to report on: the real programme as it is seeded, and what a test adds to it."""

from datetime import date
from pathlib import Path
from typing import Any

from services.cli.seed import load
from services.cli.seeding import completion_request, programme_request, service_request
from services.common.feed import Checkpoint
from services.common.journal import Head
from services.common.text import alias_of
from services.common.words import Lang
from services.status.projection import ReadModel, fold
from services.status.report import Format, make
from services.status.storage import State
from services.status.usecases import Question
from services.status.wire import fact_of
from tests.support.peers import Peers
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import service_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2

TODAY = date(2026, 11, 27)


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


def state_of(peers: Peers) -> State:
    """Fold both journals."""
    model, places = ReadModel(), {}
    for source in (peers.catalog, peers.integration):
        facts = [fact_of(source.name, row) for row in source.rows]
        model = fold(model, [fact for fact in facts if fact is not None])
        places[source.name] = Checkpoint(source.head.epoch, source.head.sequence, source.head.digest)
    recorded = max(peers.catalog.head.recorded_time, peers.integration.head.recorded_time)
    return State(Head("5ea7000000000001", 1, "", recorded), model, places)


def seeded() -> State:
    """Give the state of the real programme."""
    peers = Peers()
    add_seed(peers)
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
