"""`tiendo doctor`: is everything well, and if not, what to do.

Invariant: every line that is not ok ends with its remedy; it only looks, and changes nothing.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nats.js.errors import NotFoundError
from rich.text import Text

from services.cli import output
from services.cli.client import REFUSED, CommandError, Session
from services.common.broker import MINIMUM_VERSION, Broker, stream_specs
from services.common.config import SERVICES
from tiendo.status.v1 import freshness_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_SECONDS = 2.0
_STUCK_SECONDS = 60
_FULL_NAMES = {service: f"tiendo.{service}.v1.{service.title()}Service" for service in SERVICES}
_REMEDIES = {"catalog": "tiendo status rebuild", "integration": "tiendo status rebuild"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `level` is ok, warn or fail."""

    level: str
    part: str
    text: str


def run(session: Session) -> None:
    """Print what was found. Raises CommandError (exit 1) when anything failed."""
    found = asyncio.run(_broker(session))
    found += [finding for service in SERVICES for finding in _service(session, service)]
    if not any(finding.level == "fail" and finding.part in SERVICES for finding in found):
        text = session.word("screen.doctor.schema_current", services=", ".join(SERVICES))
        found.insert(0, Finding("ok", session.word("screen.doctor.databases"), text))
    found += _freshness(session)
    if session.json:
        for finding in found:
            output.print_json({"level": finding.level, "part": finding.part, "text": finding.text})
    else:
        styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
        rows = [
            (Text(session.word(f"screen.doctor.{one.level}"), styles[one.level]), one.part, one.text) for one in found
        ]
        output.table(("", "", ""), rows)
    if any(finding.level == "fail" for finding in found):
        raise CommandError(REFUSED, "")


def _service(session: Session, service: str) -> list[Finding]:
    address = session.settings.address_of(service)
    stub = health_pb2_grpc.HealthStub(session.channel(service))
    try:
        _check(stub, _FULL_NAMES[service])
    except grpc.RpcError:
        return [_absent(session, service, address)]
    parts = {"database": "", "relay": "", "feed.catalog": "", "feed.integration": ""}
    bad = [part for part in parts if not _serving(stub, part)]
    finding = [Finding("ok", service, f"{address}: {session.word('screen.doctor.part_ok')}")] if not bad else []
    for part in bad:
        level = "fail" if part == "database" else "warn"
        finding.append(
            Finding(level, service, session.word(f"screen.doctor.part_{part.partition('.')[0]}", source=part[5:]))
        )
    return finding


def _check(stub: Any, name: str) -> Any:
    return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=_SECONDS)


def _serving(stub: Any, part: str) -> bool:
    """Whether a part is well; one that the service does not have is."""
    try:
        return bool(_check(stub, part).status == health_pb2.HealthCheckResponse.SERVING)
    except grpc.RpcError as failure:
        return bool(failure.code() is grpc.StatusCode.NOT_FOUND)


def _absent(session: Session, service: str, address: str) -> Finding:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(_SECONDS)
        taken = probe.connect_ex((host, int(port))) == 0
    if taken:
        setting = f"TIENDO_{service.upper()}_PORT"
        part = session.word("screen.doctor.port", port=port)
        return Finding("fail", part, session.word("screen.doctor.port_taken", setting=setting))
    return Finding("fail", service, session.word("screen.doctor.part_away", address=address, service=service))


async def _broker(session: Session) -> list[Finding]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    part = session.word("screen.doctor.broker")
    broker = Broker(session.settings.nats_url.split(","), name="tiendo-doctor")
    broker.start()
    try:
        try:
            async with asyncio.timeout(_SECONDS):
                await broker.wait_connected()
        except TimeoutError:
            if broker.server_version:
                wanted = ".".join(map(str, MINIMUM_VERSION))
                text = session.word("screen.doctor.broker_old", version=broker.server_version, wanted=wanted)
                return [Finding("fail", part, text)]
            return [Finding("fail", part, session.word("screen.doctor.broker_away", address=session.settings.nats_url))]
        missing = []
        stream_manager = broker.client().jetstream()
        for spec in stream_specs():
            try:
                await stream_manager.stream_info(spec.name)
            except NotFoundError:
                missing.append(spec.name)
        if missing:
            return [
                Finding("fail", part, session.word("screen.doctor.stream_missing", stream=name)) for name in missing
            ]
        streams = len(stream_specs())
        text = session.word("screen.doctor.broker_ok", version=broker.server_version, streams=streams)
        return [Finding("ok", part, text)]
    finally:
        await broker.close()


def _freshness(session: Session) -> list[Finding]:
    try:
        answer = session.status.GetFreshness(pb.GetFreshnessRequest(), timeout=_SECONDS)
    except grpc.RpcError:
        return []
    found: list[Finding] = []
    for source in answer.sources:
        values = {
            "rows": source.lag_rows,
            "source": source.source,
            "seconds": source.lag.seconds,
            "service": source.source,
        }
        if source.state == freshness_pb2.FOLLOW_STATE_HALTED:
            text = session.word("screen.doctor.journal_back", source=source.source, command=_REMEDIES[source.source])
            found.append(Finding("fail", "status", text))
        elif source.lag_rows:
            stuck = source.lag.seconds >= _STUCK_SECONDS
            key = "lag_stuck" if stuck else "lag"
            names = ("rows", "source", "seconds", "service") if stuck else ("rows", "source", "seconds")
            text = session.word(f"screen.doctor.{key}", **{name: values[name] for name in names})
            found.append(Finding("fail" if stuck else "warn", "status", text))
        if source.dead_letters:
            command = "tiendo status rebuild"
            text = session.word(
                "screen.doctor.dead_letters", count=source.dead_letters, source=source.source, command=command
            )
            found.append(Finding("warn", "status", text))
    return found
