"""The services as JSON: all that the catalog holds of them.

Invariant: each element is a tiendo.catalog.v1.Service by protobuf's JSON mapping.
"""

import json
from collections.abc import Iterator

from services.catalog.exporting.content import Export
from services.common.protojson import to_dict
from tiendo.catalog.v1 import service_pb2


def json_list(export: Export) -> Iterator[bytes]:
    """Write a list, a service a line."""
    yield b"["
    for place, entry in enumerate(export.entries):
        service = to_dict(service_pb2.Service.FromString(entry.message))
        yield (b",\n" if place else b"\n") + json.dumps(service, ensure_ascii=False).encode()
    yield b"\n]\n"
