"""Bounds without a server: what the computing and the moving of a full request cost, if nothing else were to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pybase64
from benchmarks.serving.bodies import DIMENSION, MODEL
from benchmarks.serving.figures import Summary, summary

from voxgender.core.base64 import encode_base64
from voxgender.files.heads import load_scorer

BLOCK_ITEMS: Final = 512
"""Items at a time, so that text, bytes and vectors of a block stay in the cache."""


def bounds(items: Sequence[bytes], body: bytes, rounds: int) -> dict[str, Summary]:
    """Return the seconds that each bound takes for int8 voiceprints; a warm-up round is not counted.

    ``numpy`` decodes Base64, turns int8 into float32 and takes the dot products, in blocks; calibration and the check
    of the headers are left out. ``decode`` is the Base64 alone, ``copy`` a plain copy of the body into memory that is
    there.
    """
    text = "".join(encode_base64(item) for item in items).encode()
    item_bytes, text_bytes = len(items[0]), len(text) // len(items)
    weight = load_scorer(MODEL).heads[MODEL].head.weight
    steps = [(at, min(at + BLOCK_ITEMS, len(items))) for at in range(0, len(items), BLOCK_ITEMS)]
    view, target = memoryview(text), np.empty(len(body), np.uint8)
    source = np.frombuffer(body, np.uint8)
    scores = np.empty(len(items), np.float32)

    def score() -> None:
        for start, stop in steps:
            data = pybase64.b64decode(view[start * text_bytes : stop * text_bytes], validate=True)
            rows = np.frombuffer(data, np.int8).reshape(-1, item_bytes)
            # The vector is the last member, before the closing brace.
            scores[start:stop] = np.vecdot(rows[:, -DIMENSION - 1 : -1].astype(np.float32), weight)

    def decode() -> None:
        for start, stop in steps:
            pybase64.b64decode(view[start * text_bytes : stop * text_bytes], validate=True)

    def copy() -> None:
        np.copyto(target, source)

    return {name: summary(_times(run, rounds)) for name, run in (("numpy", score), ("decode", decode), ("copy", copy))}


def _times(run: Callable[[], None], rounds: int) -> list[float]:
    run()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return taken
