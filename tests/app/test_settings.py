"""Settings come from flags and the environment, and a wrong one stops the start in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxgender.app.settings import Settings, load_settings
from voxgender.core.errors import SettingsError

WRONG: dict[str, list[Any]] = {
    "host": [],
    "port": ["x", -1, 65536, 1.5],
    "grpc": ["perhaps", 2],
    "grpc_port": ["x", -1, 65536],
    "grpc_certificate_file": [],
    "grpc_key_file": [],
    "keys": ["yes", "maybe"],
    "workers": [0, 257, "all"],
    "store_url": ["mysql://x", "sqlite:///", "tasks.db", "sqlite:///:memory:", "sqlite:///x.db?mode=ro"],
    "task_ttl_s": [0, -1, "nan", "inf", "soon"],
    "max_voiceprints": [0, "many"],
    "max_body_bytes": [0],
    "max_file_bytes": [0],
    "max_audio_s": [0, 86_401, "nan"],
    "spool_dir": [],
    "spool_capacity_bytes": [0],
    "extractors": [-1, 257, "all"],
    "task_time_limit_s": [0, "nan"],
    "hold_s": [0, 3601, "nan"],
    "drain_s": [-1, 16, "nan"],
    "task_memory_bytes": [1000],
    "storage_capacity_bytes": [0],
    "rate_limit": ["often", "1 per", "0 per second", "1 per 0 second", "1/second;2/minute", "1/second, 2/day"],
    "licence_file": [],
    "otlp_endpoint": ["host:4318", "ftp://host", "http:// "],
    "metrics_port": ["x", -1, 65536],
    "male_prior": [0, 1, -0.1, "nan"],
    "min_probability": [0.4, 1, "nan"],
    "model": [],
    "log_level": ["loud"],
    "secrets_dir": ["/nowhere", "/dev/null"],
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VOXGENDER_{name.upper()}", raising=False)


def test_every_setting_is_in_the_list_of_this_test() -> None:
    assert set(WRONG) == set(Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_named_with_its_setting_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    with pytest.raises(SettingsError) as flag:
        load_settings(**{name: value})
    monkeypatch.setenv(f"VOXGENDER_{name.upper()}", str(value))
    with pytest.raises(SettingsError) as variable:
        load_settings()
    for error in (str(flag.value), str(variable.value)):
        assert error.startswith(f"VOXGENDER_{name.upper()} (--{name.replace('_', '-')}) is {value}: ")
        assert "\n" not in error


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(port=None).port == 8000
    monkeypatch.setenv("VOXGENDER_PORT", "8001")
    assert load_settings(port=None).port == 8001
    assert load_settings(port="8002").port == 8002


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGENDER_RATE_LIMIT", "")
    assert load_settings().rate_limit is None


def test_a_file_of_secrets_holds_a_setting_and_a_variable_wins_over_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = "postgresql://voxgender:secret@db/voxgender"
    (tmp_path / "voxgender_store_url").write_text(f"{url}\n")
    (tmp_path / "another_program").write_bytes(b"\xff")
    assert load_settings(secrets_dir=tmp_path).store_url == url
    monkeypatch.setenv("VOXGENDER_SECRETS_DIR", str(tmp_path))
    assert load_settings().store_url == url
    monkeypatch.setenv("VOXGENDER_STORE_URL", "sqlite:///mine.db")
    assert load_settings().store_url == "sqlite:///mine.db"


def test_a_wrong_secret_is_told_like_a_wrong_variable_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "voxgender_store_url").write_text("mysql://voxgender:secret@db/voxgender")
    with pytest.raises(SettingsError, match=r"^VOXGENDER_STORE_URL .* is mysql://voxgender:\*\*\*@db"):
        load_settings(secrets_dir=tmp_path)


def test_secrets_that_cannot_be_read_stop_the_start_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "voxgender_store_url").write_bytes(b"secret\xff")
    with pytest.raises(
        SettingsError, match=r"^VOXGENDER_SECRETS_DIR \(--secrets-dir\) is /.*: a setting's file is not UTF-8$"
    ):
        load_settings(secrets_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("voxgender_store_uri", "; is it voxgender_store_url?"),
        ("VOXGENDER_Licence_Files", "; is it voxgender_licence_file?"),
        ("voxgender_", ""),
    ],
)
def test_a_secret_that_is_named_like_a_setting_and_is_none_stops_the_start_with_its_name(
    tmp_path: Path, name: str, hint: str
) -> None:
    (tmp_path / "another_program").write_text("theirs")
    (tmp_path / name).write_text("hidden")
    with pytest.raises(SettingsError) as told:
        load_settings(secrets_dir=tmp_path)
    assert str(told.value) == (
        f"VOXGENDER_SECRETS_DIR (--secrets-dir) is {tmp_path}: there is no setting for its file {name}{hint}"
    )


def test_the_service_listens_on_loopback_alone_unless_told_otherwise() -> None:
    assert load_settings().host == "127.0.0.1"
