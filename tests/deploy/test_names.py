"""What deploy/ and its page name exists, and the page's secrets are what the service reads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy_files import DEPLOY, ROOT, compose
from voxgender import __version__
from voxgender.app.settings import Settings, load_settings

PAGE = ROOT / "docs" / "how-to" / "deploy.md"
FILES = [PAGE, *(path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_variable_that_is_named_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bVOXGENDER_([A-Z][A-Z_]*[A-Z])\b", path.read_text(encoding="utf-8")))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_version_of_ours_that_is_named_is_the_packages(path: Path) -> None:
    assert set(re.findall(r"voxgender:(\d+\.\d+\.\d+)", path.read_text(encoding="utf-8"))) <= {__version__}


@pytest.mark.parametrize("path", [PAGE, DEPLOY / "README.md"], ids=lambda path: path.name)
def test_each_linked_file_exists(path: Path) -> None:
    links = re.findall(r"\]\(((?!http|#)[^)#]+)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def secrets_block() -> str:
    (block,) = [
        block for block in re.findall(r"```sh[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL) if "mkdir" in block
    ]
    return block


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What the page's commands make."""
    (tmp_path / "deploy").mkdir()
    subprocess.run(["sh", "-ec", secrets_block()], cwd=tmp_path, check=True)
    return tmp_path / "deploy" / "secrets"


def test_the_page_makes_each_secret_of_the_compose_file_readable_inside_and_hidden_outside(secrets: Path) -> None:
    made = {f"./secrets/{path.name}": path.stat().st_mode & 0o777 for path in secrets.iterdir()}
    assert made == {secret["file"]: 0o444 for secret in compose()["secrets"].values()}
    assert secrets.stat().st_mode & 0o777 == 0o700


def test_the_store_url_that_the_page_makes_is_read_with_its_password(secrets: Path) -> None:
    password = (secrets / "postgres_password").read_text().strip()
    settings = load_settings(secrets_dir=secrets)
    assert settings.store_url == f"postgresql://voxgender:{password}@db/voxgender"


def test_a_key_is_made_in_the_store_that_the_secret_names(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "voxgender_store_url").write_text(f"{postgres_url}\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOXGENDER_")}
    environment = {**clean, "VOXGENDER_SECRETS_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "voxgender", "keys"]
    made = subprocess.run([*command, "add", "first"], env=environment, capture_output=True, text=True, check=True)
    assert made.stdout.strip()
    listed = subprocess.run([*command, "list"], env=environment, capture_output=True, text=True, check=True)
    assert " first " in listed.stdout
