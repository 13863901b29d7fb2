"""voxgender tells the perceived gender of a voice, as a calibrated likelihood ratio.

Example:
    >>> import voxgender
    >>> import numpy as np
    >>> voiceprint = voxgender.Voiceprint("ge2e-2", speech_s=3.0, vector=np.full(286, 1 / 16, np.float32))
    >>> voxgender.identify(voiceprint)[0].gender in ("male", "female")
    True
"""

from __future__ import annotations

from importlib.metadata import version

from voxgender.core.decision import Decision
from voxgender.core.errors import VoxgenderError
from voxgender.core.result import Result, Results
from voxgender.core.voiceprint import Voiceprint, Voiceprints, decode_voiceprint, encode_voiceprint
from voxgender.library import extract, identify

__version__ = version("voxgender")

__all__ = [
    "Decision",
    "Result",
    "Results",
    "Voiceprint",
    "Voiceprints",
    "VoxgenderError",
    "decode_voiceprint",
    "encode_voiceprint",
    "extract",
    "identify",
]
