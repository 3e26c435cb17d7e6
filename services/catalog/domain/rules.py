"""What a programme and a service may be, and what each change makes of them.

Invariant: a value that passed here has kept every limit of the contract, and a place in a plan is filled once.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date

from services.catalog.domain.values import (
    Agency,
    Evidence,
    Membership,
    OnlineLevel,
    ProcedureCode,
    Programme,
    Provenance,
    Service,
)
from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.common.text import alias_of, clean

MOST_PLANNED = 1_000_000
_CODE = re.compile(r"\d\.\d{6}", re.ASCII)
_PATH = re.compile(r"[a-z_]+(\.[a-z_]+)*")
_LEVELS = {1: {"1", "2", "3", "4"}, 2: {"MOT_PHAN", "TOAN_TRINH"}}


def checked_programme(programme: Programme, places: Collection[int] = (), prefix: str = "programme") -> Programme:
    """Give the programme with its texts as they are stored. Raises Refusal for what the contract forbids.

    `places` are its members' plan numbers: the denominator may be less than neither their count nor the highest
    (PLAN_CONFLICT).
    """
    highest = max(places, default=0)
    if not 1 <= programme.planned_count <= MOST_PLANNED:
        raise Refusal(
            Reason.INVALID_VALUE,
            f"{programme.planned_count} is outside 1 to {MOST_PLANNED}; give the number of services planned",
            field=f"{prefix}.planned_count",
        )
    if programme.planned_count < max(len(places), highest):
        raise Refusal(
            Reason.PLAN_CONFLICT,
            f"{programme.planned_count} places are too few for programmes/{programme.id}: it has {len(places)} services, "
            f"the highest plan number being {highest}; give at least {max(len(places), highest)}",
            field=f"{prefix}.planned_count",
            metadata={
                "programme": f"programmes/{programme.id}",
                "planned": str(programme.planned_count),
                "plan_number": str(highest),
            },
        )
    _in_order(programme.start_date, programme.target_date, f"{prefix}.target_date", "start_date")
    return replace(
        programme,
        display_name=clean(programme.display_name, f"{prefix}.display_name", limit=500, required=True),
        english_gloss=clean(programme.english_gloss, f"{prefix}.english_gloss", limit=500),
        owner=clean(programme.owner, f"{prefix}.owner", limit=500),
        provenance=_checked_provenance(programme.provenance, 50, prefix),
    )


def checked_service(service: Service, prefix: str = "service") -> Service:
    """Give the service with its texts as they are stored. Raises Refusal for what the contract forbids of it alone."""
    _few(service.memberships, 20, f"{prefix}.memberships")
    if len({membership.programme for membership in service.memberships}) < len(service.memberships):
        raise Refusal(Reason.INVALID_VALUE, "names a programme twice; give each once", field=f"{prefix}.memberships")
    return replace(
        service,
        display_name=clean(service.display_name, f"{prefix}.display_name", limit=1000),
        english_gloss=clean(service.english_gloss, f"{prefix}.english_gloss", limit=1000),
        field=clean(service.field, f"{prefix}.field", limit=200),
        procedure_codes=_checked_codes(service.procedure_codes, prefix),
        agencies=_checked_agencies(service.agencies, prefix),
        levels=_checked_words(service.levels, 10, f"{prefix}.levels"),
        audiences=_checked_words(service.audiences, 20, f"{prefix}.audiences"),
        channels=_checked_words(service.channels, 20, f"{prefix}.channels"),
        online_levels=_checked_levels(service.online_levels, prefix),
        provenance=_checked_provenance(service.provenance, 100, prefix),
    )


def checked_evidence(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Give evidence as it is stored. Raises Refusal TOO_MANY, EMPTY_EVIDENCE, TEXT_TOO_LONG, INVALID_VALUE."""
    _few(evidence, 20, "evidence")
    made: list[Evidence] = []
    for index, item in enumerate(evidence):
        place = f"evidence[{index}]"
        stored = Evidence(
            clean(item.document_number, f"{place}.document_number", limit=100),
            clean(item.link, f"{place}.link", limit=2000),
            clean(item.note, f"{place}.note", limit=2000, multiline=True),
        )
        if stored == Evidence("", "", ""):
            raise Refusal(Reason.EMPTY_EVIDENCE, "is empty; give a document number, a link or a note", field=place)
        if stored.link and not stored.link.startswith(("http://", "https://")):
            raise Refusal(Reason.INVALID_VALUE, "is no http or https address", field=f"{place}.link")
        made.append(stored)
    return tuple(made)


