"""Alerts fire when they should, as Prometheus's own tool finds; skips where it is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy_files import DEPLOY


@pytest.mark.parametrize("job", ["voxgender-worker", "voices/demo-voxgender-worker"])
def test_that_no_server_is_left_is_told_although_a_worker_tells_its_metrics(tmp_path: Path, job: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool; it is in the Debian package prometheus")
    alert = {
        "exp_labels": {"severity": "critical"},
        "exp_annotations": {"summary": "No server of voxgender tells its metrics."},
    }
    series = {
        "of_worker": {"series": f'voxgender_build_info{{job="{job}"}}', "values": "1x10"},
        "of_server": {"series": 'voxgender_build_info{job="demo-voxgender"}', "values": "1x10"},
    }
    tests = [
        {
            "interval": "1m",
            "input_series": [series[name] for name in told],
            "alert_rule_test": [{"eval_time": "5m", "alertname": "VoxgenderGone", "exp_alerts": expected}],
        }
        for told, expected in ((["of_worker"], [alert]), (["of_worker", "of_server"], []))
    ]
    file = tmp_path / "alerts.json"  # JSON is YAML as well
    file.write_text(json.dumps({"rule_files": [str(DEPLOY / "prometheus" / "alerts.yaml")], "tests": tests}))
    ended = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
