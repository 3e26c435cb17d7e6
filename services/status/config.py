"""Settings of the status service: `TIENDO_STATUS_…`.

Invariant: every value is checked before anything starts.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from services.common.config import ServiceSettings


class StatusSettings(ServiceSettings):
    """What is set for this service alone."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_STATUS_", frozen=True)

    port: int = Field(default=7103, ge=0, le=65535, description="Port of its gRPC endpoint.")
    web_port: Annotated[int | None, BeforeValidator(lambda given: None if given == "" else given)] = Field(
        default=7100, ge=0, le=65535, description="Port of its pages for people; 0: any free one, empty: none."
    )
