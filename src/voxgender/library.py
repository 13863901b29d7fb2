"""The library: voiceprints of recordings and results of either, in one call, without the service."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import InputError
from voxgender.core.result import Results
from voxgender.core.scorer import Scorer
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, Voiceprints, encode_voiceprint
from voxgender.files.models import DEFAULT_MODEL, extractor_folder

if TYPE_CHECKING:
    from voxgender.files.extraction import Extractor

Source: TypeAlias = "str | Path | bytes | Voiceprint"


def identify(
    source: Source | Sequence[Source] | Voiceprints | NDArray[np.floating],
    *,
    speech_s: NDArray[np.floating] | None = None,
    decision: Decision = EQUAL_PRIORS,
    model: str | Path = DEFAULT_MODEL,
) -> Results:
    """Tell how much voices speak for a male or a female speaker.

    Args:
        source: One of these, or a list of the first three: the path of an audio or ``.vp`` file (binary or Base64),
            such a file's bytes, a voiceprint; or voiceprints as columns; or a matrix of vectors of the model, shape
            (n, dimension).
        speech_s: Only for a matrix: seconds of speech of each row, shape (n,); 10 s are assumed without it.
        decision: Prior and smallest probability of a gender.
        model: A shipped model's id, or the path of a model folder.

    Returns:
        One result for each voice, in order.

    Raises:
        InputError: Where a file is neither a recording nor a voiceprint.
        ModelError: Where the model cannot be loaded.

    Example:
        >>> results = identify(np.full((2, 286), 1 / 16))
        >>> len(results), results[0].speech_s
        (2, 10.0)
    """
    scorer = _scorer(model)
    if isinstance(source, np.ndarray):
        source = _columns(source, speech_s, scorer)
    if isinstance(source, Voiceprints):
        return scorer.score(source, decision)
    sources = [source] if isinstance(source, str | Path | bytes | Voiceprint) else source
    return score_bytes(scorer, [encode_voiceprint(_voiceprint(one, model), "float32") for one in sources], decision)


def extract(source: str | Path | bytes, *, model: str | Path = DEFAULT_MODEL) -> Voiceprint:
    """Make the voiceprint of a recording; its channels are mixed to one.

    Args:
        source: Path of an audio file, or its bytes.
        model: A shipped model's id, or the path of a model folder.

    Returns:
        The voiceprint; its ``speech_s`` is 0 where no speech was found.

    Raises:
        AudioError: Where it cannot be read as audio.
        ModelError: Where the model cannot be loaded.
    """
    from voxgender.files.recording import extract_voiceprint

    return extract_voiceprint(source if isinstance(source, bytes) else Path(source), _extractor(model))


def _voiceprint(source: Source, model: str | Path) -> Voiceprint:
    from voxgender.files.recording import read_voiceprint

    if isinstance(source, Voiceprint):
        return source
    return read_voiceprint(source if isinstance(source, bytes) else Path(source), lambda: _extractor(model))


def _columns(matrix: NDArray[np.floating], speech_s: NDArray[np.floating] | None, scorer: Scorer) -> Voiceprints:
    if matrix.ndim != 2:
        raise InputError(f"a matrix of vectors has two dimensions, not {matrix.ndim}; one vector is matrix[np.newaxis]")
    lengths = np.full(len(matrix), 10.0) if speech_s is None else speech_s
    if not np.isfinite(matrix).all():
        raise InputError("the matrix holds values that are not finite; leave such rows out")
    if lengths.shape != (len(matrix),):
        raise InputError(f"speech_s must have the shape ({len(matrix)},), one value a row, not {lengths.shape}")
    (model,) = scorer.heads
    return Voiceprints(model, lengths.astype(np.float32), matrix.astype(np.float32))


@cache
def _scorer(model: str | Path) -> Scorer:
    from voxgender.files.heads import load_scorer

    return load_scorer(model)


@cache
def _extractor(model: str | Path) -> Extractor:
    from voxgender.files.extraction import Extractor

    return Extractor(extractor_folder(model))
