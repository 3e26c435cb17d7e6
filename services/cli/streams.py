"""The NATS streams, as the commands make and look at them.

Invariant: only commands make streams; the services wait for them.
"""

import asyncio
import logging
import re
from dataclasses import dataclass, field

import nats.errors
import structlog
from nats.js.errors import APIError, NotFoundError

from services.common.broker import Broker, BrokerAwayError, ensure_stream, stream_specs


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


def look(nats_url: str, *, make: bool, seconds: float = 3.0) -> BrokerReport:
    """Look at the broker and its streams; `make`: make the missing ones and mend the others. Never raises for a broker."""
    # What the client logs for a service's operator is told on the screen here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return asyncio.run(_look(nats_url, make=make, seconds=seconds))


async def _look(nats_url: str, *, make: bool, seconds: float) -> BrokerReport:
    report = BrokerReport()
    # Any version is let in here, so that an old one can be named.
    servers = nats_url.split(",")
    broker = Broker(servers, name="tiendo-cli", minimum_version=(0, 0), retry_seconds=(0.05, 0.2))
    broker.start()
    try:
        async with asyncio.timeout(seconds):
            await broker.wait_connected()
        report.version = broker.server_version
        async with asyncio.timeout(seconds):
            await _streams(broker, report, make=make, copies=3 if len(servers) >= 3 else 1)
    except TimeoutError:
        report.reason = broker.reason
    except (BrokerAwayError, nats.errors.Error, APIError, OSError) as problem:
        report.reason = str(problem) or type(problem).__name__
    finally:
        await broker.close()
    return report


async def _streams(broker: Broker, report: BrokerReport, *, make: bool, copies: int) -> None:
    jetstream = broker.client().jetstream()
    for spec in stream_specs(num_replicas=copies):
        if make:
            report.streams[spec.name] = await ensure_stream(jetstream, spec)
        else:
            try:
                await jetstream.stream_info(spec.name)
            except NotFoundError:
                report.streams[spec.name] = "missing"
            else:
                report.streams[spec.name] = "present"
        report.jetstream = True