def check_place(
    membership: Membership, programme: Programme | None, members: int, taken: str | None, field: str
) -> None:
    """Refuse a place in a plan that is not there: PROGRAMME_NOT_FOUND, PLAN_CONFLICT.

    `members` counts the programme's other services, `taken` is the one that has the plan number, if any.
    """
    name = f"programmes/{membership.programme}"
    if programme is None:
        raise Refusal(
            Reason.PROGRAMME_NOT_FOUND,
            f"there is no {name}; create it first",
            field=field,
            metadata={"name": name},
        )
    told = {"programme": name, "planned": str(programme.planned_count), "plan_number": str(membership.plan_number)}
    if members >= programme.planned_count:
        raise Refusal(
            Reason.PLAN_CONFLICT,
            f"the plan of {name} is full: all {programme.planned_count} places are filled; only UpdateProgramme changes it",
            field=field,
            metadata=told,
        )
    if not 0 <= membership.plan_number <= programme.planned_count:
        raise Refusal(
            Reason.PLAN_CONFLICT,
            f"plan number {membership.plan_number} is outside 1 to {programme.planned_count} of {name}",
            field=field,
            metadata=told,
        )
    if taken is not None:
        raise Refusal(
            Reason.PLAN_CONFLICT,
            f"plan number {membership.plan_number} of {name} belongs to services/{taken}",
            field=field,
            metadata=told,
        )


def latest_level(levels: Sequence[OnlineLevel]) -> OnlineLevel | None:
    """Give the rating that was made last; of those without a date the last one told."""
    rated = [(level.date.last_day() if level.date else date.min, place) for place, level in enumerate(levels)]
    return levels[max(rated)[1]] if rated else None


def with_alias(service: Service, is_taken: Callable[[str], bool]) -> Service:
    """Give the service the alias that its name asks for; `-2`, `-3` … where that is taken. Older aliases stay its own."""
    wanted = alias_of(service.display_name)
    own = {service.id, service.alias, *service.former_aliases} - {""}
    alias, number = wanted, 2
    while alias and is_taken(alias) and alias not in own:
        ending = f"-{number}"
        alias, number = wanted[: 63 - len(ending)].rstrip("-") + ending, number + 1
    former = tuple(old for old in (*service.former_aliases, service.alias) if old and old != alias)
    return replace(service, alias=alias, former_aliases=former)


def _few(values: Sequence[object], limit: int, field: str) -> None:
    if len(values) > limit:
        raise Refusal(
            Reason.TOO_MANY,
            f"{len(values)} are given; at most {limit} are taken",
            field=field,
            metadata={"limit": str(limit), "count": str(len(values))},
        )


def _in_order(first: PartialDate | None, last: PartialDate | None, field: str, earlier: str) -> None:
    if first is not None and last is not None and last.last_day() < first.first_day():
        raise Refusal(Reason.INVALID_VALUE, f"{last.show()} lies before {earlier} {first.show()}", field=field)


def _checked_provenance(entries: Sequence[Provenance], limit: int, prefix: str) -> tuple[Provenance, ...]:
    _few(entries, limit, f"{prefix}.provenance")
    made: list[Provenance] = []
    for index, entry in enumerate(entries):
        place = f"{prefix}.provenance[{index}]"
        if entry.field and (len(entry.field) > 100 or not _PATH.fullmatch(entry.field)):
            raise Refusal(Reason.INVALID_VALUE, "is no field path in snake_case", field=f"{place}.field")
        made.append(replace(entry, citation=clean(entry.citation, f"{place}.citation", limit=1000, required=True)))
    return tuple(made)


def _checked_codes(codes: Sequence[ProcedureCode], prefix: str) -> tuple[ProcedureCode, ...]:
    _few(codes, 50, f"{prefix}.procedure_codes")
    for index, code in enumerate(codes):
        place = f"{prefix}.procedure_codes[{index}]"
        if not _CODE.fullmatch(code.code):
            raise Refusal(
                Reason.INVALID_VALUE,
                f"{code.code[:40]!r} is no procedure code; give a digit, a dot and six digits as text, as in 1.003290",
                field=f"{place}.code",
                metadata={"code": code.code[:40]},
            )
        _in_order(code.valid_from, code.valid_to, f"{place}.valid_to", "valid_from")
    return tuple(codes)


def _checked_agencies(agencies: Sequence[Agency], prefix: str) -> tuple[Agency, ...]:
    _few(agencies, 20, f"{prefix}.agencies")
    made: list[Agency] = []
    for index, entry in enumerate(agencies):
        place = f"{prefix}.agencies[{index}]"
        _in_order(entry.valid_from, entry.valid_to, f"{place}.valid_to", "valid_from")
        made.append(replace(entry, agency=clean(entry.agency, f"{place}.agency", limit=500, required=True)))
    return tuple(made)


def _checked_words(words: Sequence[str], limit: int, field: str) -> tuple[str, ...]:
    _few(words, limit, field)
    return tuple(clean(word, f"{field}[{index}]", limit=200, required=True) for index, word in enumerate(words))


def _checked_levels(levels: Sequence[OnlineLevel], prefix: str) -> tuple[OnlineLevel, ...]:
    _few(levels, 20, f"{prefix}.online_levels")
    for index, rating in enumerate(levels):
        known = _LEVELS[rating.scheme]
        if rating.level not in known:
            raise Refusal(
                Reason.INVALID_VALUE,
                f"{rating.level[:40]!r} is no level of {rating.scheme.name}; give one of {', '.join(sorted(known))}",
                field=f"{prefix}.online_levels[{index}].level",
            )
    return tuple(levels)
