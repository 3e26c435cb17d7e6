"""A refusal has one reason, a reason one kind, and both are what the contract says."""

import re
from pathlib import Path

import pytest

from services.common.errors import KIND, Kind, Reason, Refusal

PROTO = Path(__file__).parents[2] / "proto/tiendo/common/v1/error_reason.proto"


def reasons_of_proto() -> dict[str, str]:
    """Reason to kind, as the comments of the proto have it."""
    kinds: dict[str, str] = {}
    comment = ""
    for line in PROTO.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"  ERROR_REASON_([A-Z_]+) = \d+;", line):
            kinds[found[1]] = comment.partition(":")[0]
            comment = ""
        elif line.startswith("  // "):
            comment = comment or line.removeprefix("  // ")
    del kinds["UNSPECIFIED"]
    return kinds


def test_reasons_are_those_of_the_contract() -> None:
    """Every ErrorReason of the proto is a Reason, in the same order, and no other is."""
    assert [reason.value for reason in Reason] == list(reasons_of_proto())


def test_each_reason_has_the_kind_the_contract_gives_it() -> None:
    """The kind of a reason is the status code the proto promises for it."""
    assert {reason.value: KIND[reason].value for reason in Reason} == reasons_of_proto()


def test_refusal_names_field_and_fix_by_itself() -> None:
    """The message alone tells the field and what to do; the parts are there for programs."""
    refusal = Refusal(
        Reason.TEXT_TOO_LONG, "has 11 characters; give at most 10", field="note", metadata={"limit": "10"}
    )

    assert refusal.message == str(refusal) == "note: has 11 characters; give at most 10"
    assert (refusal.kind, refusal.fields, refusal.metadata) == (Kind.INVALID_ARGUMENT, ("note",), {"limit": "10"})
    assert refusal.retry_seconds is None


def test_refusal_without_field() -> None:
    """A refusal that concerns no field names none, and carries its retry time."""
    refusal = Refusal(Reason.OVERLOADED, "too many commands are waiting; try again", retry_seconds=0.5)

    assert refusal.message == "too many commands are waiting; try again"
    assert (refusal.kind, refusal.fields, refusal.retry_seconds) == (Kind.RESOURCE_EXHAUSTED, (), 0.5)


def test_metadata_of_a_refusal_is_its_own() -> None:
    """Changing the mapping afterwards changes no refusal."""
    metadata = {"name": "services/bca-001"}
    refusal = Refusal(Reason.SERVICE_NOT_FOUND, "no such service", field="name", metadata=metadata)
    metadata.clear()

    assert refusal.metadata == {"name": "services/bca-001"}


def test_kind_table_cannot_be_changed() -> None:
    """No part of the program can give a reason another kind."""
    with pytest.raises(TypeError):
        KIND[Reason.INTERNAL] = Kind.UNAVAILABLE  # type: ignore[index]
