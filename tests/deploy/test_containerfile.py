"""The Containerfile agrees with the package, and its steps do what they say where no engine runs them."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy_files import ROOT, arguments, build_argument, image_environment, instructions
from serving import PATH, ServerProcess, running_server, voiceprint_text
from voxgender import __version__
from voxgender.app.settings import load_settings
from voxgender.cli import COMMANDS

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = "/var/lib/voxgender"

# Everything is read-only but one folder; no capability is left but to read what root's own folders hold, because the
# interpreter that runs the tests may lie there.
_READ_ONLY = """
set -e
mount --bind "$1" "$1"
for mounted in / /tmp /home /root /srv /var /work /dev/shm; do
    ! mountpoint -q "$mounted" || mount -o remount,bind,ro "$mounted"
done
for folder in /tmp /dev/shm "$HOME"; do
    ! touch "$folder/voxgender-probe" 2>/dev/null || { echo "$folder can be written to" >&2; exit 9; }
done
cd /
shift
unset HOME
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \\
    --inh-caps -all,+dac_read_search --ambient-caps -all,+dac_read_search --bounding-set -all,+dac_read_search "$@"
"""


def last_stage() -> list[tuple[str, str]]:
    steps = instructions()
    return steps[max(number for number, (name, _) in enumerate(steps) if name == "FROM") :]


def test_the_version_and_the_python_are_those_of_the_package() -> None:
    assert build_argument("VERSION") == __version__
    (version,) = re.findall(r"^python:(\d+\.\d+)-slim-\w+$", build_argument("BASE"))
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_the_image_can_do_all_that_its_settings_and_the_chart_speak_of() -> None:
    (step,) = [told for name, told in instructions() if name == "RUN" and "pip" in told]
    assert "--require-hashes --only-binary :all: --requirement requirements/serve.txt" in " ".join(step.split())
    pinned = (ROOT / "requirements" / "serve.txt").read_text()
    assert [
        name for name in ("av", "opentelemetry-sdk", "pgqueuer", "psycopg-binary") if f"\n{name}==" not in pinned
    ] == []


def test_the_last_stage_runs_nothing_that_installs_and_starts_as_a_user_by_number() -> None:
    runs = " ".join(told for name, told in last_stage() if name == "RUN")
    assert [word for word in ("pip", "apt-get", "gcc", "curl") if word in runs] == []
    assert [told for name, told in last_stage() if name == "USER"] == ["10001:10001"]
    assert [told for name, told in last_stage() if name == "COPY"] == ["--from=build /opt/voxgender /opt/voxgender"]


def test_it_exposes_the_ports_of_the_settings_and_keeps_its_data_in_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in image_environment().items():
        if name.startswith("VOXGENDER_"):
            monkeypatch.setenv(name, value)
    settings = load_settings()
    assert arguments("EXPOSE") == [f"{settings.port} {settings.grpc_port}"]
    assert arguments("VOLUME") == [DATA]
    assert str(settings.sqlite_path.parent) == DATA
    (command,) = [json.loads(told) for name, told in last_stage() if name == "CMD"]
    assert command[0] in COMMANDS


def test_what_is_copied_is_all_that_the_build_is_let_to_see() -> None:
    seen = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [source for told in arguments("COPY") if not told.startswith("--from") for source in told.split()[:-1]]
    assert sorted(copied) == sorted(seen)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    needed = ["pyproject.toml", "requirements", PROJECT["readme"], *PROJECT["license-files"], "src"]
    assert set(needed) <= set(copied)
    assert not any(fnmatch.fnmatch("deploy/secrets/postgres_password", pattern) for pattern in seen)


def health_check() -> list[str]:
    (told,) = arguments("HEALTHCHECK")
    command: list[str] = json.loads(told.partition(" CMD ")[2])
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def test_the_health_check_asks_the_server_whether_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(tmp_path) as client:
        port = str(client.base_url.port)
        monkeypatch.setenv("VOXGENDER_PORT", port)
        assert subprocess.run(health_check(), check=False).returncode == 0
    assert subprocess.run(health_check(), stderr=subprocess.DEVNULL, check=False).returncode != 0


def can_make_read_only() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def read_only(folder: Path) -> list[str]:
    """What a command is started under as user 10001, who can write to that folder alone."""
    os.chown(folder, 10001, 10001)
    (folder / "tmp").mkdir(mode=0o777)
    (folder / "tmp").chmod(0o777)
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY, "sh", str(folder)]
    return [*shell, "env", f"TMPDIR={folder}/tmp"]


@pytest.mark.skipif(not can_make_read_only(), reason="only root of a Linux system can make what others see read-only")
def test_a_service_that_can_write_to_its_volume_alone_works_as_any_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    volume = tmp_path / "volume"
    volume.mkdir()
    settings = {"store-url": f"sqlite:///{volume}/voxgender.db", "workers": 2, "rate-limit": "100 per second"}
    server = ServerProcess(tmp_path, read_only(volume), **settings)
    answer = server.client.post(PATH, json={"voiceprints": [voiceprint_text()]})
    assert answer.status_code == 202
    assert server.client.get(answer.headers["location"]).json()["result"]["voiceprints"]
    written = {path.name: path.stat().st_uid for path in volume.iterdir()}
    assert server.stop() == 0
    assert "voxgender.db" in written
    assert set(written.values()) <= {0, 10001}
    assert [name for name in written if not name.startswith("voxgender.db") and name != "tmp"] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_the_build_make_an_environment_that_serves(tmp_path: Path) -> None:
    context, environment = tmp_path / "build", tmp_path / "opt"
    context.mkdir()
    for told in arguments("COPY"):
        if not told.startswith("--from"):
            for name in told.split()[:-1]:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, context / name)
    (step,) = [told for name, told in instructions() if name == "RUN" and "pip" in told]
    step = step.replace("/opt/voxgender", str(environment)).replace("/opt/build", str(tmp_path / "builder"))
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VOXGENDER_"))}
    subprocess.run(["sh", "-c", step], cwd=context, env={**clean, "PATH": search}, check=True)
    assert not (environment / "bin" / "pip").exists()
    told = subprocess.run(
        [environment / "bin" / "voxgender", "doctor"], env=clean, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    folder = tmp_path / "service"
    folder.mkdir()
    server = ServerProcess(folder, ("env", "-u", "PYTHONPATH"), environment / "bin" / "python")
    assert server.client.get("/readyz").status_code == httpx.codes.OK
    assert server.stop() == 0
