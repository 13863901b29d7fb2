"""The page for operators tells the metrics, the checks and the commands that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from operation.workload import Used
from serving import PATH, running_server, voiceprint_text
from voxgender.cli import COMMANDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")


def test_the_table_of_metrics_is_what_a_server_tells(used: Used, tmp_path: Path) -> None:
    with running_server(tmp_path, rate_limit="1 per hour") as client:
        for _ in range(2):
            client.post(PATH, json={"voiceprints": [voiceprint_text()]})
        text = client.get("/metrics").text
    told: dict[str, tuple[set[str], str]] = {}
    for page in (text, used.server.client.get("/metrics").text):
        for family in text_string_to_metric_families(page):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            told[name] = (labels | told.get(name, (set(), ""))[0], family.documentation)
    rows = re.findall(r"^\| `(voxgender_\w+)` \|(.*)\| (.*) \|$", PAGE, re.MULTILINE)
    written = {name: (set(re.findall(r"`(\w+)`", labels)), meaning) for name, labels, meaning in rows}
    assert written == told


def test_the_checks_of_the_page_are_those_of_a_server(used: Used) -> None:
    checks = set(used.server.client.get("/readyz").json()["checks"])
    shown = json.loads(re.findall(r"```json output\n(\{\n.*?)```", PAGE, re.DOTALL)[0])
    assert set(shown["checks"]) == checks
    assert set(re.findall(r"^\| `(\w+)` \|.*\|.*\|$", PAGE.partition("## Metrics")[0], re.MULTILINE)) == checks


def test_the_commands_of_the_page_exist_and_its_files_too() -> None:
    assert set(re.findall(r"voxgender (backup|restore|doctor|work)\b", PAGE)) <= set(COMMANDS)
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (Path(__file__).resolve().parents[2] / "docs" / "how-to" / link).exists(), link
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        assert yaml.safe_load(block)["scrape_configs"]
