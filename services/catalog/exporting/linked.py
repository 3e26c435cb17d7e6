"""The services as linked data: JSON-LD in terms of CPSV-AP 3.2.0 and of schema.org.

Invariant: a statement is made only of what the catalog holds; what the profile asks for and is not known is left out, and
the dataset counts it.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from services.catalog.domain import Provenance, Service
from services.catalog.exporting.content import Export

Node = dict[str, Any]
BASE = "urn:tiendo:"
_STATUS_WITHDRAWN = "http://purl.org/adms/status/Withdrawn"
_CONTEXT = {
    "adms": "http://www.w3.org/ns/adms#",
    "cpsv": "http://purl.org/vocab/cpsv#",
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "tiendo": f"{BASE}terms:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def json_ld(export: Export) -> Iterator[bytes]:
    """Write one document: the dataset, then each service, what it refers to before it and once."""
    yield b'{"@context": ' + _dump(_CONTEXT) + b',\n"@graph": [\n' + _dump(_dataset(export))
    told: set[str] = set()
    for entry in export.entries:
        graph = _Graph(export, entry.service)
        for node in graph.nodes():
            if node["@id"] not in told:
                told.add(node["@id"])
                yield b",\n" + _dump(node)
        yield b",\n" + _dump(graph.service())
    yield b"\n]}\n"


def _dump(node: Node) -> bytes:
    return json.dumps(node, ensure_ascii=False).encode()


def _dataset(export: Export) -> Node:
    services = [entry.service for entry in export.entries]
    left_out = {
        "dct:title": sum(not service.display_name for service in services),
        "dct:description": len(services),
        "cv:hasCompetentAuthority": sum(not export.agencies(service) for service in services),
    }
    node: Node = {
        "@id": _dataset_id(export),
        "@type": "dcat:Dataset",
        "dct:identifier": export.name,
        "rdfs:comment": [
            _text(
                "Terms of CPSV-AP 3.2.0 and schema.org. What is not known is left out: tiendo:leftOut counts the services "
                "without a term that the profile requires. Organisations have no dct:spatial, channels no dct:type.",
                "en",
            )
        ],
        "tiendo:leftOut": [
            {"tiendo:term": {"@id": term}, "tiendo:services": count} for term, count in left_out.items() if count
        ],
    }
    if export.programme:
        programme = export.programme.programme
        node["dct:title"] = _texts(programme.display_name, programme.english_gloss)
        node["dct:modified"] = _instant(programme.update_time)
    return node


def _dataset_id(export: Export) -> str:
    return f"{BASE}datasets/{export.name}"


class _Graph:
    """One service and what it refers to."""

    def __init__(self, export: Export, service: Service) -> None:
        self._export, self._service = export, service
        self._agencies = [each.agency for each in export.agencies(service)]
        # Ratings of two decrees are never one: the scheme is part of the name.
        self._ratings = [f"{each.scheme.name} {each.level}" for each in service.online_levels]

    def nodes(self) -> Iterator[Node]:
        """Give the organisations, concepts and channels."""
        service = self._service
        for agency in self._agencies:
            yield {
                "@id": _id("agency", agency),
                "@type": ["cv:PublicOrganisation", "schema:GovernmentOrganization"],
                "skos:prefLabel": [_text(agency, "vi")],
                "schema:name": [_text(agency, "vi")],
            }
        concepts = [("field", service.field)] if service.field else []
        concepts += [("audience", each) for each in service.audiences] + [("level", each) for each in service.levels]
        for scheme, label in concepts:
            yield _concept(scheme, label, [_text(label, "vi")])
        for rating in self._ratings:
            yield _concept("online-level", rating, [{"@value": rating}])
        for channel in service.channels:
            yield {
                "@id": _id("channel", channel),
                "@type": ["cv:Channel", "schema:ServiceChannel"],
                "dct:identifier": channel,
                "dct:description": [_text(channel, "vi")],
                "schema:name": [_text(channel, "vi")],
            }

    def service(self) -> Node:
        """Give the service itself."""
        service = self._service
        names = _texts(service.display_name, service.english_gloss)
        agencies = _ids("agency", self._agencies)
        audiences = _ids("audience", service.audiences)
        channels = _ids("channel", service.channels)
        node: Node = {
            "@id": f"{BASE}services/{service.id}",
            "@type": ["cpsv:PublicService", "schema:GovernmentService"],
            "dct:identifier": service.id,
            "dct:isPartOf": {"@id": _dataset_id(self._export)},
            "dct:issued": _instant(service.create_time),
            "dct:modified": _instant(service.update_time),
            "dct:title": names,
            "schema:name": names,
            "schema:identifier": [_code(each.code) for each in service.procedure_codes],
            "cv:hasCompetentAuthority": agencies,
            "schema:provider": agencies,
            "dct:audience": audiences,
            "schema:audience": [
                {"@type": "schema:Audience", "schema:audienceType": [_text(each, "vi")]} for each in service.audiences
            ],
            "cv:thematicArea": _ids("field", [service.field] if service.field else []),
            "cv:isClassifiedBy": _ids("level", service.levels) + _ids("online-level", self._ratings),
            "cv:hasChannel": channels,
            "schema:availableChannel": channels,
            "dct:provenance": [_statement(each) for each in service.provenance],
        }
        if service.retirement:
            node["adms:status"] = {"@id": _STATUS_WITHDRAWN}
            if service.retirement.replaced_by:
                node["dct:isReplacedBy"] = {"@id": f"{BASE}{service.retirement.replaced_by}"}
        return {term: value for term, value in node.items() if value}


def _text(text: str, lang: str) -> Node:
    return {"@value": text, "@language": lang}


def _texts(vietnamese: str, english: str) -> list[Node]:
    return [_text(text, lang) for text, lang in ((vietnamese, "vi"), (english, "en")) if text]


def _instant(instant: datetime) -> Node:
    return {"@value": instant.astimezone(UTC).isoformat(), "@type": "xsd:dateTime"}


def _id(kind: str, text: str) -> str:
    """Name a thing that the catalog knows by its words alone; other words are another thing."""
    return f"{BASE}{kind}/{quote(text, safe='')}"


def _ids(kind: str, texts: Any) -> list[Node]:
    return [{"@id": _id(kind, text)} for text in texts]


def _concept(scheme: str, label: str, labels: list[Node]) -> Node:
    return {
        "@id": _id(scheme, label),
        "@type": "skos:Concept",
        "skos:prefLabel": labels,
        "skos:inScheme": {"@id": f"{BASE}schemes/{scheme}"},
    }


def _code(code: str) -> Node:
    return {"@type": "schema:PropertyValue", "schema:propertyID": "TTHC", "schema:value": code}


def _statement(entry: Provenance) -> Node:
    node: Node = {
        "@type": "dct:ProvenanceStatement",
        "tiendo:kind": entry.kind.name,
        "tiendo:field": entry.field,
        "dct:bibliographicCitation": entry.citation,
    }
    return {term: value for term, value in node.items() if value}
