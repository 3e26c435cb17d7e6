"""The README is true: its commands, its settings, its links."""

import re
from pathlib import Path

from pydantic_settings import BaseSettings

from services.catalog.config import CatalogSettings
from services.common import metrics as common_metrics
from services.common.config import SERVICES, Settings
from services.integration import metrics as integration_metrics
from services.integration.config import IntegrationSettings
from services.status import metrics as status_metrics
from services.status.config import StatusSettings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def settings_table() -> str:
    """The page of settings, as the classes have them."""
    lines = ["| variable | default | what it sets |", "| --- | --- | --- |"]
    classes: tuple[type[BaseSettings], ...] = (Settings, CatalogSettings, IntegrationSettings, StatusSettings)
    for settings in classes:
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            shown = f"`{field.default}`" if field.default not in ("", None) else "(empty)"
            lines.append(f"| `{prefix}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """The table of metrics, as the code has them."""
    lines = ["| metric | type | labels | of | what it says |", "| --- | --- | --- | --- | --- |"]
    for metric in (*common_metrics.METRICS, *integration_metrics.METRICS, *status_metrics.METRICS):
        kind = "gauge" if metric.kind == "updowncounter" else metric.kind
        labels = ", ".join(f"`{label}`" for label in metric.prometheus_labels)
        of = "all" if metric.services == SERVICES else ", ".join(metric.services)
        lines.append(f"| `{metric.prometheus_name}` | {kind} | {labels} | {of} | {metric.description} |")
    return "\n".join(lines)


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    """Every metric in the README exists in the code, and the reverse, with the same type, labels and words."""
    text = README.read_text()
    table = text.partition("<!-- metrics -->\n")[2].partition("\n<!-- /metrics -->")[0]

    assert table == metrics_table()


def test_the_settings_page_is_that_of_the_classes() -> None:
    """Every setting in the README exists in the code, and the reverse, with the same default and words."""
    text = README.read_text()
    page = text.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]

    assert page == settings_table()


def test_the_first_screen_has_both_commands() -> None:
    """The two commands stand on the first screen, and the Makefile has them."""
    first = README.read_text().splitlines()[:12]
    targets = (ROOT / "Makefile").read_text()

    for command in ("make up", "make test"):
        assert any(command in line for line in first)
        assert f"\n{command.removeprefix('make ')}:" in targets


def test_links_lead_somewhere() -> None:
    """Every relative link names a file that is there, every anchor a heading."""
    text = README.read_text()
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line[:1] == "#"
    }
    links = re.findall(r"\]\(([^)]+)\)", text)

    assert [link for link in links if link[0] == "#" and link[1:] not in anchors] == []
    assert [link for link in links if link[0] != "#" and "://" not in link and not (ROOT / link).exists()] == []
