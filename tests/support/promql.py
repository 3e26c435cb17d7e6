"""The expressions of the alerts and of the dashboard, taken apart as far as the tests need."""

import json
import re
from typing import Any

from tests.support.deployment import DEPLOY, load

ALERTS: list[dict[str, Any]] = [
    rule for group in load(DEPLOY / "prometheus" / "alerts.yaml")["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "tiendo.json").read_text())
PROMETHEUS_OWN = {"up", "ALERTS"}


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every expression: of alerts, panels, annotations, variables."""
    found = [rule["expr"] for rule in ALERTS]
    found += [target["expr"] for panel in panels() for target in panel["targets"]]
    found += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    variables = [each["query"]["query"] for each in DASHBOARD["templating"]["list"]]
    return found + [re.sub(r"label_values\((\w+),.*", r"\1", query) for query in variables]


def metrics_in(expression: str) -> set[str]:
    """The metrics an expression reads: the words that are neither labels, functions nor keywords."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_][a-zA-Z0-9_]+\b(?!\s*\()", bare)) - {"and", "or", "unless", "bool"}


def selectors(expression: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Each metric that is selected by labels, with the values that each label is compared with."""
    return [
        (metric, {label: values.split("|") for label, values in re.findall(r'(\w+)\s*[=!]~?\s*"([^"]*)"', inner)})
        for metric, inner in re.findall(r"(\w+)\{([^}]*)\}", expression)
    ]
