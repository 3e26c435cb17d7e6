"""Settings of the status service: `TIENDO_STATUS_…`.

Invariant: every value is checked before anything starts.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import SettingsConfigDict

from services.common.config import ServiceSettings
from services.status.domain import Stage

_ALLOWED_DAYS = 60
_MOST_DAYS = 3650


class StatusSettings(ServiceSettings):
    """What is set for this service alone."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_STATUS_", frozen=True)

    port: int = Field(default=7103, ge=0, le=65535, description="Port of its gRPC endpoint.")
    web_port: Annotated[int | None, BeforeValidator(lambda given: None if given == "" else given)] = Field(
        default=7100, ge=0, le=65535, description="Port of its pages for people; 0: any free one, empty: none."
    )
    stalled_days: str = Field(
        default="",
        description="After how many days without a step a service counts as stalled, by stage, for example "
        f"SELECTED=90,BUILT=30; a stage that is not named: {_ALLOWED_DAYS}. This system's own measure, no official rule.",
    )
    calendar_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How often it looks for what the calendar alone brings: a target that passed, a service that "
        "stalled; 0: never.",
    )

    @field_validator("stalled_days")
    @classmethod
    def _check_stalled_days(cls, text: str) -> str:
        _read_days(text)
        return text

    @cached_property
    def allowed_days(self) -> Mapping[Stage, int]:
        """By stage, how many days may pass without a step."""
        return dict.fromkeys(Stage, _ALLOWED_DAYS) | _read_days(self.stalled_days)


def _read_days(text: str) -> dict[Stage, int]:
    found: dict[Stage, int] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if not (name or number):
            continue
        if name not in Stage.__members__:
            raise ValueError(f"{name!r} is no stage; write STAGE=DAYS with one of {', '.join(Stage.__members__)}")
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _MOST_DAYS):
            raise ValueError(f"{name} has no number of days; write {name}=60, from 1 to {_MOST_DAYS:,}")
        found[Stage[name]] = int(number)
    return found
