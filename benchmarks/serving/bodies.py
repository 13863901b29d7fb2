"""What is sent: voiceprints of nobody, the bodies that hold them, and requests as the bytes on the wire."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from voxgender.core.base64 import encode_base64
from voxgender.core.scorer import Scorer
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

PATH: Final = "/api/technology/gender-identification-voiceprints"
MODEL: Final = "ge2e-2"
DIMENSION: Final = 286
JSON_TYPE: Final = "application/json"
ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
ARROW_BATCH_ITEMS: Final = 1024
SPACED: Final = (", ", ": ")
"""The separators that ``json.dumps`` writes unless told otherwise."""
COMPACT: Final = (",", ":")


@dataclass(frozen=True)
class Body:
    """A request's body.

    Attributes:
        label: What it is, in words.
        count: Voiceprints that it holds.
        content: Its bytes.
        content_type: Its media type.
        content_encoding: What it is packed with, if with anything.
    """

    label: str
    count: int
    content: bytes = field(repr=False)
    content_type: str = JSON_TYPE
    content_encoding: str | None = None

    def post(self) -> bytes:
        """Return the POST request, head and body, as one piece."""
        headers = {"content-type": self.content_type, "content-length": str(len(self.content))}
        if self.content_encoding is not None:
            headers["content-encoding"] = self.content_encoding
        return _head("POST", PATH, headers) + self.content


def get(path: str, **headers: str) -> bytes:
    """Return a GET request; an underscore in a header's name stands for a hyphen."""
    return _head("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


def voiceprints(count: int, layout: Literal["int8", "float32"] = "int8") -> list[bytes]:
    """Return voiceprints of random directions with 1 to 30 s of speech; always the same for a count."""
    rng = np.random.default_rng(count)
    vectors = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    speech_s = rng.uniform(1, 30, count).tolist()
    return [encode_voiceprint(Voiceprint(MODEL, *one), layout) for one in zip(speech_s, vectors, strict=True)]


def json_body(label: str, items: Sequence[bytes], separators: tuple[str, str] = SPACED) -> Body:
    """Return the JSON body of voiceprints."""
    document = {"voiceprints": [encode_base64(item) for item in items]}
    return Body(label, len(items), json.dumps(document, separators=separators).encode())


def gzip_body(body: Body) -> Body:
    """Return a body packed with gzip at its middle level."""
    return Body(f"{body.label}, gzip", body.count, gzip.compress(body.content, 6), body.content_type, "gzip")


def arrow_body(items: Sequence[bytes]) -> Body | None:
    """Return voiceprints as an Arrow IPC stream with one binary column; None where PyArrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow as pa

    table = pa.table({"voiceprint": pa.array(items, pa.binary())})
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=ARROW_BATCH_ITEMS)
    return Body("Arrow", len(items), stream.getvalue(), ARROW_TYPE)


def expected_results(scorer: Scorer, items: Sequence[bytes]) -> list[Any]:
    """Return what the library tells of voiceprints, as the wire contract writes it."""
    return [result.as_dict() for result in score_bytes(scorer, items)]


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{lines}\r\n".encode()
