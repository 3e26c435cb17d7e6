"""The document of the NATS side, and the schemas in it as a validator takes them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, FormatChecker

DOCUMENT = Path(__file__).parents[2] / "proto" / "docs" / "asyncapi.yaml"


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def channels_of(subject: str) -> list[str]:
    """The ids of the channels that a message of this subject is on."""
    return [name for name, channel in document()["channels"].items() if _pattern(channel).fullmatch(subject)]


def _pattern(channel: dict[str, Any]) -> re.Pattern[str]:
    parts = []
    for token in channel["address"].split("."):
        if not token.startswith("{"):
            parts.append(re.escape(token))
            continue
        parameter = channel["parameters"][token.strip("{}")]["$ref"].rpartition("/")[2]
        choices = document()["components"]["parameters"][parameter].get("enum")
        parts.append("|".join(map(re.escape, choices)) if choices else "[a-z0-9-]{1,63}")
    return re.compile(r"\.".join(parts))


@cache
def payload(channel: str) -> Draft7Validator:
    """What judges the messages of a channel, more strictly than a reader should: a field that is not described is wrong."""
    components = {"schemas": {name: _closed(schema) for name, schema in document()["components"]["schemas"].items()}}
    schema = document()["components"]["messages"][channel]["payload"]
    return Draft7Validator({**schema, "components": components}, format_checker=FormatChecker())


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if schema["type"] == "object" else schema
