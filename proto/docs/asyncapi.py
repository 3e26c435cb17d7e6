"""The NATS side as an AsyncAPI 3 document: streams, subjects, CloudEvents envelopes, payloads.

Invariant: each event has one channel, whose address is its subject and whose message its CloudEvents type and data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from described import Contract, is_ours, types_in

Json = dict[str, Any]
_KIND = "PROGRESS_EVENT_KIND_"
_OF_PROTOBUF: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
}
_SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
}
# What every row has: proto3 JSON leaves out what is empty, and these never are.
_ALWAYS = ["epoch", "sequence", "recordedTime", "digest"]
_ENVELOPE: Json = {
    "type": "object",
    "description": "CloudEvents 1.0, structured JSON.",
    "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "`<epoch>.<sequence>`, the same however often it is delivered."},
        "source": {"type": "string", "format": "uri-reference"},
        "type": {"type": "string"},
        "subject": {"type": "string", "description": "The resource that it tells of, `services/bca-012`."},
        "time": {
            "type": "string",
            "format": "date-time",
            "description": "When it was recorded, UTC; when it happened is `effectiveDate`, where there is one.",
        },
        "datacontenttype": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context; absent where the call was not traced."},
        "data": {"type": "object", "description": "The event, by protobuf's JSON mapping."},
    },
}
_HEADERS: Json = {
    "type": "object",
    "properties": {
        "Nats-Msg-Id": {"type": "string", "description": "The event's id: within 100 ms the broker drops a repeat."},
        "traceparent": {"type": "string"},
    },
}
_PARAMETERS: dict[str, Json] = {
    "programme": {"description": "The programme that counts the service.", "examples": ["bca-2022"]},
    "service": {"description": "The service's id.", "examples": ["bca-012"]},
    "none": {"description": "The event has no service.", "enum": ["_"], "default": "_"},
}


@dataclass(frozen=True)
class Event:
    """One kind of event of one journal."""

    journal: str
    source: str
    message: str
    subject: str
    word: str
    type: str
    says: str
    told_by: Json
    """What is true of its data alone."""

    @property
    def id(self) -> str:
        """Its name in the document: "catalog.service_named"."""
        return f"{self.journal}.{self.word}"


def events(contract: Contract) -> Iterator[Event]:
    """Give every event, in the order of the contract."""
    for journal, message in (("catalog", "CatalogEvent"), ("integration", "IntegrationEvent")):
        name = f"tiendo.{journal}.v1.{message}"
        for field in contract.message(name).oneofs_by_name["event"].fields:
            word = str(field.name)
            yield Event(
                journal,
                f"/tiendo/{journal}",
                name,
                f"tiendo.{journal}.v1.{word}.{{service}}",
                word,
                f"tiendo.{journal}.v1.{'.'.join(word.rsplit('_', 1))}",
                contract.words(field),
                {"required": [field.json_name]},
            )
    kind = contract.enum("tiendo.status.v1.ProgressEventKind")
    for value in kind.values[1:]:
        word = str(value.name).removeprefix(_KIND).lower()
        yield Event(
            "progress",
            "/tiendo/status",
            "tiendo.status.v1.ProgressEvent",
            f"tiendo.progress.v1.{{programme}}.{word}.{{service}}",
            word,
            f"tiendo.progress.v1.{word.replace('_', '.', 1)}",
            contract.words_of(f"{kind.full_name}.{value.name}"),
            {"required": ["kind", "programme"], "properties": {"kind": {"const": value.name}}},
        )


def document(contract: Contract) -> Json:
    """Make the whole document."""
    told = list(events(contract))
    schemas = {"CloudEvent": _ENVELOPE}
    for name in dict.fromkeys(event.message for event in told):
        for described in types_in(contract.message(name)):
            schemas[described.full_name] = _schema(contract, described)
        schemas[name]["required"] = _ALWAYS
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tiendo: events on NATS",
            "version": "1",
            "description": "Three JetStream streams, one for each journal. JetStream is delivery and may lose or repeat; the "
            "journal behind ListEvents, and WatchProgress for progress, are the truth. Readers ignore fields they do not know.",
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {"nats": {"host": "127.0.0.1:7104", "protocol": "nats", "description": "As `tiendo up` starts it."}},
        "channels": {event.id: _channel(event) for event in told},
        "operations": {
            f"send.{event.id}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{event.id}"},
                "messages": [{"$ref": f"#/channels/{event.id}/messages/event"}],
            }
            for event in told
        },
        "components": {
            "messages": {event.id: _message(event) for event in told},
            "messageTraits": {"stored": {"headers": _HEADERS}},
            "parameters": _PARAMETERS,
            "schemas": schemas,
        },
    }


def _channel(event: Event) -> Json:
    about = "none" if event.word.startswith("programme_") else "service"
    parameters = {"service": {"$ref": f"#/components/parameters/{about}"}}
    if event.journal == "progress":
        parameters = {"programme": {"$ref": "#/components/parameters/programme"}} | parameters
    return {
        "address": event.subject,
        "title": event.word,
        "description": event.says,
        "tags": [{"name": f"TIENDO_{event.journal.upper()}", "description": "The JetStream stream that keeps it."}],
        "parameters": parameters,
        "messages": {"event": {"$ref": f"#/components/messages/{event.id}"}},
    }


def _message(event: Event) -> Json:
    own = {
        "type": {"const": event.type},
        "source": {"const": event.source},
        "data": {"allOf": [{"$ref": f"#/components/schemas/{event.message}"}, event.told_by]},
    }
    return {
        "name": event.type,
        "summary": event.says,
        "traits": [{"$ref": "#/components/messageTraits/stored"}],
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, {"properties": own}]},
    }


def _schema(contract: Contract, described: Descriptor | EnumDescriptor) -> Json:
    words = contract.words(described)
    if isinstance(described, EnumDescriptor):
        return {"type": "string", "description": words, "enum": [value.name for value in described.values]}
    properties = {field.json_name: _field(field) | {"description": contract.words(field)} for field in described.fields}
    return {"type": "object", "description": words, "properties": properties}


def _field(field: FieldDescriptor) -> Json:
    if field.message_type is not None and not is_ours(field.message_type):
        one = dict(_OF_PROTOBUF[field.message_type.full_name])
    elif (kind := field.message_type or field.enum_type) is not None:
        # Beside a $ref nothing counts: that it may have a description it stands in an allOf.
        one = {"allOf": [{"$ref": f"#/components/schemas/{kind.full_name}"}]}
    else:
        one = dict(_SCALARS[field.type])
    return {"type": "array", "items": one} if field.is_repeated else one
