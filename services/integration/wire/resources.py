"""Integrations, checks and histories as messages, and what every command says.

Invariant: reading what was written gives the same value; an etag changes exactly with its resource's version.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.dates import EffectiveDate, PartialDate, write_instant
from services.common.errors import Reason, Refusal
from services.common.resources import etag
from services.integration import domain
from services.integration.domain import Integration, Transition, TransitionKind
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2

E = TypeVar("E", bound=IntEnum)


def known(number: int, words: type[E], field: str) -> E:
    """Read an enum of a request. Raises Refusal MISSING_VALUE for 0, UNKNOWN_VALUE for a number this version lacks."""
    offered = ", ".join(word.name for word in words)
    if number == 0:
        raise Refusal(Reason.MISSING_VALUE, f"is not given; give one of {offered}", field=field)
    try:
        return words(number)
    except ValueError:
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{number} is not known to this version; give one of {offered}",
            field=field,
            metadata={"value": str(number)},
        ) from None


def date_in(message: date_pb2.EffectiveDate, field: str) -> EffectiveDate | None:
    """Read an effective date; None when none is given. Raises Refusal INVALID_DATE, MISSING_VALUE."""
    date = message.date
    if not (date.year or date.month or date.day):
        if message.at_latest:
            raise Refusal(Reason.MISSING_VALUE, "at_latest needs a date", field=f"{field}.date")
        return None
    return EffectiveDate(PartialDate.of(date.year, date.month, date.day, field=f"{field}.date"), message.at_latest)


def date_out(effective: EffectiveDate | None) -> date_pb2.EffectiveDate | None:
    """Write an effective date."""
    if effective is None:
        return None
    date = date_pb2.PartialDate(year=effective.date.year, month=effective.date.month, day=effective.date.day)
    return date_pb2.EffectiveDate(date=date, at_latest=effective.at_latest)


def evidence_in(entries: Iterable[provenance_pb2.Evidence]) -> tuple[domain.Evidence, ...]:
    """Read evidence."""
    return tuple(domain.Evidence(entry.document_number, entry.link, entry.note) for entry in entries)


def _evidence_out(entries: Iterable[domain.Evidence]) -> list[provenance_pb2.Evidence]:
    return [
        provenance_pb2.Evidence(document_number=entry.document_number, link=entry.link, note=entry.note)
        for entry in entries
    ]


def integration_etag(integration: Integration) -> str:
    """Give the etag of an integration's version."""
    return etag(f"{integration.name}/{integration.version}/{integration.create_time.isoformat()}".encode())


def check_out(check: domain.ConnectionCheck) -> integration_pb2.ConnectionCheck:
    """Write a connection check."""
    return integration_pb2.ConnectionCheck(
        check=int(check.check),  # type: ignore[arg-type]
        state=int(check.state),  # type: ignore[arg-type]
        date=date_out(check.date),
        evidence=_evidence_out(check.evidence),
    )


def portal_link_out(link: domain.PortalLink) -> integration_pb2.PortalLink:
    """Write a portal link."""
    return integration_pb2.PortalLink(portal=int(link.portal), uri=link.uri)  # type: ignore[arg-type]


def portal_check_out(check: domain.PortalCheck) -> integration_pb2.PortalCheck:
    """Write a portal check."""
    message = integration_pb2.PortalCheck(
        portal=int(check.portal),  # type: ignore[arg-type]
        uri=check.uri,
        answer=int(check.answer),  # type: ignore[arg-type]
        http_status=check.http_status,
        detail=check.detail,
        actor=check.actor,
    )
    message.latency.FromTimedelta(check.latency)
    write_instant(message.check_time, check.check_time)
    write_instant(message.since_time, check.since_time)
    return message


def portal_check_of(message: integration_pb2.PortalCheck) -> domain.PortalCheck:
    """Read a stored portal check."""
    return domain.PortalCheck(
        portal=domain.Portal(message.portal),
        uri=message.uri,
        answer=domain.PortalAnswer(message.answer),
        http_status=message.http_status,
        detail=message.detail,
        check_time=_instant(message.check_time),
        latency=message.latency.ToTimedelta(),
        since_time=_instant(message.since_time),
        actor=message.actor,
    )


def integration_out(
    integration: Integration,
    programmes: Sequence[str],
    former_aliases: Sequence[str],
) -> integration_pb2.Integration:
    """Write an integration."""
    message = integration_pb2.Integration(
        name=integration.name,
        stage=int(integration.stage),  # type: ignore[arg-type]
        condition=int(integration.condition),  # type: ignore[arg-type]
        effective_date=date_out(integration.effective_date),
        etag=integration_etag(integration),
        service=f"services/{integration.service_id}",
        checks=[check_out(check) for check in integration.checks],
        portal_links=[portal_link_out(link) for link in integration.portal_links],
        transition_count=integration.transition_count,
        reason=integration.reason,
        update_actor=integration.update_actor,
        alias=integration.alias,
        display_name=integration.display_name,
        programmes=[f"programmes/{programme}" for programme in programmes],
        former_aliases=former_aliases,
    )
    message.portal_checks.extend(portal_check_out(check) for check in integration.portal_checks)
    write_instant(message.create_time, integration.create_time)
    write_instant(message.update_time, integration.update_time)
    return message


