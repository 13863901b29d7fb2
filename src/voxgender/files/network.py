"""Networks in ONNX, as sessions of ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import onnxruntime

from voxgender.core.errors import ModelError

_FATAL_ONLY: Final = 4


def load_network(path: Path, threads: int) -> Any:
    """Load a network.

    Args:
        path: The ONNX file.
        threads: Threads for one run of it.

    Returns:
        A session of ONNX Runtime; any number of threads may run it at once.

    Raises:
        ModelError: ONNX Runtime cannot load the file.
    """
    onnxruntime.disable_telemetry_events()  # its builds for Windows would send some
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    # Threads that wait for work by spinning would take the cores from other workers; measured, they gain nothing here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no other base
        raise ModelError(f"ONNX Runtime cannot load {path} ({type(error).__name__}); install the model again") from None
