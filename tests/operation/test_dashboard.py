"""The dashboard and the alerts ask for metrics that exist, in queries that Prometheus's grammar takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from metrics_page import samples_of
from operation.workload import Used
from serving import PATH, running_server, voiceprint_text

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "voxgender.json").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def of_dashboard() -> Iterator[str]:
    """Every query of the dashboard, with values for what Grafana puts in."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


QUERIES = [*of_dashboard(), *(rule["expr"] for rule in ALERTS)]


@pytest.fixture(scope="module")
def known(used: Used, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every metric that a server tells once everything has happened to it."""
    with running_server(tmp_path_factory.mktemp("limited"), rate_limit="1 per hour") as client:
        for _ in range(2):
            client.post(PATH, json={"voiceprints": [voiceprint_text()]})
        told = {**samples_of(client), **samples_of(used.server.client)}
    labels: dict[str, set[str]] = {}
    for name, of_sample in told:
        labels.setdefault(name, set()).update(dict(of_sample))
    return labels


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_one_of_prometheus(query: str) -> None:
    promql_parser.parse(query)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_metrics_and_labels_that_exist(query: str, known: dict[str, set[str]]) -> None:
    selectors = re.findall(r"\b(voxgender_\w+)(?:\{([^}]*)\})?", query)
    assert selectors
    for name, matchers in selectors:
        assert name in known
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked - {"instance", "job"} <= known[name]
    for grouping in re.findall(r"by \(([^)]*)\)", query):
        asked = {label.strip() for label in grouping.split(",")} - {"instance"}
        assert asked <= set().union(*(known[name] for name, _ in selectors))


def test_every_metric_is_on_the_dashboard(known: dict[str, set[str]]) -> None:
    shown = set(re.findall(r"\bvoxgender_\w+", " ".join(QUERIES)))
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in known} == stems


def test_the_data_source_is_a_variable_of_every_panel() -> None:
    (source,) = (one for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource")
    assert source["query"] == "prometheus"
    assert {panel["datasource"]["uid"] for panel in PANELS} == {f"${{{source['name']}}}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_panel_lies_on_another_or_beside_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_each_alert_says_what_is_wrong_and_how_grave_that_is() -> None:
    for rule in ALERTS:
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("critical", "warning")
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
