"""The document of the NATS side is valid, and says what the code does."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from services.common.stream_specs import stream_specs
from tests.support import node
from tests.support.asyncapi import channels_of, document

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "contract.txt"


def test_it_is_asyncapi_3(tmp_path: Path) -> None:
    """AsyncAPI's own schema of version 3.0.0 accepts it, and refuses it with an operation of a third kind."""
    shutil.copy(HERE / "asyncapi" / "package.json", tmp_path)
    node.install(tmp_path)
    schema = json.loads((tmp_path / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text())
    validator = Draft7Validator(schema)
    wrong = json.loads(json.dumps(document()))
    wrong["operations"]["send.catalog.service_named"]["action"] = "shout"

    assert [error.message for error in validator.iter_errors(document())] == []
    assert not validator.is_valid(wrong)


def test_every_reference_leads_somewhere() -> None:
    """Each `$ref` names a part of the document."""
    text = json.dumps(document())
    names = {part.partition('"')[0] for part in text.split('"$ref": "#/')[1:]}

    assert names
    for name in names:
        place = document()
        for step in name.split("/"):
            place = place[step]


def test_subjects_types_and_streams_are_those_of_the_code() -> None:
    """Each event of the golden list has its channel, type and stream; there is no other."""
    golden = {tuple(line.split()[1:]) for line in GOLDEN.read_text().splitlines() if line.startswith("event ")}
    streams = {spec.name: spec.subjects[0].removesuffix(">") for spec in stream_specs()}
    described = set()
    for name, channel in document()["channels"].items():
        address = channel["address"]
        (tag,) = channel["tags"]
        described.add((address.replace("{", "<").replace("}", ">"), document()["components"]["messages"][name]["name"]))
        assert address.startswith(streams[tag["name"]])

    assert described == golden


@pytest.mark.parametrize(
    ("subject", "channel"),
    [
        ("tiendo.progress.v1.bca-2022.service_integrated.bca-012", ["progress.service_integrated"]),
        ("tiendo.progress.v1.bca-2022.programme_milestone._", ["progress.programme_milestone"]),
        ("tiendo.progress.v1.bca-2022.programme_milestone.bca-012", []),
        ("tiendo.catalog.v1.programme_created._", ["catalog.programme_created"]),
        ("tiendo.catalog.v1.service_named.bca.012", []),
    ],
)
def test_a_subject_has_one_channel(subject: str, channel: list[str]) -> None:
    """A subject leads to the one message that it can carry."""
    assert channels_of(subject) == channel
