"""The scorer: the heads of the loaded models, and what each makes of voiceprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import VoiceprintModelError
from voxgender.core.head import Head, raw_scores
from voxgender.core.layout import Frame, Layout
from voxgender.core.result import Results
from voxgender.core.voiceprint import Voiceprints


@dataclass(frozen=True, slots=True)
class CalibratedHead:
    """A head and the calibration of its raw scores: what makes LLRs of one model's voiceprints.

    Attributes:
        head: What gives raw scores.
        calibration: What makes LLRs of them.
        child: What makes LLRs of voices that may be children's say less; None where it is not known.
    """

    head: Head
    calibration: Calibration
    child: ChildHead | None = None

    def raw_scores(self, voiceprints: Voiceprints) -> list[NDArray[np.float64]]:
        """Return the raw score of each voice and, with a child head, that of its being a child's; each shape (n,)."""
        heads = [self.head] if self.child is None else [self.head, self.child.head]
        return raw_scores(heads, voiceprints.vectors, voiceprints.scale)

    def llr_of_raw(self, raw: Sequence[NDArray[np.float64]], speech_s: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the LLRs of voices of which :meth:`raw_scores` said this; each depends on no other."""
        llr = self.calibration.llr(raw[0], speech_s)
        return llr if self.child is None else self.child.soften(llr, raw[1])

    def llr(self, voiceprints: Voiceprints) -> NDArray[np.float64]:
        """Return the LLR of each voiceprint, shape (n,); NaN where nothing can be told, as without speech."""
        return self.llr_of_raw(self.raw_scores(voiceprints), voiceprints.speech_s)


@dataclass(frozen=True)
class Scorer:
    """Scores the voiceprints of the models that are loaded.

    Attributes:
        heads: The calibrated head of each model, by model id.
    """

    heads: Mapping[str, CalibratedHead]

    @cached_property
    def frames(self) -> Mapping[int, Sequence[Frame]]:
        """The layouts in which voiceprints of the loaded models are written, by their bytes."""
        frames: dict[int, list[Frame]] = {}
        for model, calibrated in self.heads.items():
            for layout in get_args(Layout):
                frame = Frame.of(model, len(calibrated.head.weight), layout)
                frames.setdefault(frame.size_bytes, []).append(frame)
        return frames

    def score(self, voiceprints: Voiceprints, decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the results of voiceprints that are columns already.

        Raises:
            VoiceprintModelError: Where their model is not loaded, or has another dimension.
        """
        llr = self.head_of(voiceprints).llr(voiceprints)
        return Results(voiceprints.speech_s, llr.astype(np.float32), decision)

    def head_of(self, voiceprints: Voiceprints) -> CalibratedHead:
        """Return the head that scores voiceprints.

        Raises:
            VoiceprintModelError: Where their model is not loaded, or they have another dimension.
        """
        try:
            calibrated = self.heads[voiceprints.model]
        except KeyError:
            raise VoiceprintModelError(
                f"a voiceprint of model {voiceprints.model!r}, which is not loaded; "
                f"loaded: {', '.join(sorted(self.heads)) or 'none'}"
            ) from None
        calibrated.head.check_dimension(voiceprints.vectors)
        return calibrated
