"""Settings from `TIENDO_…` variables, shared and by service.

Invariant: a variable that no settings class knows stops the start and names the nearest known one; nothing mistyped is ignored.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SERVICES = ("catalog", "integration", "status")


class SettingsError(Exception):
    """The settings cannot be used; the message names the variable and the fix."""


class Settings(BaseSettings):
    """Settings that all parts share: `TIENDO_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_", frozen=True)

    data_dir: Path = Field(
        default=Path(".tiendo"), description="Folder of the embedded databases and the embedded broker's store."
    )
    host: str = Field(default="127.0.0.1", description="Address the services listen on.")
    nats_url: str = Field(
        default="nats://127.0.0.1:7104",
        description="The NATS servers, comma-separated. `tiendo up` runs one on this port; as in production three, "
        "on this and the next two.",
    )
    catalog_address: str = Field(default="127.0.0.1:7101", description="Where callers find the catalog service.")
    integration_address: str = Field(
        default="127.0.0.1:7102", description="Where callers find the integration service."
    )
    status_address: str = Field(default="127.0.0.1:7103", description="Where callers find the status service.")
    default_programme: str = Field(
        default="bca-2022",
        pattern=r"^[a-z0-9-]{1,63}$",
        description="The programme meant where a request names none.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="Log lines for people or for machines; auto: for people on a terminal.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    trace_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of calls traced when the caller did not decide.",
    )
    otlp_endpoint: str = Field(
        default="",
        description="Where traces and metrics go by OTLP, for example http://127.0.0.1:4317; empty: nowhere.",
    )
    drain_seconds: float = Field(
        default=8.0, gt=0, le=60, description="Time for finishing calls when stopping; the process is gone 2 s later."
    )
    watch_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="Longest life of one watch; then it ends and the client goes on from its token.",
    )
    bookmark_seconds: float = Field(
        default=15.0, gt=0, le=15, description="Longest silence of a watch before a bookmark."
    )
    compare_seconds: float = Field(
        default=5.0, gt=0, description="How often followers compare heads with their source."
    )
    follow_seconds: float = Field(
        default=1.0, gt=0, description="How often a service looks for rows another replica wrote, besides being told."
    )
    lease_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=60,
        description="Silence after which another replica publishes and follows in the place of the one that did.",
    )
    reuse_port: bool = Field(
        default=False, description="Let several replicas on one machine share a port (SO_REUSEPORT)."
    )

    def address_of(self, service: str) -> str:
        """`host:port` of a service, for its callers."""
        return str(getattr(self, f"{service}_address"))


class ServiceSettings(BaseSettings):
    """Settings of one service: `TIENDO_<SERVICE>_<NAME>`. Subclasses give the prefix and the default port."""

    model_config = SettingsConfigDict(frozen=True)

    port: int = Field(default=0, ge=0, le=65535, description="Port of its gRPC endpoint.")
    database_url: str = Field(
        default="",
        description="Its database, sqlite:///PATH or postgresql://…; empty: a file of its name in the data folder.",
    )

    metrics_port: Annotated[int | None, BeforeValidator(lambda given: None if given == "" else given)] = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of its page for Prometheus, /metrics, 7111 to 7113 by custom; 0: any free one, empty: none.",
    )

    def database(self, service: str, shared: Settings) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{shared.data_dir / service}.db"


def names(*classes: type[BaseSettings]) -> set[str]:
    """The environment variables that the classes read."""
    return {
        f"{settings.model_config.get('env_prefix', '')}{name}".upper()
        for settings in classes
        for name in settings.model_fields
    }


def check_environment(environ: Mapping[str, str], *own: type[BaseSettings]) -> None:
    """Refuse (SettingsError) a `TIENDO_…` variable that nothing reads, naming the nearest that something does.

    Variables of services other than the `own` ones are theirs to check.
    """
    known = names(Settings, *own)
    mine = {settings.model_config.get("env_prefix", "") for settings in own}
    others = tuple(prefix for service in SERVICES if (prefix := f"TIENDO_{service.upper()}_") not in mine)
    for name in sorted(environ):
        if not name.startswith("TIENDO_") or name in known or name.startswith(others):
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else f"; known are {', '.join(sorted(known))}"
        raise SettingsError(f"{name} is not a setting of Tiendo{hint}")


def explain(error: ValidationError, prefix: str) -> SettingsError:
    """Word what pydantic found, naming the variable."""
    found: Iterable[str] = (
        f"{prefix}{'_'.join(str(part) for part in problem['loc'])}".upper()
        + f": {problem['msg']}, not {problem['input']!r}"
        for problem in error.errors()
    )
    return SettingsError("; ".join(found))
