"""`tiendo doctor`: is everything well, and if not, what to do.

Invariant: every line that is not well ends with what to do; one FAIL makes the exit code 1.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import pages, streams
from services.cli.addresses import WEB_SETTING, StatusPort, calling_host, nats_servers
from services.cli.client import connect
from services.cli.processes import environ_beside, run_all
from services.cli.session import Session, StopError, command
from services.client import Client, TiendoError
from services.common.broker import MINIMUM_VERSION
from services.common.config import SERVICES, Settings, SettingsError, check_environment
from services.common.figures import number
from services.common.words import Lang
from tiendo.status.v1 import freshness_pb2, status_service_pb2

OK, WARN, FAIL = "ok", "warn", "fail"
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 1.0
_STUCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how bad, of what, and what to do."""

    level: str
    subject: str
    text: str


def doctor(session: Session) -> None:
    """Look at every part and say what is not well, and what to do."""
    findings = list(_examine(session))
    if session.as_json:
        session.show_json([{"level": each.level, "subject": each.subject, "text": each.text} for each in findings])
    else:
        levels = {level: session.word(f"screen.doctor.{level}") for level in (OK, WARN, FAIL)}
        level_width = max(len(text) for text in levels.values()) + 2
        width = max(13, *(len(each.subject) + 2 for each in findings))
        for each in findings:
            session.say(f"{levels[each.level]:<{level_width}}{each.subject:<{width}}{each.text}")
    if any(each.level == FAIL for each in findings):
        raise StopError(1)


def _examine(session: Session) -> Iterator[Finding]:
    word = session.word
    try:
        check_environment(os.environ)
        settings = session.settings
    except SettingsError as problem:
        yield Finding(FAIL, word("screen.doctor.settings"), str(problem))
        return
    client = connect(settings, session.actor, patient=False)
    health = {service: _health(client, service, "") for service in SERVICES}
    yield from _databases(session, client, health)
    away = [service for service, state in health.items() if state is None]
    yield from _schemas(session, [service for service in away if _has_database(session, service)])
    broker = list(_broker(session, settings))
    yield from broker
    for service in SERVICES:
        yield from _service(session, client, service, health[service], broker_well=broker[0].level == OK)
    yield from _site(session, settings, status_answers=health["status"] is not None)
    yield from _pages(session, settings, [service for service in SERVICES if health[service] is not None])
    client.close()


def _health(client: Client, service: str, part: str) -> int | None:
    """Ask a part's health; None when nothing of ours answers."""
    stub: Any = health_pb2_grpc.HealthStub(client.channel(service))
    try:
        return int(stub.Check(health_pb2.HealthCheckRequest(service=part), timeout=_LOOK_SECONDS).status)
    except grpc.RpcError as error:
        # A part without a name there is not one to complain of.
        unknown = error.code() is grpc.StatusCode.NOT_FOUND
        return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN if unknown else None


def _ill(client: Client, service: str, part: str) -> bool:
    """Whether a part is ill, and a moment later still: parts try again by themselves, twice a second."""
    ill = health_pb2.HealthCheckResponse.NOT_SERVING
    if _health(client, service, part) != ill:
        return False
    time.sleep(_AGAIN_SECONDS)
    return _health(client, service, part) == ill


def _databases(session: Session, client: Client, health: dict[str, int | None]) -> Iterator[Finding]:
    word, subject = session.word, session.word("screen.doctor.databases")
    # A service serves on the schema it knows and on no other, so an answer says that its schema is current.
    answering = [service for service, state in health.items() if state is not None]
    ill = [service for service in answering if _ill(client, service, "database")]
    for service in ill:
        setting = f"TIENDO_{service.upper()}_DATABASE_URL"
        yield Finding(FAIL, subject, word("screen.doctor.database_away", service=service, setting=setting))
    well = [service for service in answering if service not in ill]
    if well:
        yield Finding(OK, subject, word("screen.doctor.schema_current", services=", ".join(well)))


def _has_database(session: Session, service: str) -> bool:
    """Tell whether the database of a service is to be found from here."""
    known = f"TIENDO_{service.upper()}_DATABASE_URL" in environ_beside(session)
    return known or (session.settings.data_dir / f"{service}.db").exists()


def _schemas(session: Session, away: Sequence[str]) -> Iterator[Finding]:
    """Say whether their databases are why these services do not answer: each looks at its own."""
    word, subject = session.word, session.word("screen.doctor.databases")
    for service, done in zip(away, run_all(away, "schema", environ=environ_beside(session)), strict=True):
        if done.returncode:
            yield Finding(FAIL, subject, done.stderr.strip().rpartition("\n")[2])
            continue
        seen = json.loads(done.stdout)
        values = {"service": service, **{name: seen[name] for name in ("database", "found", "wanted")}}
        setting = f"TIENDO_{service.upper()}_DATABASE_URL"
        if not seen["answers"]:
            yield Finding(FAIL, subject, word("screen.doctor.database_away", service=service, setting=setting))
        elif seen["newer"]:
            yield Finding(FAIL, subject, word("screen.doctor.schema_unknown", **values))
        elif seen["found"] != seen["wanted"]:
            yield Finding(FAIL, subject, word("screen.doctor.schema_old", **values))


