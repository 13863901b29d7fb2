"""The compose file: nothing can do more than it must, and what it names is there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest
import yaml

from deploy_files import DEPLOY, compose, image_environment
from voxgender import __version__
from voxgender.app.metrics import State
from voxgender.app.metrics_port import metrics_answered
from voxgender.app.settings import load_settings
from voxgender.cli import COMMANDS

SERVICES: dict[str, dict[str, Any]] = compose()["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_read_only_without_capabilities_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_the_loopback_address_alone(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_no_password_is_in_the_file_and_each_secret_that_is_asked_for_is_declared() -> None:
    declared = compose()["secrets"]
    assert {secret["file"].startswith("./secrets/") for secret in declared.values()} == {True}
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == set(declared)
    given = [variable for service in SERVICES.values() for variable in service.get("environment", {})]
    assert [name for name in given if "PASSWORD" in name and not name.endswith("_FILE")] == []
    assert "VOXGENDER_STORE_URL" not in given


def test_each_file_that_is_mounted_exists() -> None:
    mounts = [volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [source for source, *_ in mounts if source.startswith("./")]
    assert files
    assert [source for source in files if not (DEPLOY / source).exists()] == []
    assert {source for source, *_ in mounts if not source.startswith("./")} == set(compose()["volumes"])


def test_the_service_takes_the_settings_of_server_and_worker(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://voxgender:secret@db/voxgender"
    (tmp_path / "voxgender_store_url").write_text(url)
    for name in ("server", "worker"):
        with monkeypatch.context() as context:
            for variable, value in SERVICES[name]["environment"].items():
                context.setenv(variable, value)
            settings = load_settings(secrets_dir=tmp_path)
        assert settings.store_url == url
        assert str(settings.spool_dir) == "/var/lib/voxgender/spool"
        assert SERVICES[name]["command"][0] in COMMANDS
        assert SERVICES[name]["image"] == f"voxgender:{__version__}"


def test_server_and_worker_share_the_spool_and_the_server_leaves_media_to_the_worker() -> None:
    server, worker = SERVICES["server"], SERVICES["worker"]
    assert server["volumes"] == worker["volumes"] == ["spool:/var/lib/voxgender"]
    assert server["environment"]["VOXGENDER_EXTRACTORS"] == "0"
    assert "ports" not in worker


def test_the_published_ports_are_those_of_the_settings() -> None:
    settings = load_settings()
    inside = [int(port.rsplit(":")[-1]) for port in SERVICES["server"]["ports"]]
    assert inside == [settings.port, settings.grpc_port]


def test_prometheus_asks_the_server_and_each_worker() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    jobs = {job["job_name"]: job for job in told}
    assert set(jobs) == {"voxgender", "voxgender-worker"}
    assert {job["metrics_path"] for job in told} == {"/metrics"}
    assert jobs["voxgender"]["static_configs"] == [{"targets": [f"server:{load_settings().port}"]}]
    # One address of the name `worker` for each container of that service.
    (found,) = jobs["voxgender-worker"]["dns_sd_configs"]
    port = int(SERVICES["worker"]["environment"]["VOXGENDER_METRICS_PORT"])
    assert (found["names"], found["type"], found["port"]) == (["worker"], "A", port)
    assert set(SERVICES["worker"]["networks"]) <= set(SERVICES["prometheus"]["networks"])
    assert image_environment()["VOXGENDER_HOST"] == "0.0.0.0"


def test_a_worker_is_healthy_while_it_tells_its_metrics() -> None:
    kind, python, *command = SERVICES["worker"]["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    check = [sys.executable, *(word.replace("9100", str(port)) for word in command)]
    assert str(port) in check[-1]

    async def state() -> State:
        return State(True, "", None, None, None, None)

    async def ask() -> int:
        async with metrics_answered("127.0.0.1", port, state):
            return (await asyncio.to_thread(subprocess.run, check, check=False)).returncode

    assert asyncio.run(ask()) == 0
    assert subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode != 0


def test_grafana_asks_prometheus() -> None:
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    assert "http://prometheus:9090" in source
    path = "/etc/grafana/dashboards"
    assert path in (DEPLOY / "grafana/provisioning/dashboards/voxgender.yaml").read_text()
    assert any(path in volume for volume in SERVICES["grafana"]["volumes"])
