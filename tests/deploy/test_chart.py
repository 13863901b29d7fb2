"""The Helm chart: what it makes of its values, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_files import ROOT, RenderError, database_values, manifests, needs_helm, notes
from voxgender import __version__
from voxgender.app.settings import load_settings
from voxgender.app.work_process import SPARE_S
from voxgender.app.worker import DRAIN_S

pytestmark = needs_helm

DATABASE = database_values()
SETS: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "database": DATABASE,
    "licence": {"licence": {"existingSecret": "l"}},
}


def pods(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of all pods, the test's among them."""
    things = manifests(values)
    templates = [thing["spec"]["template"]["spec"] for thing in things if "template" in thing.get("spec", {})]
    return templates + [thing["spec"] for thing in things if thing["kind"] == "Pod"]


def the(kind: str, values: dict[str, Any], name: str = "") -> dict[str, Any]:
    (thing,) = [thing for thing in manifests(values) if thing["kind"] == kind and name in thing["metadata"]["name"]]
    return thing


def environment(workload: dict[str, Any]) -> dict[str, str]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_no_pod_can_do_more_than_it_must(values: dict[str, Any]) -> None:
    for pod in pods(values):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_no_pod_is_told_of_services_by_variables_which_would_be_settings(values: dict[str, Any]) -> None:
    assert {pod["enableServiceLinks"] for pod in pods(values)} == {False}


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_the_service_takes_the_settings_that_a_container_is_given(
    values: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "voxgender_store_url").write_text("postgresql://voxgender:secret@db/voxgender")
    for workload in manifests(values):
        if "template" in workload.get("spec", {}):
            given = environment(workload)
            if "VOXGENDER_SECRETS_DIR" in given:
                given["VOXGENDER_SECRETS_DIR"] = str(tmp_path)
            with monkeypatch.context() as context:
                for name, value in given.items():
                    context.setenv(name, value)
                settings = load_settings()
            assert settings.store_url.startswith(
                "postgresql://" if "store" in values else "sqlite:////var/lib/voxgender/"
            )


def test_with_sqlite_one_pod_serves_and_extracts_and_keeps_its_volume_for_itself() -> None:
    server = the("StatefulSet", {})
    assert server["spec"]["replicas"] == 1
    assert int(environment(server)["VOXGENDER_EXTRACTORS"]) >= 1
    assert the("PersistentVolumeClaim", {})["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert [thing for thing in manifests({}) if thing["kind"] in ("Deployment", "PodDisruptionBudget")] == []


def test_with_a_database_servers_and_workers_share_a_folder() -> None:
    for name in ("-server", "-worker"):
        workload = the("Deployment", DATABASE, name)
        assert environment(workload)["VOXGENDER_SPOOL_DIR"] == "/var/lib/voxgender/spool"
        (volume,) = [v for v in workload["spec"]["template"]["spec"]["volumes"] if v["name"] == "data"]
        assert volume["persistentVolumeClaim"] == {"claimName": "demo-voxgender"}
    assert the("PersistentVolumeClaim", DATABASE)["spec"]["accessModes"] == ["ReadWriteMany"]
    assert environment(the("Deployment", DATABASE, "-server"))["VOXGENDER_EXTRACTORS"] == "0"


@pytest.mark.parametrize("server", [{"replicas": 2}, {"autoscaling": {"enabled": True}}])
def test_several_servers_without_a_database_are_refused_with_the_remedy(server: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match=r"several servers need a database: name its Secret by store\.existingSecret"):
        manifests({"server": server})


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2},
        {"server": {"replicas": "two"}},
        {"settings": {"STORE_URL": "sqlite:///x"}},
        {"settings": {"METRICS_PORT": 9200}},
        {"settings": {"DRAIN_S": 0}},
        {"settings": {"rate_limit": "1 per second"}},
        {"image": {"digest": "latest"}},
    ],
    ids=str,
)
def test_values_that_the_chart_does_not_know_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="schema"):
        manifests(values)


def test_a_setting_stays_the_text_that_it_was() -> None:
    server = the(
        "StatefulSet", {"settings": {"MAX_BODY_BYTES": 134217728, "RATE_LIMIT": "1 per 5 second", "GRPC": False}}
    )
    given = environment(server)
    assert given["VOXGENDER_RATE_LIMIT"] == "1 per 5 second"
    assert given["VOXGENDER_GRPC"] == "false"
    assert int(given["VOXGENDER_MAX_BODY_BYTES"]) == 134217728


