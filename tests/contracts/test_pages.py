"""The pages of the gRPC side can be browsed: each link leads to the one heading it names, and every RPC is there."""

import re
from collections import Counter

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from services.catalog import app as catalog_app
from services.integration import app as integration_app
from services.status import app as status_app
from tests.support.asyncapi import DOCUMENT

SERVICES = (catalog_app.DESCRIPTOR, integration_app.DESCRIPTOR, status_app.DESCRIPTOR)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: str(service.name))
def test_a_page_is_whole(service: ServiceDescriptor) -> None:
    """Every RPC with its request's and response's fields, and every link with one target on the page."""
    text = (DOCUMENT.parent / f"{service.full_name.split('.')[1]}.md").read_text()
    headings = Counter(line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#"))
    links = set(re.findall(r"\(#([a-z0-9]+)\)", text))

    assert links
    assert {link: headings[link] for link in links} == dict.fromkeys(links, 1)
    for method in service.methods:
        assert headings[method.name.lower()] == 1
        for field in (*method.input_type.fields, *method.output_type.fields):
            assert f"| `{field.name}` |" in text