def _broker(session: Session, settings: Settings) -> Iterator[Finding]:
    word, subject = session.word, session.word("screen.doctor.broker")
    url = environ_beside(session).get("TIENDO_NATS_URL", settings.nats_url)
    # Where nobody listens there is nothing to wait for.
    there = _anybody_listens(url)
    report = streams.look(url, make=False, seconds=_LOOK_SECONDS) if there else streams.BrokerReport()
    if not report.version:
        yield Finding(FAIL, subject, word("screen.doctor.broker_away", address=streams.shown(url)))
        return
    if tuple(int(part) for part in report.version.split(".")[:2]) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        yield Finding(FAIL, subject, word("screen.doctor.broker_old", version=report.version, wanted=wanted))
        return
    if not report.jetstream:
        yield Finding(FAIL, subject, word("screen.doctor.no_jetstream"))
        return
    missing = [stream for stream, state in report.streams.items() if state == "missing"]
    for stream in missing:
        yield Finding(FAIL, subject, word("screen.doctor.stream_missing", stream=stream))
    if not missing:
        text = word("screen.doctor.broker_ok", version=report.version, streams=len(report.streams))
        yield Finding(OK, subject, text)


def _service(
    session: Session, client: Client, service: str, state: int | None, *, broker_well: bool
) -> Iterator[Finding]:
    word, address = session.word, client.places.of(service)
    if state is None:
        host, _, port = address.rpartition(":")
        if _listens(host, port):
            subject = word("screen.doctor.port", port=port)
            setting = f"TIENDO_{service.upper()}_PORT"
            yield Finding(FAIL, subject, word("screen.doctor.port_taken", setting=setting))
        else:
            yield Finding(FAIL, service, word("screen.doctor.part_away", address=address, service=service))
        return
    findings: list[Finding] = []
    # While the broker is away every relay waits for it: one line about the broker says it all.
    if broker_well and _ill(client, service, "relay"):
        findings.append(Finding(FAIL, service, word("screen.doctor.relay_stopped", service=service)))
    if service == "integration" and _ill(client, service, "feed.catalog"):
        command_line = "tiendo integration attach"
        text = word("screen.doctor.feed_stopped", source="catalog", command=command_line)
        findings.append(Finding(FAIL, service, text))
    if service == "status":
        findings.extend(_freshness(session, client))
    yield from findings or [Finding(OK, service, word("screen.doctor.part_ok"))]


def _site(session: Session, settings: Settings, *, status_answers: bool) -> Iterator[Finding]:
    """Say whether the pages for people are there; another program on their port keeps status from starting."""
    word, port = session.word, StatusPort().web_port
    if not port:
        return
    host = settings.address_of("status").rpartition(":")[0]
    listens, address = _listens(host, str(port)), f"http://{host}:{port}"
    if status_answers:
        key = "screen.doctor.site_ok" if listens else "screen.doctor.site_away"
        text = word(key, address=address, **({} if listens else {"setting": WEB_SETTING}))
        yield Finding(OK if listens else WARN, word("screen.doctor.site"), text)
    elif listens:
        yield Finding(
            FAIL, word("screen.doctor.port", port=port), word("screen.doctor.port_taken", setting=WEB_SETTING)
        )


def _pages(session: Session, settings: Settings, answering: list[str]) -> Iterator[Finding]:
    word, subject = session.word, session.word("screen.doctor.metrics")
    known = pages.known(settings.data_dir, calling_host(settings.host))
    well: list[str] = []
    for service, address in known:
        if service not in answering:
            continue
        if pages.answers(address):
            well.append(f"{service} http://{address}/metrics")
        else:
            setting = pages.setting(service)
            text = word("screen.doctor.metrics_away", service=service, address=address, setting=setting)
            yield Finding(WARN, subject, text)
    if well:
        yield Finding(OK, subject, ", ".join(well))


def _anybody_listens(nats_url: str) -> bool:
    try:
        return any(_listens(host, str(port)) for host, port in nats_servers(nats_url))
    except SettingsError:
        return False


def _listens(host: str, port: str) -> bool:
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _freshness(session: Session, client: Client) -> Iterator[Finding]:
    try:
        reply = client.status.GetFreshness(status_service_pb2.GetFreshnessRequest(), timeout=_LOOK_SECONDS)
    except TiendoError as failure:
        yield Finding(FAIL, "status", str(failure))
        return
    for source in reply.sources:
        yield from source_findings(source, session.lang)


def source_findings(source: freshness_pb2.SourceFreshness, lang: Lang) -> Iterator[Finding]:
    """Say what is not well with following one source."""
    word = Session(lang, False, "").word
    rebuild = "tiendo status rebuild"
    if source.state == freshness_pb2.FOLLOW_STATE_HALTED:
        yield Finding(FAIL, "status", word("screen.doctor.journal_back", source=source.source, command=rebuild))
    elif source.state == freshness_pb2.FOLLOW_STATE_UNREACHABLE:
        yield Finding(FAIL, "status", word("screen.doctor.source_away", source=source.source))
    elif source.lag_rows:
        seconds = source.lag.ToTimedelta().total_seconds()
        values = {"rows": number(source.lag_rows, lang), "source": source.source, "seconds": int(seconds)}
        if seconds >= _STUCK_SECONDS:
            yield Finding(FAIL, "status", word("screen.doctor.lag_stuck", **values, service="status"))
        else:
            yield Finding(WARN, "status", word("screen.doctor.lag", **values))
    if source.dead_letters:
        values = {"count": number(source.dead_letters, lang), "source": source.source, "command": rebuild}
        yield Finding(FAIL, "status", word("screen.doctor.dead_letters", **values))


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor")(doctor)
