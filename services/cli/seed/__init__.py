"""The first programme as data: what the source says, what we inferred, and nothing else.

Invariant: `load()` gives exactly as many services as the programme plans, each place of the plan once, and every value
of each has a provenance with a citation.
"""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any


class ProvenanceKind(StrEnum):
    """How a seeded value came to be known; the short names of the contract's ProvenanceKind."""

    SOURCE_DOCUMENT = "SOURCE_DOCUMENT"
    INFERRED = "INFERRED"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one value comes from; `field` is its snake_case path in the contract's message."""

    field: str
    kind: ProvenanceKind
    citation: str


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme; dates are ISO 8601 as precise as known ("2022")."""

    id: str
    display_name: str
    english_gloss: str
    planned_count: int
    start_date: str
    target_date: str
    owner: str
    provenance: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """An entry of the plan; a slot has an empty name, gloss and field."""

    id: str
    plan_number: int
    display_name: str
    english_gloss: str
    field: str
    provenance: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """That a service was complete on both portals; `date` is ISO 8601 as precise as known ("2022-09")."""

    service_id: str
    date: str
    at_latest: bool
    evidence_note: str


@dataclass(frozen=True, slots=True)
class Seed:
    """A programme with its services in the order of the plan, and what is known to be complete."""

    programme: Programme
    services: tuple[Service, ...]
    completions: tuple[Completion, ...]


_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
_PROGRAMME_KEYS = {"id", "display_name", "english_gloss", "planned_count", "start_date", "target_date", "owner"}
_NAMED_KEYS = {"plan_number", "display_name", "english_gloss", "field"}


def load() -> Seed:
    """Read the seed of programme bca-2022. Raises ValueError, naming the place, when the file breaks the invariant."""
    return parse((files(__package__) / "bca_2022.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Seed:
    """Read a seed from TOML of the form of bca_2022.toml. Raises ValueError, naming the place, for anything else."""
    tree = tomllib.loads(text)
    _exact(tree, {"citations", "programme", "completion", "named_provenance", "named", "slots"}, "the file")
    citations: dict[str, str] = tree["citations"]
    programme = _programme(tree["programme"], citations)
    named = _named(tree["named"], _provenance(tree["named_provenance"], citations, "named_provenance"))
    services = (*named, *_slots(tree["slots"], citations))
    if [service.plan_number for service in services] != list(range(1, programme.planned_count + 1)):
        raise ValueError(f"the plan numbers must be 1 to {programme.planned_count}, each once, in order")
    return Seed(programme, services, _completions(tree["completion"], named, citations))


def _programme(raw: dict[str, Any], citations: dict[str, str]) -> Programme:
    _exact(raw, _PROGRAMME_KEYS | {"provenance"}, "programme")
    _exact(raw["provenance"], _PROGRAMME_KEYS - {"id"}, "programme.provenance")
    for key in ("start_date", "target_date"):
        _check_date(raw[key], f"programme.{key}")
    return Programme(**{**raw, "provenance": _provenance(raw["provenance"], citations, "programme.provenance")})


def _named(entries: list[dict[str, Any]], provenance: tuple[Provenance, ...]) -> tuple[Service, ...]:
    covered = {entry.field for entry in provenance}
    wanted = (_NAMED_KEYS - {"plan_number"}) | {"memberships", "memberships.plan_number"}
    if covered != wanted:
        raise ValueError(f"named_provenance must cover {sorted(wanted)}, not {sorted(covered)}")
    for entry in entries:
        _exact(entry, _NAMED_KEYS, "named")
        if not all(entry.values()):
            raise ValueError(f"named: number {entry['plan_number']} has an empty value")
    if len({entry["display_name"] for entry in entries}) != len(entries):
        raise ValueError("named: two services have the same name")
    return tuple(Service(id=_service_id(entry["plan_number"]), **entry, provenance=provenance) for entry in entries)


def _slots(raw: dict[str, Any], citations: dict[str, str]) -> tuple[Service, ...]:
    _exact(raw, {"first_plan_number", "last_plan_number", "provenance"}, "slots")
    _exact(raw["provenance"], {"memberships", "memberships.plan_number"}, "slots.provenance")
    provenance = _provenance(raw["provenance"], citations, "slots.provenance")
    numbers = range(raw["first_plan_number"], raw["last_plan_number"] + 1)
    return tuple(Service(_service_id(number), number, "", "", "", provenance) for number in numbers)


def _completions(raw: dict[str, Any], named: tuple[Service, ...], citations: dict[str, str]) -> tuple[Completion, ...]:
    _exact(raw, {"date", "at_latest", "evidence"}, "completion")
    _check_date(raw["date"], "completion.date")
    if not isinstance(raw["at_latest"], bool):
        raise ValueError(f"completion.at_latest: not true or false: {raw['at_latest']!r}")  # noqa: TRY004  bad data, not a bad call
    note = _citation(raw["evidence"], citations, "completion.evidence")
    return tuple(Completion(service.id, raw["date"], raw["at_latest"], note) for service in named)


def _provenance(raw: dict[str, Any], citations: dict[str, str], place: str) -> tuple[Provenance, ...]:
    entries = []
    for field, entry in raw.items():
        _exact(entry, {"kind", "citation"}, f"{place}.{field}")
        citation = _citation(entry["citation"], citations, f"{place}.{field}")
        entries.append(Provenance(field, ProvenanceKind(entry["kind"]), citation))
    return tuple(entries)


def _citation(key: str, citations: dict[str, str], place: str) -> str:
    text = citations.get(key, "")
    # The contract's bound for a citation.
    if not 1 <= len(text) <= 1_000:
        raise ValueError(f"{place}: citation {key!r} is missing, empty or over 1,000 characters")
    return text


def _exact(raw: dict[str, Any], expected: set[str], place: str) -> None:
    if raw.keys() != expected:
        raise ValueError(f"{place}: expected {sorted(expected)}, got {sorted(raw)}")


def _check_date(text: object, place: str) -> None:
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise ValueError(f"{place}: not a date: {text!r}")


def _service_id(plan_number: int) -> str:
    return f"bca-{plan_number:03d}"
