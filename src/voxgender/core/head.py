"""The head: what turns vectors into raw scores, one dot product each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintModelError


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear scorer of one model's voiceprints.

    The standardisation of the vectors is folded into the weights, so that scoring is a single product.

    Attributes:
        model: Id of the model whose voiceprints it scores.
        weight: float32, shape (dimension,).
        bias: Added to each product.
    """

    model: str
    weight: NDArray[np.float32]
    bias: float

    @classmethod
    def of_standardised(
        cls,
        model: str,
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
        weight: NDArray[np.float64],
        bias: float,
    ) -> Head:
        """Return the head that scores ``(vector - mean) / deviation`` with ``weight`` and ``bias``."""
        folded = weight / deviation
        return cls(model, folded.astype(np.float32), float(bias - folded @ mean))

    def __repr__(self) -> str:
        return f"Head(model={self.model!r}, dimension={len(self.weight)})"

    def raw_scores(self, vectors: NDArray[np.float32], scale: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
        """Return the uncalibrated score of each vector; larger speaks more for what was looked for, like a male voice.

        A vector has the same score, bit by bit, alone and in every batch.

        Args:
            vectors: float32, shape (n, dimension).
            scale: What each vector is to be multiplied by, float32, shape (n,); None for nothing.

        Returns:
            float64, shape (n,); infinite or NaN where the numbers of a vector are too large to be summed.

        Raises:
            VoiceprintModelError: Where the vectors have another dimension than the head.

        Example:
            >>> head = Head("m", np.array([1, -1], np.float32), bias=0.5)
            >>> head.raw_scores(np.array([[2, 1], [0, 3]], np.float32))
            array([ 1.5, -2.5])
        """
        if vectors.shape[1] != len(self.weight):
            raise VoiceprintModelError(
                f"a vector of model {self.model!r} has {len(self.weight)} values, not {vectors.shape[1]}"
            )
        # A sum that overflows is bounded by the calibration like any other very large score. One dot product a row,
        # because a matrix product adds up in an order that depends on the rows beside it, and so would the last bits.
        with np.errstate(over="ignore", invalid="ignore"):
            products: NDArray[np.float32] = np.vecdot(vectors, self.weight)
            if scale is not None:
                products *= scale
            return products.astype(np.float64) + self.bias
