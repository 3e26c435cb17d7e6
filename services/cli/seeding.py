"""Sends the first programme to the services, as any client would.

Invariant: every command has a fixed request id, so seeding twice, or again after a failure, adds nothing twice.
"""

import asyncio

import grpc.aio

from services.cli import seed
from services.common.dates import PartialDate
from tiendo.catalog.v1 import catalog_service_pb2, catalog_service_pb2_grpc, programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2, integration_service_pb2_grpc

ACTOR = "tiendo-seed"
_SECONDS = 30.0
_AT_ONCE = 64


async def send(catalog: grpc.aio.Channel, integration: grpc.aio.Channel) -> str:
    """Send programme, services and completions; give the revision that includes them. Raises grpc.aio.AioRpcError."""
    data = seed.load()
    metadata = (("tiendo-actor", ACTOR),)
    catalog_stub = catalog_service_pb2_grpc.CatalogServiceStub(catalog)
    integration_stub = integration_service_pb2_grpc.IntegrationServiceStub(integration)
    await catalog_stub.CreateProgramme(programme_request(data.programme), timeout=_SECONDS, metadata=metadata)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def create(service: seed.Service) -> str:
        async with limit:
            request = service_request(data.programme.id, service)
            reply = await catalog_stub.CreateService(request, timeout=_SECONDS, metadata=metadata)
        return reply.revision

    # In the order of the plan, so that the journal reads like the plan; the services group them into few commits.
    revisions = await asyncio.gather(*(create(service) for service in data.services))
    request = completion_request(data, at_least=revisions)
    reply = await integration_stub.BatchAdvanceIntegrations(request, timeout=_SECONDS, metadata=metadata)
    return reply.revision


def programme_request(programme: seed.Programme) -> catalog_service_pb2.CreateProgrammeRequest:
    """Word the programme as a command."""
    return catalog_service_pb2.CreateProgrammeRequest(
        programme_id=programme.id,
        programme=programme_pb2.Programme(
            display_name=programme.display_name,
            english_gloss=programme.english_gloss,
            planned_count=programme.planned_count,
            start_date=_date(programme.start_date),
            target_date=_date(programme.target_date),
            owner=programme.owner,
            provenance=_provenance(programme.provenance),
        ),
        request_id=f"seed/programmes/{programme.id}",
    )


def service_request(programme: str, service: seed.Service) -> catalog_service_pb2.CreateServiceRequest:
    """Word one entry of the plan as a command."""
    return catalog_service_pb2.CreateServiceRequest(
        service_id=service.id,
        service=service_pb2.Service(
            display_name=service.display_name,
            english_gloss=service.english_gloss,
            field=service.field,
            memberships=[service_pb2.Membership(programme=f"programmes/{programme}", plan_number=service.plan_number)],
            provenance=_provenance(service.provenance),
        ),
        request_id=f"seed/services/{service.id}",
    )


def completion_request(
    data: seed.Seed,
    at_least: list[str],
) -> integration_service_pb2.BatchAdvanceIntegrationsRequest:
    """Word what is known to be complete as one command, decided once the catalog's newest row is known there."""
    return integration_service_pb2.BatchAdvanceIntegrationsRequest(
        requests=[
            integration_service_pb2.AdvanceIntegrationRequest(
                name=f"integrations/{completion.service_id}",
                stage=integration_pb2.STAGE_INTEGRATED,
                effective_date=date_pb2.EffectiveDate(date=_date(completion.date), at_latest=completion.at_latest),
                evidence=[provenance_pb2.Evidence(note=completion.evidence_note)],
            )
            for completion in data.completions
        ],
        request_id=f"seed/completions/{data.programme.id}",
        at_least=at_least[-1:],
    )


def _date(iso: str) -> date_pb2.PartialDate:
    date = PartialDate.from_iso(iso)
    return date_pb2.PartialDate(year=date.year, month=date.month, day=date.day)


def _provenance(entries: tuple[seed.Provenance, ...]) -> list[provenance_pb2.Provenance]:
    return [
        provenance_pb2.Provenance(
            field=entry.field,
            kind=provenance_pb2.ProvenanceKind.Value(f"PROVENANCE_KIND_{entry.kind}"),
            citation=entry.citation,
        )
        for entry in entries
    ]
