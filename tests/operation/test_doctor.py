"""The doctor names what is wrong with the machine around the service, and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from serving import running_server
from voxgender.app.settings import load_settings
from voxgender.cli import checks
from voxgender.core.errors import SettingsError, VoxgenderError


def test_a_running_server_is_told_with_all_its_checks(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        told = checks.check_server(str(client.base_url))
    assert "is ready: service takes requests, store answers" in told


def test_a_server_that_is_not_ready_or_not_there_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(tmp_path) as client:
        url = str(client.base_url)
        monkeypatch.setattr("voxgender.app.readiness.MIN_FREE_BYTES", 10**18)
        deadline = time.monotonic() + 30
        while client.get("/readyz").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(VoxgenderError, match=r"is not ready: .* disk "):
            checks.check_server(url)
    with pytest.raises(VoxgenderError, match=r"no server answers .* start one by: voxgender serve"):
        checks.check_server(url)
    with pytest.raises(SettingsError, match="must look like http"):
        checks.check_server("file:///etc/passwd")


def test_a_port_that_somebody_else_has_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"{port} cannot be listened on: .* VOXGENDER_PORT"):
            checks.check_ports(load_settings(port=port, grpc=False))
        with pytest.raises(SettingsError, match="VOXGENDER_GRPC_PORT"):
            checks.check_ports(load_settings(port=0, grpc_port=port))
    assert checks.check_ports(load_settings(port=0, grpc=False)) == "a free one is taken, gRPC is switched off"


def test_a_port_of_our_own_server_is_no_failure(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        told = checks.check_ports(load_settings(port=client.base_url.port))
    assert told == f"a voxgender answers on {client.base_url.port} already"


def test_a_clock_that_was_set_back_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert checks.check_clock().endswith(" UTC")
    later = tmp_path / "__init__.py"
    later.touch()
    os.utime(later, (time.time() + 86400, time.time() + 86400))
    monkeypatch.setattr(checks.voxgender, "__file__", str(later))
    with pytest.raises(VoxgenderError, match=r"before voxgender was installed .* set the clock"):
        checks.check_clock()


def test_a_disk_without_room_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(store_url=f"sqlite:///{tmp_path}/tasks.db")
    assert "MiB free for the spool, " in checks.check_disk(settings)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10 * 1024**2))
    with pytest.raises(VoxgenderError, match="10 MiB are free for the spool, less than 64 MiB; free some space"):
        checks.check_disk(settings)


def test_a_spool_that_is_full_is_told_with_the_remedy(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    store_url = f"sqlite:///{tmp_path}/t.db"
    settings = load_settings(store_url=store_url, spool_dir=spool, spool_capacity_bytes=1000, max_file_bytes=500)
    assert checks.check_spool(settings).endswith(", 0 of 1000 bytes")
    (spool / "a.media").write_bytes(b"\0" * 600)
    with pytest.raises(VoxgenderError, match=r"holds 600 of 1000 bytes.* start workers"):
        checks.check_spool(settings)
    with pytest.raises(SettingsError, match=r"cannot be written to: .* VOXGENDER_SPOOL_DIR"):
        checks.check_spool(load_settings(store_url=store_url, spool_dir="/proc/spool"))


def pair(folder: Path, days: int) -> tuple[Path, Path]:
    """A certificate and its key; skips where openssl is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    folder.mkdir()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=localhost", "-days", str(days), "-out", str(certificate), "-keyout", str(key)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


def test_a_certificate_that_ends_soon_or_does_not_fit_its_key_is_found(tmp_path: Path) -> None:
    (good, key), (short, short_key) = pair(tmp_path / "good", 400), pair(tmp_path / "short", 2)
    assert checks.check_certificate(load_settings()) == "none, gRPC goes without TLS"
    settings = load_settings(grpc_certificate_file=good, grpc_key_file=key)
    assert checks.check_certificate(settings).startswith("valid until ")
    with pytest.raises(VoxgenderError, match=r"is valid until .* only; renew it"):
        checks.check_certificate(load_settings(grpc_certificate_file=short, grpc_key_file=short_key))
    with pytest.raises(VoxgenderError, match="cannot be used: KEY_VALUES_MISMATCH"):
        checks.check_certificate(load_settings(grpc_certificate_file=good, grpc_key_file=short_key))


def test_extras_that_are_missing_are_named_with_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_is_installed", lambda package: package == "av")
    assert checks.check_extras() == 'media; not lake, otel, postgres: pip install "voxgender[lake,otel,postgres]"'
