"""Alerts, dashboard and collector: valid, about metrics that exist, and each alert explained in the runbook."""

import json
import re
from typing import Any

from tests.support.deployment import DEPLOY, ROOT, check, load

ALERTS = [rule for group in load(DEPLOY / "prometheus" / "alerts.yaml")["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "tiendo.json").read_text())
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
ANOTHERS = {"up", "ALERTS"}  # Prometheus' own
# Written out by hand: what is renamed in the code is renamed here, in an alert and on the dashboard knowingly.
METRICS = {
    *("rpc_server_call_duration_seconds_bucket", "rpc_server_call_duration_seconds_count", "tiendo_active"),
    *(
        "tiendo_journal_head_sequence",
        "tiendo_writer_waiting_commands",
        "tiendo_broker_connected",
        "tiendo_watches_open",
    ),
    *("tiendo_relay_unpublished_rows", "tiendo_relay_published_rows_total", "tiendo_relay_state"),
    *("tiendo_relay_success_age_seconds", "tiendo_event_loop_lag_seconds", "tiendo_dead_letters"),
    *("tiendo_feed_lag_rows", "tiendo_feed_lag_seconds", "tiendo_feed_heard_age_seconds", "tiendo_feed_state"),
    *("db_client_connection_count", "db_client_connection_max"),
    *("tiendo_programme_planned_services", "tiendo_programme_completed_services"),
    *("tiendo_programme_target_left_seconds", "tiendo_programme_target_at_risk", "tiendo_portal_unreachable_services"),
    *("process_cpu_seconds_total", "process_resident_memory_bytes"),
}


def panels() -> list[dict[str, Any]]:
    """The panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def metrics_in(expression: str) -> set[str]:
    """The metrics an expression reads: the words that are neither labels, functions nor keywords."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_][a-zA-Z0-9_]+\b(?!\s*\()", bare)) - {"and", "or", "by", "on", "bool"}


def dashboard_expressions() -> list[str]:
    """Every expression of the dashboard: panels, annotations, variables."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    shown += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    variables = [each["query"]["query"] for each in DASHBOARD["templating"]["list"]]
    return shown + [re.sub(r"label_values\((\w+),.*", r"\1", query) for query in variables]


def test_prometheus_takes_its_configuration() -> None:
    """Promtool accepts the configuration and has no remark on the rules."""
    configuration = check("promtool", "check", "config", "deploy/prometheus/prometheus.yaml")
    rules = check("promtool", "check", "rules", "--lint=all", "--lint-fatal", "deploy/prometheus/alerts.yaml")

    assert configuration.returncode == 0, configuration.stderr
    assert rules.returncode == 0, rules.stderr


def test_each_alert_fires_on_its_fault_and_not_before() -> None:
    """Promtool plays the figures of each fault; every alert has its case."""
    done = check("promtool", "test", "rules", "tests/deploy/alerts.test.yaml")
    cases = load(ROOT / "tests" / "deploy" / "alerts.test.yaml")["tests"]
    fired = {case["alertname"] for test in cases for case in test.get("alert_rule_test", []) if case["exp_alerts"]}

    assert done.returncode == 0, done.stdout + done.stderr
    assert fired == {rule["alert"] for rule in ALERTS}


def test_each_alert_says_what_to_do() -> None:
    """Each names its severity and its own heading in the runbook, and the runbook explains no other."""
    headings = re.findall(r"(?m)^### (Tiendo\w+)$", RUNBOOK)

    assert headings == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["runbook"] == f"RUNBOOK.md#{rule['alert'].lower()}"


def test_expressions_read_metrics_that_exist() -> None:
    """Every metric in an alert or on the dashboard is one of ours, and each of ours is looked at by one of them."""
    read = {metric for rule in ALERTS for metric in metrics_in(rule["expr"])}
    read |= {metric for expression in dashboard_expressions() for metric in metrics_in(expression)}

    assert read - ANOTHERS == METRICS


def test_the_dashboard_is_whole() -> None:
    """Every panel has a title, words for its reader, its own id, and the data source that is provisioned."""
    source = load(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")["datasources"][0]["uid"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source}


def test_no_panel_covers_another() -> None:
    """Panels stay within the 24 columns and share no cell."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_is_found() -> None:
    """The folder that Grafana is told to read is where compose.yaml mounts the dashboard."""
    provider = load(DEPLOY / "grafana" / "provisioning" / "dashboards" / "tiendo.yaml")["providers"][0]
    mounts = load(DEPLOY / "compose.yaml")["services"]["grafana"]["volumes"]

    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_the_collector_is_wired() -> None:
    """Every part that a pipeline names is described and every part described is used; memory is limited first."""
    collector = load(DEPLOY / "otel-collector.yaml")
    pipelines = collector["service"]["pipelines"].values()

    for kind in ("receivers", "processors", "exporters"):
        assert set(collector[kind]) == {name for pipeline in pipelines for name in pipeline[kind]}
    assert {pipeline["processors"][0] for pipeline in pipelines} == {"memory_limiter"}
