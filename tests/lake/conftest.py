"""Voiceprints in Arrow for the tests of lakes."""

from __future__ import annotations

import numpy as np
import pytest

from voxgender.core.voiceprint import Voiceprint, encode_voiceprint


@pytest.fixture(scope="session")
def good() -> list[bytes]:
    """Voiceprints of the shipped model with different speech lengths, one of them without speech."""
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((40, 286)).astype(np.float32) / 16
    return [encode_voiceprint(Voiceprint("ge2e-2", float(row), vector)) for row, vector in enumerate(vectors)]
