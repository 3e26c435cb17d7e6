"""Alerts, dashboard and collector: valid, about metrics that exist, and each alert explained in the runbook."""

import re
import shutil
from pathlib import Path

from services.common import metrics as common_metrics
from services.integration import metrics as integration_metrics
from services.status import metrics as status_metrics
from tests.support.deployment import DEPLOY, ROOT, check, load
from tests.support.promql import ALERTS, DASHBOARD, expressions, metrics_in, panels, selectors

RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
EVERY = (*common_metrics.METRICS, *integration_metrics.METRICS, *status_metrics.METRICS)
# What every scrape adds to a metric's own labels.
ADDED = {"service_name", "job", "instance"}


def known() -> dict[str, set[str]]:
    """Every series that can be asked for, with its labels. That the services give them is shown by tests/e2e/test_metrics.py."""
    names = {
        "up": set[str](),
        "ALERTS": {"alertname", "alertstate"},
        "process_cpu_seconds_total": set[str](),
        "process_resident_memory_bytes": set[str](),
    }
    for metric in EVERY:
        labels = set(metric.prometheus_labels)
        if metric.kind == "histogram":
            names |= {f"{metric.prometheus_name}_{part}": labels | {"le"} for part in ("bucket", "count", "sum")}
        else:
            names[metric.prometheus_name] = labels
    return names


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """Both configurations pass promtool, which has no remark on the rules."""
    shutil.copytree(DEPLOY / "prometheus", tmp_path, dirs_exist_ok=True)
    # Debian builds promtool without Kubernetes, so where its targets come from is not looked at.
    kubernetes = tmp_path / "kubernetes.yaml"
    kubernetes.write_text(re.sub(r"kubernetes_sd_configs: .*", "static_configs: []", kubernetes.read_text()))
    configurations = [
        check("promtool", "check", "config", tmp_path / name) for name in ("prometheus.yaml", kubernetes.name)
    ]
    rules = check("promtool", "check", "rules", "--lint=all", "--lint-fatal", "deploy/prometheus/alerts.yaml")

    assert [each.stderr for each in configurations if each.returncode] == []
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
    """Every metric in an alert or on the dashboard is one that the code has, and each of ours is looked at somewhere."""
    read = {metric for expression in expressions() for metric in metrics_in(expression)}
    shown = {metric for metric in known() if metric.startswith(("tiendo_", "db_"))}

    assert read - set(known()) == set()
    assert shown - read == set()


def test_expressions_ask_for_labels_that_exist() -> None:
    """A selector names labels that its metric has; another would be silent for ever."""
    found = [selector for expression in expressions() for selector in selectors(expression)]

    assert len(found) > 20
    for metric, labels in found:
        assert set(labels) <= known()[metric] | ADDED, metric


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
