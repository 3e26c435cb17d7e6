"""The first programme, sent as any other client would: programme, services, then what is known to be complete.

Invariant: every command carries a fixed request id, so sending all of it again changes nothing.
"""

from collections import deque
from typing import Any

import grpc

from services.cli.seed import Completion, Programme, Provenance, Seed, Service, load
from services.client import Client, RefusedError, read_error
from tiendo.catalog.v1 import catalog_service_pb2, programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2

SEED_ACTOR = "seed"
_IN_FLIGHT = 64


def partial_date(iso: str) -> date_pb2.PartialDate:
    """Read "2022", "2022-09" or "2022-09-30"."""
    parts = [int(part) for part in iso.split("-")]
    return date_pb2.PartialDate(**dict(zip(("year", "month", "day"), parts, strict=False)))


def programme_request(programme: Programme) -> catalog_service_pb2.CreateProgrammeRequest:
    """Make the command that creates the programme."""
    return catalog_service_pb2.CreateProgrammeRequest(
        programme_id=programme.id,
        programme=programme_pb2.Programme(
            display_name=programme.display_name,
            english_gloss=programme.english_gloss,
            planned_count=programme.planned_count,
            start_date=partial_date(programme.start_date),
            target_date=partial_date(programme.target_date),
            owner=programme.owner,
            provenance=_provenance(programme.provenance),
        ),
        request_id=f"seed/{programme.id}",
    )


def service_request(service: Service, programme_id: str) -> catalog_service_pb2.CreateServiceRequest:
    """Make the command that creates one service, named or a slot."""
    return catalog_service_pb2.CreateServiceRequest(
        service_id=service.id,
        service=service_pb2.Service(
            display_name=service.display_name,
            english_gloss=service.english_gloss,
            field=service.field,
            memberships=[
                service_pb2.Membership(programme=f"programmes/{programme_id}", plan_number=service.plan_number)
            ],
            provenance=_provenance(service.provenance),
        ),
        request_id=f"seed/{programme_id}/{service.id}",
    )


def completion_request(
    completions: tuple[Completion, ...], programme_id: str, at_least: list[str]
) -> integration_service_pb2.BatchAdvanceIntegrationsRequest:
    """Make the one command that records what is complete."""
    return integration_service_pb2.BatchAdvanceIntegrationsRequest(
        requests=[
            integration_service_pb2.AdvanceIntegrationRequest(
                name=f"integrations/{completion.service_id}",
                stage=integration_pb2.STAGE_INTEGRATED,
                effective_date=date_pb2.EffectiveDate(
                    date=partial_date(completion.date), at_latest=completion.at_latest
                ),
                evidence=[provenance_pb2.Evidence(note=completion.evidence_note)],
            )
            for completion in completions
        ],
        request_id=f"seed/{programme_id}/completed",
        at_least=at_least,
    )


def _provenance(entries: tuple[Provenance, ...]) -> list[provenance_pb2.Provenance]:
    return [
        provenance_pb2.Provenance(
            field=entry.field,
            kind=provenance_pb2.ProvenanceKind.Value(f"PROVENANCE_KIND_{entry.kind}"),
            citation=entry.citation,
        )
        for entry in entries
    ]


def send(client: Client, seed: Seed | None = None) -> list[str]:
    """Send the seed; give the revisions that hold all of it. Raises TiendoError at the first refusal."""
    seed = seed or load()
    programme = seed.programme.id
    client.catalog.CreateProgramme(programme_request(seed.programme))
    last = create_all(client, [service_request(service, programme) for service in seed.services])
    request = completion_request(seed.completions, programme, [last])
    recorded = client.integration.BatchAdvanceIntegrations(request)
    return [last, recorded.revision]


def create_all(client: Client, requests: list[catalog_service_pb2.CreateServiceRequest]) -> str:
    """Create services in order, many in flight; a call that got no answer is made again. Gives the last revision."""
    flying: deque[tuple[Any, catalog_service_pb2.CreateServiceRequest]] = deque()
    revision = ""
    for request in [*requests, None]:
        if request is not None:
            call: Any = client.catalog.CreateService.future(request)
            flying.append((call, request))
        while flying and (request is None or len(flying) >= _IN_FLIGHT):
            revision = _created(client, *flying.popleft())
    return revision


def _created(client: Client, call: Any, request: catalog_service_pb2.CreateServiceRequest) -> str:
    try:
        return str(call.result().revision)
    except grpc.RpcError as error:
        failure = read_error(error, client.places.catalog)
        if isinstance(failure, RefusedError) and failure.retry_seconds is None:
            raise failure from None
    return client.catalog.CreateService(request).revision
