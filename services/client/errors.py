"""How a call ends when it gets no reply.

Invariant: every failed call is one of these, with all that the service said about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"
_NO_ANSWER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class TiendoError(Exception):
    """A call that got no reply."""


class UnreachableError(TiendoError):
    """Nobody answered at `address`; `late` when a connection stood and no answer came before the deadline."""

    def __init__(self, address: str, *, late: bool = False) -> None:
        super().__init__(f"{address} does not answer")
        self.address, self.late = address, late


@dataclass(eq=False)
class RefusedError(TiendoError):
    """The service said no.

    `reason` is a value of tiendo.common.v1.ErrorReason without its prefix, empty where the connection and not the service
    said it; `message` names field and fix by itself; `code` is the gRPC status; `field` is to blame, and `metadata` is what
    belongs to the reason. `retry_seconds` is set where the same call may succeed later.
    """

    reason: str
    message: str
    code: str
    field: str = ""
    metadata: Mapping[str, str] = default(default_factory=dict)
    retry_seconds: float | None = None

    def __str__(self) -> str:
        return self.message


class StartAfreshError(RefusedError):
    """The token of a watch or list lies before the history that is kept, or in a journal that was replaced."""

    what_to_do = "call status.GetCompletion, take its figures as the present state, and watch(after=reply.watch_token)"

    def __str__(self) -> str:
        return f"{self.message}. To start afresh: {self.what_to_do}"


def read_error(error: grpc.RpcError, address: str) -> TiendoError:
    """Read what a failed call of either kind, blocking or asyncio, came back with."""
    call: Any = error
    code: grpc.StatusCode = call.code()
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS:
            return _refused(status_pb2.Status.FromString(value), code.name)
    if code in _NO_ANSWER:
        return UnreachableError(address, late=code is grpc.StatusCode.DEADLINE_EXCEEDED)
    return RefusedError("", call.details() or code.name, code.name)


def _refused(status: status_pb2.Status, code: str) -> RefusedError:
    kind = StartAfreshError if code == "OUT_OF_RANGE" else RefusedError
    refused = kind("", status.message, code)
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            refused.reason, refused.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            refused.field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            refused.retry_seconds = retry.retry_delay.ToMilliseconds() / 1000
    return refused