def test_each_selector_finds_the_pods_that_it_is_for_and_no_others() -> None:
    things = manifests({**DATABASE, "serviceMonitor": {"enabled": True}})
    labels = {
        thing["metadata"]["name"]: thing["spec"]["template"]["metadata"]["labels"]
        for thing in things
        if thing["kind"] == "Deployment"
    }
    labels["test"] = the("Pod", DATABASE)["metadata"]["labels"]

    def found(selector: dict[str, str]) -> set[str]:
        return {name for name, told in labels.items() if selector.items() <= told.items()}

    assert found(the("Service", DATABASE)["spec"]["selector"]) == {"demo-voxgender-server"}
    for thing in things:
        name = thing["metadata"]["name"]
        if thing["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert found(thing["spec"]["selector"]["matchLabels"]) == {name}
        if thing["kind"] == "NetworkPolicy":
            assert found(thing["spec"]["podSelector"]["matchLabels"]) == {name}
        if thing["kind"] == "PodMonitor":
            assert found(thing["spec"]["selector"]["matchLabels"]) == {name} == {"demo-voxgender-worker"}
        if thing["kind"] == "ServiceMonitor":
            assert (
                thing["spec"]["selector"]["matchLabels"].items()
                <= the("Service", DATABASE)["metadata"]["labels"].items()
            )


def test_ports_are_those_of_the_settings_by_name_and_number() -> None:
    settings = load_settings()
    server = the("StatefulSet", {})
    (container,) = server["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings.port, "grpc": settings.grpc_port}
    assert ports == {
        "http": int(environment(server)["VOXGENDER_PORT"]),
        "grpc": int(environment(server)["VOXGENDER_GRPC_PORT"]),
    }
    assert {port["targetPort"] for port in the("Service", {})["spec"]["ports"]} == set(ports)


def test_a_pod_has_the_time_that_a_service_takes_to_end() -> None:
    for workload in (the("StatefulSet", {}), the("Deployment", DATABASE, "-worker")):
        pod = workload["spec"]["template"]["spec"]
        drain_s = float(environment(workload).get("VOXGENDER_DRAIN_S", 0))
        assert pod["terminationGracePeriodSeconds"] > drain_s + max(15, DRAIN_S + SPARE_S)


def test_a_server_that_is_to_end_answers_until_others_have_learnt_to_send_elsewhere() -> None:
    server = the("StatefulSet", {})
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert float(environment(server)["VOXGENDER_DRAIN_S"]) >= container["readinessProbe"]["periodSeconds"]
    assert "lifecycle" not in container


def test_a_probe_sees_all_processes_of_a_server_that_has_the_charts_own_values() -> None:
    for server in (the("StatefulSet", {}), the("Deployment", DATABASE, "-server")):
        assert environment(server)["VOXGENDER_WORKERS"] == "1"


def test_what_a_worker_counts_is_told_on_a_port_that_prometheus_and_a_probe_ask() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    values = {**DATABASE, "serviceMonitor": {"enabled": True}, "networkPolicy": {"from": peers}}
    worker = the("Deployment", values, "-worker")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == int(environment(worker)["VOXGENDER_METRICS_PORT"])
    assert environment(worker)["VOXGENDER_HOST"] == "0.0.0.0"
    assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": port["name"]}
    (endpoint,) = the("PodMonitor", values)["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    policy = the("NetworkPolicy", values, "-worker")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": port["name"]}], "from": peers}]


def test_a_monitor_is_made_for_what_there_is_where_it_is_asked_for() -> None:
    def monitors(values: dict[str, Any]) -> set[str]:
        return {thing["kind"] for thing in manifests(values)} & {"ServiceMonitor", "PodMonitor"}

    asked = {"serviceMonitor": {"enabled": True}}
    assert monitors(DATABASE) == set()
    assert monitors(asked) == monitors({**DATABASE, **asked, "worker": {"enabled": False}}) == {"ServiceMonitor"}
    assert monitors({**DATABASE, **asked}) == {"ServiceMonitor", "PodMonitor"}


def test_without_a_database_a_pod_can_reach_nobody() -> None:
    policy = the("NetworkPolicy", {})["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []


def test_the_version_is_that_of_the_package() -> None:
    server = the("StatefulSet", {})
    assert server["metadata"]["labels"]["helm.sh/chart"] == f"voxgender-{__version__}"
    assert server["spec"]["template"]["spec"]["containers"][0]["image"] == f"voxgender:{__version__}"


def test_an_ingress_without_tls_is_pointed_out() -> None:
    assert "keys and voices go in the clear" in notes({"ingress": {"enabled": True}})
    assert "in the clear" not in notes({"ingress": {"enabled": True, "tlsSecret": "tls"}})


def test_the_chart_is_in_the_source_archive() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert '"/deploy"' in pyproject
