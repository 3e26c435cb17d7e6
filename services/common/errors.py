"""The kinds of refusal: why a call was turned down, in words a caller can act on.

Invariant: a reason has exactly one kind, so the same fault always leaves with the same status code.
"""

import copyreg
from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any


class Kind(Enum):
    """The class of a refusal; values are the gRPC status code names."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNAVAILABLE = "UNAVAILABLE"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    INTERNAL = "INTERNAL"


class Reason(StrEnum):
    """Why a call was refused: the values of tiendo.common.v1.ErrorReason, as ErrorInfo carries them."""

    MISSING_VALUE = "MISSING_VALUE"
    INVALID_VALUE = "INVALID_VALUE"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    INVALID_CHARACTER = "INVALID_CHARACTER"
    INVALID_NAME = "INVALID_NAME"
    INVALID_DATE = "INVALID_DATE"
    INVALID_TIME = "INVALID_TIME"
    DATE_IN_FUTURE = "DATE_IN_FUTURE"
    UNKNOWN_VALUE = "UNKNOWN_VALUE"
    INVALID_PAGE_SIZE = "INVALID_PAGE_SIZE"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 (a reason, no secret)
    INVALID_FILTER = "INVALID_FILTER"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    INVALID_MASK = "INVALID_MASK"
    INVALID_REQUEST_ID = "INVALID_REQUEST_ID"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105
    EMPTY_REASON = "EMPTY_REASON"
    EMPTY_EVIDENCE = "EMPTY_EVIDENCE"
    TOO_MANY = "TOO_MANY"
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"

    FILE_UNREADABLE = "FILE_UNREADABLE"
    HEADER_NOT_FOUND = "HEADER_NOT_FOUND"
    NUMBER_AS_CODE = "NUMBER_AS_CODE"
    MERGED_CODE = "MERGED_CODE"
    DUPLICATE_ROW = "DUPLICATE_ROW"
    NOT_CONFIRMED = "NOT_CONFIRMED"
    AMBIGUOUS_ROW = "AMBIGUOUS_ROW"

    PROGRAMME_NOT_FOUND = "PROGRAMME_NOT_FOUND"
    SERVICE_NOT_FOUND = "SERVICE_NOT_FOUND"
    INTEGRATION_NOT_FOUND = "INTEGRATION_NOT_FOUND"
    TRANSITION_NOT_FOUND = "TRANSITION_NOT_FOUND"

    ALREADY_EXISTS = "ALREADY_EXISTS"

    STALE_ETAG = "STALE_ETAG"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    NOT_ACTIVE = "NOT_ACTIVE"
    CHECK_NOT_PASSED = "CHECK_NOT_PASSED"
    DATE_GOES_BACK = "DATE_GOES_BACK"
    CORRECTION_BREAKS_HISTORY = "CORRECTION_BREAKS_HISTORY"
    NOT_CORRECTABLE = "NOT_CORRECTABLE"
    PLAN_CONFLICT = "PLAN_CONFLICT"
    ALREADY_RETIRED = "ALREADY_RETIRED"
    EPOCH_CHANGED = "EPOCH_CHANGED"
    NAME_REQUIRED = "NAME_REQUIRED"
    PORTAL_LINK_MISSING = "PORTAL_LINK_MISSING"

    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105

    NOT_CAUGHT_UP = "NOT_CAUGHT_UP"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    PEER_UNAVAILABLE = "PEER_UNAVAILABLE"
    OVERLOADED = "OVERLOADED"

    INTERNAL = "INTERNAL"


_REASONS: Mapping[Kind, tuple[Reason, ...]] = {
    Kind.INVALID_ARGUMENT: (
        Reason.MISSING_VALUE,
        Reason.INVALID_VALUE,
        Reason.TEXT_TOO_LONG,
        Reason.INVALID_CHARACTER,
        Reason.INVALID_NAME,
        Reason.INVALID_DATE,
        Reason.INVALID_TIME,
        Reason.DATE_IN_FUTURE,
        Reason.UNKNOWN_VALUE,
        Reason.INVALID_PAGE_SIZE,
        Reason.INVALID_PAGE_TOKEN,
        Reason.INVALID_FILTER,
        Reason.UNKNOWN_FIELD,
        Reason.INVALID_MASK,
        Reason.INVALID_REQUEST_ID,
        Reason.INVALID_TOKEN,
        Reason.EMPTY_REASON,
        Reason.EMPTY_EVIDENCE,
        Reason.TOO_MANY,
        Reason.EVENT_TOO_LARGE,
        Reason.FILE_UNREADABLE,
        Reason.HEADER_NOT_FOUND,
        Reason.NUMBER_AS_CODE,
        Reason.MERGED_CODE,
        Reason.DUPLICATE_ROW,
    ),
    Kind.NOT_FOUND: (
        Reason.PROGRAMME_NOT_FOUND,
        Reason.SERVICE_NOT_FOUND,
        Reason.INTEGRATION_NOT_FOUND,
        Reason.TRANSITION_NOT_FOUND,
    ),
    Kind.ALREADY_EXISTS: (Reason.ALREADY_EXISTS,),
    Kind.ABORTED: (Reason.STALE_ETAG,),
    Kind.FAILED_PRECONDITION: (
        Reason.REQUEST_ID_REUSED,
        Reason.ILLEGAL_TRANSITION,
        Reason.NOT_ACTIVE,
        Reason.CHECK_NOT_PASSED,
        Reason.DATE_GOES_BACK,
        Reason.CORRECTION_BREAKS_HISTORY,
        Reason.NOT_CORRECTABLE,
        Reason.PLAN_CONFLICT,
        Reason.ALREADY_RETIRED,
        Reason.EPOCH_CHANGED,
        Reason.NAME_REQUIRED,
        Reason.NOT_CONFIRMED,
        Reason.AMBIGUOUS_ROW,
        Reason.PORTAL_LINK_MISSING,
    ),
    Kind.OUT_OF_RANGE: (Reason.TOKEN_EXPIRED,),
    Kind.UNAVAILABLE: (
        Reason.NOT_CAUGHT_UP,
        Reason.SHUTTING_DOWN,
        Reason.DATABASE_UNAVAILABLE,
        Reason.PEER_UNAVAILABLE,
    ),
    Kind.RESOURCE_EXHAUSTED: (Reason.REQUEST_TOO_LARGE, Reason.OVERLOADED),
    Kind.INTERNAL: (Reason.INTERNAL,),
}

KIND: Mapping[Reason, Kind] = MappingProxyType(
    {reason: kind for kind, reasons in _REASONS.items() for reason in reasons}
)
"""The one kind of each reason."""


class Refusal(Exception):  # noqa: N818 (it is an answer, not an error of ours)
    """A call turned down for a cause the caller can see and mend; raised before anything is written.

    `message` names the field and the fix by itself, for many tools show nothing else. `fields` are request field
    paths, `metadata` what ErrorReason documents for the reason, `retry_seconds` set where a retry helps.
    """

    def __init__(
        self,
        reason: Reason,
        text: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_seconds: float | None = None,
    ) -> None:
        self.reason = reason
        self.kind = KIND[reason]
        self.message = f"{field}: {text}" if field else text
        self.fields: tuple[str, ...] = (field,) if field else ()
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_seconds = retry_seconds
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy all that is told, and not the call that told it."""
        return copyreg.__newobj__, (type(self), self.message), self.__dict__  # type: ignore[attr-defined]
