"""The command line's connection to the services.

Invariant: whatever a service refuses or a network loses leaves as an exit code and a sentence, never as a stack trace; a
command is sent again only under the same request id.
"""

import getpass
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.cli import figures
from services.cli.words import Lang, word, word_error
from services.common.config import Settings
from tiendo.catalog.v1 import catalog_service_pb2_grpc
from tiendo.integration.v1 import integration_service_pb2_grpc
from tiendo.status.v1 import status_service_pb2_grpc

REFUSED, WRONG_USAGE, UNREACHABLE = 1, 2, 3
_SECONDS = 10.0
_TRIES = 4
_RETRY_SECONDS = 0.2
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)

T = TypeVar("T")


class CommandError(Exception):
    """A command that did not do what was asked; `code` is the exit code, the text is for people."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Session:
    """One run of the command line."""

    lang: Lang
    json: bool
    settings: Settings
    actor: str
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)

    def word(self, key: str, **values: object) -> str:
        """Give a text of the table in the session's language."""
        return word(key, self.lang, **values)

    def channel(self, service: str) -> grpc.Channel:
        """Give the connection to a service; made on first use."""
        if service not in self._channels:
            self._channels[service] = grpc.insecure_channel(self.settings.address_of(service), options=_OPTIONS)
        return self._channels[service]

    @property
    def catalog(self) -> catalog_service_pb2_grpc.CatalogServiceStub:
        """The catalog's calls."""
        return catalog_service_pb2_grpc.CatalogServiceStub(self.channel("catalog"))

    @property
    def integration(self) -> integration_service_pb2_grpc.IntegrationServiceStub:
        """Integration's calls."""
        return integration_service_pb2_grpc.IntegrationServiceStub(self.channel("integration"))

    @property
    def status(self) -> status_service_pb2_grpc.StatusServiceStub:
        """Status's calls."""
        return status_service_pb2_grpc.StatusServiceStub(self.channel("status"))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Headers of every call: who asks, percent-encoded."""
        return (("tiendo-actor", quote(self.actor)),)

    def call(self, method: Callable[..., T], request: Any, *, seconds: float = _SECONDS) -> T:
        """Call, trying again what is UNAVAILABLE for a moment. Raises CommandError."""
        left = _TRIES
        while True:
            left -= 1
            try:
                return method(request, timeout=seconds, metadata=self.metadata)
            except grpc.RpcError as failure:
                reason, _, _ = details(failure)
                if not left or not reason or failure.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise self.explain(failure) from None
                time.sleep(_RETRY_SECONDS)

    def explain(self, failure: Any) -> CommandError:
        """Word a failed call for people."""
        code = failure.code()
        reason, metadata, named = details(failure)
        if not reason:
            if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                return CommandError(UNREACHABLE, self.word("screen.common.unreachable", address=self._addresses()))
            return CommandError(REFUSED, self.word("screen.common.refused", what=failure.details()))
        if "changed_time" in metadata:
            with suppress(ValueError):
                metadata["changed_time"] = figures.instant(datetime.fromisoformat(metadata["changed_time"]))
        try:
            text = word_error(reason, self.lang, metadata, "" if reason == "STALE_ETAG" else named)
        except KeyError:
            text = failure.details()
        unreachable = code is grpc.StatusCode.UNAVAILABLE
        return CommandError(UNREACHABLE if unreachable else REFUSED, self.word("screen.common.refused", what=text))

    def _addresses(self) -> str:
        return ", ".join(self.settings.address_of(service) for service in self._channels) or "Tiendo"


def details(failure: Any) -> tuple[str, dict[str, str], str]:
    """Give reason, metadata and field of a refusal; empty where the status has none."""
    trailing: Mapping[str, Any] = dict(failure.trailing_metadata() or ())
    content = trailing.get("grpc-status-details-bin")
    if not content:
        return "", {}, ""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    named = ""
    for detail in status_pb2.Status.FromString(content).details:
        detail.Unpack(info)
        if detail.Unpack(bad) and bad.field_violations:
            named = bad.field_violations[0].field
    return info.reason, dict(info.metadata), named


def new_request_id() -> str:
    """Give an id that no other command has."""
    return str(uuid.uuid4())


def default_actor() -> str:
    """Give the account that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
