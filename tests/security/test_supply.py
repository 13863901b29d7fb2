"""What is installed and shipped is what the lists say: hashes, licences, the bill of materials, the wheel's bytes."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import licences
import sbom

ROOT = Path(__file__).resolve().parents[2]
LISTS = [
    "constraints.txt",
    "requirements/build.txt",
    "requirements/serve.txt",
    "requirements/docs.txt",
    "tests/rpc/clients.txt",
]
needs_pinned_platform = pytest.mark.skipif(
    (sys.platform, platform.machine(), sys.version_info[:2]) != ("linux", "x86_64", (3, 11)),
    reason="the page is written for the platform that its first lines name",
)


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, **variables})


def small_wheel(folder: Path) -> Path:
    path = folder / "tiny-1.0-py3-none-any.whl"
    information = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", f"tiny.py,,\n{information}/METADATA,,\n{information}/WHEEL,,\n")
    return path


@pytest.mark.parametrize("tampered", [False, True])
def test_an_install_as_the_makefile_does_it_refuses_a_file_with_another_hash(tmp_path: Path, tampered: bool) -> None:
    (options,) = re.findall(r"^CHECKED := python (.*)\\\n(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wheel = small_wheel(tmp_path)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if tampered:
        digest = ("1" if digest[0] == "0" else "0") + digest[1:]
    listed = tmp_path / "list.txt"
    listed.write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    place = ["--no-index", "--find-links", tmp_path, "--target", tmp_path / "there", "--requirement", listed]
    told = run(sys.executable, *" ".join(options).split(), *place)
    assert (told.returncode != 0) == tampered, told.stderr
    assert (tmp_path / "there" / "tiny.py").exists() != tampered


@pytest.mark.parametrize("name", LISTS)
def test_each_pinned_package_has_its_hashes_and_no_list_names_a_host(name: str) -> None:
    pins = licences.read_pins(ROOT / name)
    assert pins
    assert [pin.name for pin in pins if not pin.hashes] == []
    assert "://" not in (ROOT / name).read_text()


def test_the_lists_agree_on_versions_and_hashes() -> None:
    everything = {(pin.name, pin.version): pin.hashes for pin in licences.read_pins(ROOT / "constraints.txt")}
    for name in ("requirements/serve.txt", "requirements/docs.txt"):
        pins = licences.read_pins(ROOT / name)
        assert [pin for pin in pins if everything.get((pin.name, pin.version)) != pin.hashes] == []


def test_every_install_of_the_targets_that_start_something_is_checked() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    rules = makefile[makefile.index("CHECKED :=") :] + makefile[makefile.index("$(VENV)/.clients:") :]
    installs = [
        line for line in rules.splitlines() if re.search(r"\binstall\b", line) and not line.startswith(("#", "define"))
    ]
    unchecked = [line for line in installs if "--require-hashes" not in line and "$(call install" not in line]
    assert unchecked
    assert {line for line in unchecked if "--no-index --no-deps" not in line} == set()


def test_what_runs_with_the_service_is_under_a_licence_of_the_allowed_ones() -> None:
    told = licences.declared(licences.read_pins(ROOT / "requirements/serve.txt"))
    assert {
        name: licence for name, licence in told.items() if not licences.parts(licence) <= set(licences.ALLOWED)
    } == {}


def test_only_named_tools_of_development_are_under_the_gpl() -> None:
    told = licences.declared(licences.read_pins(ROOT / "constraints.txt"))
    found = {name for name, licence in told.items() if re.search(r"(?<!L)GPL|Affero", licence)}
    assert found == set(licences.GPL_TOOLS)


@needs_pinned_platform
def test_the_page_of_licences_is_what_its_command_prints() -> None:
    assert (ROOT / "docs/reference/licences.md").read_text("utf-8") == licences.page()


def test_the_bill_of_materials_fits_its_schema_and_holds_all_that_is_shipped() -> None:
    told = run(sys.executable, ROOT / "tools/sbom.py", PYTHONHASHSEED="1")
    assert told.returncode == 0, told.stderr
    assert told.stdout == run(sys.executable, ROOT / "tools/sbom.py", PYTHONHASHSEED="2").stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(told.stdout) is None
    bill = sbom.bill()
    names = {part["name"] for part in bill["components"]}
    assert names >= {pin.name for pin in licences.read_pins(ROOT / "requirements/serve.txt")}
    hashes = {item["content"] for part in bill["components"] for item in part["hashes"]}
    package = ROOT / "src/voxgender"
    carried = [path for end in ("onnx", "safetensors", "min.js") for path in package.rglob(f"*.{end}")]
    assert carried
    assert [path for path in carried if hashlib.sha256(path.read_bytes()).hexdigest() not in hashes] == []


def built(folder: Path, umask: int, **variables: str) -> dict[str, str]:
    """Build the wheel and the source archive of a copy of the tree; the SHA-256 of each."""
    copy = folder / "copy"
    listed = run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
            (copy / name).chmod(0o666 & ~umask)
    command = f"umask {umask:o}; exec '{sys.executable}' -m build --no-isolation --outdir '{folder}/dist' '{copy}'"
    told = run("sh", "-c", command, **variables)
    assert told.returncode == 0, told.stdout + told.stderr
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "dist").iterdir()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git tells which files belong to the tree")
def test_the_same_tree_gives_the_same_wheel_and_archive_in_another_folder_zone_locale_and_umask(tmp_path: Path) -> None:
    first = built(tmp_path / "one", 0o022, SOURCE_DATE_EPOCH="1700000000", TZ="UTC", LC_ALL="C")
    second = built(tmp_path / "two", 0o022, SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    third = built(tmp_path / "three", 0o077, SOURCE_DATE_EPOCH="1700000000", PYTHONHASHSEED="7")
    assert sorted(path.rpartition(".")[2] for path in first) == ["gz", "whl"]
    assert first == second == third
    (path,) = (tmp_path / "one" / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    package = {
        f"voxgender/{file.relative_to(ROOT / 'src/voxgender').as_posix()}"
        for file in (ROOT / "src/voxgender").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert {"voxgender/py.typed", "voxgender/models/ge2e-2/head/head.safetensors"} <= package
