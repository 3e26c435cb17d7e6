"""The NATS streams, as the commands make and look at them.

Invariant: only commands make streams; the services wait for them.
"""

import asyncio
import re
from dataclasses import dataclass, field

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from services.common.broker import Broker, BrokerAwayError
from services.common.stream_specs import StreamSpec, ensure_stream, stream_specs

_MAKE_SECONDS = 15.0
_RETRY_SECONDS = 0.2


@dataclass
class BrokerReport:
    """What was found: the server's version ("" while away), and each stream with what was done to it or "missing"."""

    version: str = ""
    reason: str = ""
    jetstream: bool = False
    streams: dict[str, str] = field(default_factory=dict)


def shown(nats_url: str) -> str:
    """The addresses as they may be shown: without names and passwords."""
    return re.sub(r"://[^@,/]*@", "://", nats_url)


def names() -> list[str]:
    """Name the streams."""
    return [spec.name for spec in stream_specs()]


def look(nats_url: str, *, make: bool, seconds: float = 3.0, refill: str = "") -> BrokerReport:
    """Look at the broker and its streams; `make`: make the missing ones and mend the others. Never raises for a broker.

    `refill` names a stream to empty; whoever publishes to it then begins with the first row of its journal.
    """
    return asyncio.run(_look(nats_url, make=make, seconds=seconds, refill=refill))


async def _look(nats_url: str, *, make: bool, seconds: float, refill: str) -> BrokerReport:
    report = BrokerReport()
    # Any version is let in here, so that an old one can be named.
    servers = nats_url.split(",")
    broker = Broker(servers, name="tiendo-cli", minimum_version=(0, 0), retry_seconds=(0.05, 0.2))
    broker.start()
    try:
        async with asyncio.timeout(seconds):
            await broker.wait_connected()
        report.version = broker.server_version
        async with asyncio.timeout(_MAKE_SECONDS if make else seconds):
            await _streams(broker, report, make=make, copies=3 if len(servers) >= 3 else 1)
            if refill:
                # Not deleted: consumers of others, and the number of copies, stay.
                await broker.client().jetstream().purge_stream(refill)
                report.streams[refill] = "emptied"
    except TimeoutError:
        report.reason = report.reason or broker.reason or "no answer in time"
    except (BrokerAwayError, nats.errors.Error, APIError, OSError) as problem:
        report.reason = str(problem) or type(problem).__name__
    finally:
        await broker.close()
    return report


async def _streams(broker: Broker, report: BrokerReport, *, make: bool, copies: int) -> None:
    jetstream = broker.client().jetstream()
    for spec in stream_specs(num_replicas=copies):
        if make:
            await _ensure(jetstream, spec, report)
        else:
            try:
                await jetstream.stream_info(spec.name)
            except NotFoundError:
                report.streams[spec.name] = "missing"
            else:
                report.streams[spec.name] = "present"
        report.jetstream = True


async def _ensure(jetstream: JetStreamContext, spec: StreamSpec, report: BrokerReport) -> None:
    """Make or mend a stream; a cluster that has just begun has no leader yet or lacks a server, and is asked again."""
    while True:
        try:
            report.streams[spec.name] = await ensure_stream(jetstream, spec)
        except (APIError, nats.errors.TimeoutError) as problem:
            if spec.num_replicas == 1:
                raise
            report.reason = str(problem) or type(problem).__name__
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            report.reason = ""
            return
