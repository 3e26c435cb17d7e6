"""Settings are read from the environment, and nothing mistyped is passed over."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.catalog.config import CatalogSettings
from services.common.config import ServiceSettings, Settings, SettingsError, check_environment, explain, names
from services.common.program import read_settings
from services.status.config import StatusSettings


def refusal_of(*own: type[ServiceSettings], **environ: str) -> str:
    """What a start says of such an environment; empty when it says nothing."""
    try:
        check_environment(environ, *own)
    except SettingsError as error:
        return str(error)
    return ""


def test_an_unknown_variable_is_named_with_the_nearest() -> None:
    """TIENDO_NATS_ULR stops the start and names TIENDO_NATS_URL."""
    assert (
        refusal_of(CatalogSettings, TIENDO_NATS_ULR="x")
        == "TIENDO_NATS_ULR is not a setting of Tiendo; did you mean TIENDO_NATS_URL?"
    )
    assert "did you mean TIENDO_CATALOG_PORT?" in refusal_of(CatalogSettings, TIENDO_CATALOG_PROT="7101")


def test_an_unknown_variable_near_to_none_is_told_what_is_known() -> None:
    """Where nothing is near, the known variables are listed."""
    told = refusal_of(CatalogSettings, TIENDO_ZZZZZZZZZZZZZZZZ="1")

    assert told.startswith("TIENDO_ZZZZZZZZZZZZZZZZ is not a setting of Tiendo; known are TIENDO_")
    assert "TIENDO_CATALOG_DATABASE_URL" in told


def test_variables_of_others_are_passed_over() -> None:
    """Another service's variables, and those of other programs, are theirs."""
    environ = {"TIENDO_STATUS_PORT": "1", "TIENDO_STATUS_PROT": "1", "PATH": "/bin", "TIENDOX": "1"}

    assert refusal_of(CatalogSettings, **environ) == ""
    assert "TIENDO_STATUS_PROT" in refusal_of(StatusSettings, **environ)


def test_every_known_variable_is_taken() -> None:
    """Shared ones and its own: none of them is refused, and the addresses of others are shared."""
    known = names(Settings, CatalogSettings)

    assert refusal_of(CatalogSettings, **dict.fromkeys(known, "1")) == ""
    assert {"TIENDO_DATA_DIR", "TIENDO_STATUS_ADDRESS", "TIENDO_CATALOG_PORT"} <= known
    assert "TIENDO_STATUS_PORT" not in known


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TIENDO_CATALOG_PORT", "seven", "'seven'"),
        ("TIENDO_CATALOG_PORT", "70000", "65535"),
        ("TIENDO_TRACE_RATIO", "2", "'2'"),
        ("TIENDO_LOG_LEVEL", "loud", "'debug'"),
        ("TIENDO_DRAIN_SECONDS", "0", "greater than 0"),
        ("TIENDO_DEFAULT_PROGRAMME", "BCA 2022", "'BCA 2022'"),
        ("TIENDO_REUSE_PORT", "perhaps", "'perhaps'"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops the start is the variable's full name, the value, and what is wrong with it."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        read_settings(CatalogSettings)

    assert str(caught.value).startswith(f"{name}: ")
    assert told in str(caught.value)


def test_several_bad_values_are_all_named() -> None:
    """One start tells of every bad value of a class."""
    with pytest.raises(ValidationError) as caught:
        Settings(trace_ratio=-1, drain_seconds=-1)

    told = str(explain(caught.value, "TIENDO_"))
    assert "TIENDO_TRACE_RATIO" in told
    assert "TIENDO_DRAIN_SECONDS" in told


def test_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared and the own settings come from the environment; what is not set has its default."""
    monkeypatch.setenv("TIENDO_DATA_DIR", "data")
    monkeypatch.setenv("TIENDO_CATALOG_PORT", "7999")
    shared, own = read_settings(CatalogSettings)

    assert (own.port, shared.drain_seconds) == (7999, 8.0)
    assert own.database("catalog", shared) == "sqlite:///data/catalog.db"
    assert shared.address_of("status") == "127.0.0.1:7103"


@pytest.mark.parametrize(("text", "port"), [(None, None), ("", None), ("0", 0), ("7111", 7111)])
def test_a_page_for_prometheus_is_off_unless_set(
    text: str | None, port: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unset and empty mean no page; 0 is any free port and not none."""
    if text is not None:
        monkeypatch.setenv("TIENDO_CATALOG_METRICS_PORT", text)

    assert read_settings(CatalogSettings)[1].metrics_port == port


def test_a_database_that_is_set_is_taken() -> None:
    """A database URL of its own goes before the data folder."""
    own = CatalogSettings(database_url="postgresql://db/catalog")

    assert own.database("catalog", Settings(data_dir=Path("data"))) == "postgresql://db/catalog"


def test_settings_do_not_change() -> None:
    """Once read, a setting cannot be set."""
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.host = "0.0.0.0"
