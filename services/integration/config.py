"""Settings of the integration service: `TIENDO_INTEGRATION_…`.

Invariant: every value is checked before anything starts.
"""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.config import ServiceSettings


class IntegrationSettings(ServiceSettings):
    """What is set for this service alone."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_INTEGRATION_", frozen=True)

    port: int = Field(default=7102, ge=0, le=65535, description="Port of its gRPC endpoint.")
    portal_check_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How often each portal link is asked whether the service is there, spread over this time; 0: never.",
    )
    portal_private_addresses: bool = Field(
        default=False,
        description="Let portal links lead to addresses inside a network (loopback, private, link-local) and be asked there.",
    )
