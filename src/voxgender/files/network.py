"""Networks in ONNX, as sessions of ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voxgender.core.errors import ModelError

_FATAL_ONLY: Final = 4
_MAX_REASON: Final = 300


def load_network(path: Path, threads: int) -> Any:
    """Load a network.

    Args:
        path: The ONNX file.
        threads: Threads for one run of it.

    Returns:
        A session of ONNX Runtime; any number of threads may run it at once.

    Raises:
        ModelError: The file cannot be read, ONNX Runtime cannot load it, or it keeps its weights in other files.
    """
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    # Threads that wait for work by spinning would take the cores from other workers; measured, they gain nothing here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in files beside the graph have no checksum in the card; the path of a file, where a folder is expected,
    # leaves no place from which they could be read.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no other base
        if "external data" in str(error).lower():
            raise ModelError(
                f"{path} keeps its weights in other files; put them into one: "
                "python -c \"import onnx; onnx.save(onnx.load('in.onnx'), 'out.onnx')\""
            ) from None
        reason = " ".join(str(error).split())[:_MAX_REASON]
        raise ModelError(f"ONNX Runtime cannot load {path} ({reason})") from None


def embeddings(network: Any, windows: NDArray[np.float32], at_once: int) -> NDArray[np.float32]:
    """Return what a network of ours, from ``mel`` to ``embedding``, says of each window.

    Args:
        network: The session.
        windows: Features, shape (windows, frames, bands).
        at_once: Windows for one run: its buffers grow with them.

    Returns:
        Shape (windows, dimensions).
    """
    batches = [windows[at : at + at_once] for at in range(0, len(windows), at_once)]
    return np.concatenate([network.run(["embedding"], {"mel": batch})[0] for batch in batches])
