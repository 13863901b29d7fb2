"""What reads bytes and disks: models, audio, and the extraction of voiceprints; knows no service."""

from __future__ import annotations

import os

# ONNX Runtime counts what is done with it: when it is loaded it makes a file with an id of the machine in the user's
# home, and it would send what it counts to its makers. It looks at this when it is loaded, which is too early for
# disable_telemetry_events; so nothing here can load it before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