def integration_changed(message: bytes, before: Integration, after: Integration) -> integration_pb2.Integration:
    """Write `after` into the message of `before`: the same as `integration_out`, at a third of its time."""
    written = integration_pb2.Integration.FromString(message)
    written.stage = int(after.stage)  # type: ignore[assignment]
    written.condition = int(after.condition)  # type: ignore[assignment]
    if after.effective_date is not before.effective_date:
        written.ClearField("effective_date")
        if (date := date_out(after.effective_date)) is not None:
            written.effective_date.CopyFrom(date)
    if after.checks is not before.checks:
        del written.checks[:]
        written.checks.extend(check_out(check) for check in after.checks)
    if after.portal_links is not before.portal_links:
        del written.portal_links[:]
        written.portal_links.extend(portal_link_out(link) for link in after.portal_links)
    if after.portal_checks is not before.portal_checks:
        del written.portal_checks[:]
        written.portal_checks.extend(portal_check_out(check) for check in after.portal_checks)
    written.transition_count = after.transition_count
    written.reason = after.reason
    written.update_actor = after.update_actor
    written.etag = integration_etag(after)
    write_instant(written.update_time, after.update_time)
    return written


def integration_of(message: integration_pb2.Integration, version: int) -> Integration:
    """Read a stored integration. `version` is the journal row of its last change."""
    return Integration(
        service_id=message.name.removeprefix("integrations/"),
        stage=domain.Stage(message.stage),
        condition=domain.Condition(message.condition),
        effective_date=date_in(message.effective_date, "effective_date"),
        checks=tuple(
            domain.ConnectionCheck(
                domain.Check(check.check),
                domain.CheckState(check.state),
                date_in(check.date, "date"),
                evidence_in(check.evidence),
            )
            for check in message.checks
        ),
        portal_links=tuple(domain.PortalLink(domain.Portal(link.portal), link.uri) for link in message.portal_links),
        transition_count=message.transition_count,
        reason=message.reason,
        create_time=_instant(message.create_time),
        update_time=_instant(message.update_time),
        update_actor=message.update_actor,
        version=version,
        alias=message.alias,
        display_name=message.display_name,
        portal_checks=tuple(portal_check_of(check) for check in message.portal_checks),
    )


def programmes_of(message: integration_pb2.Integration) -> tuple[str, ...]:
    """Give the ids of the programmes that count it."""
    return tuple(name.removeprefix("programmes/") for name in message.programmes)


def transition_out(integration_id: str, entry: Transition) -> transition_pb2.Transition:
    """Write an entry of a history."""
    message = transition_pb2.Transition(
        name=f"integrations/{integration_id}/transitions/{entry.number}",
        number=entry.number,
        kind=int(entry.kind),  # type: ignore[arg-type]
        from_stage=int(entry.from_stage),  # type: ignore[arg-type]
        to_stage=int(entry.to_stage),  # type: ignore[arg-type]
        from_condition=int(entry.from_condition),  # type: ignore[arg-type]
        to_condition=int(entry.to_condition),  # type: ignore[arg-type]
        effective_date=date_out(entry.effective_date),
        reason=entry.reason,
        evidence=_evidence_out(entry.evidence),
        actor=entry.actor,
        annulled_by=entry.annulled_by,
        redated_by=entry.redated_by,
    )
    if entry.correction is not None:
        message.correction.transition = entry.correction.transition
        message.correction.annul = entry.correction.annul
    write_instant(message.recorded_time, entry.recorded_time)
    return message


def transition_of(message: transition_pb2.Transition) -> Transition:
    """Read a stored entry of a history."""
    correction = None
    if message.HasField("correction"):
        correction = domain.Correction(message.correction.transition, message.correction.annul)
    return Transition(
        number=message.number,
        kind=TransitionKind(message.kind),
        from_stage=domain.Stage(message.from_stage),
        to_stage=domain.Stage(message.to_stage),
        from_condition=domain.Condition(message.from_condition),
        to_condition=domain.Condition(message.to_condition),
        effective_date=date_in(message.effective_date, "effective_date"),
        reason=message.reason,
        evidence=evidence_in(message.evidence),
        actor=message.actor,
        recorded_time=_instant(message.recorded_time),
        correction=correction,
    )


def _instant(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What every command says besides what is its own."""

    name: str
    effective_date: EffectiveDate | None = None
    reason: str = ""
    evidence: tuple[domain.Evidence, ...] = ()
    etag: str = ""


def told_of(request: Any) -> Told:
    """Read what a transition command says besides its stage. Raises Refusal for a date that cannot be."""
    return Told(
        request.name,
        date_in(request.effective_date, "effective_date"),
        request.reason,
        evidence_in(request.evidence),
        request.etag,
    )
