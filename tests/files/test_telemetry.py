"""ONNX Runtime tells nobody what is done with it, and leaves no id of the machine behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LOAD = """
from voxgender.files.models import find_model
from voxgender.files.network import load_network
load_network(find_model("ge2e-2") / "extractor" / "vad.onnx", 1)
"""


def test_a_model_is_loaded_without_a_file_in_the_users_home(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    subprocess.run([sys.executable, "-c", _LOAD], env={**environment, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
