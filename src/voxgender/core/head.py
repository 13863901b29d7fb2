"""The head: what turns vectors into raw scores, one dot product each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintModelError

PIECE_ROWS: Final = 512
"""Vectors converted and multiplied at a time: 0.6 MB of float32, which stay in the cache for all heads."""
LANES: Final = 32
"""Vectors are filled up with zeros to a multiple of this: BLAS multiplies what is left over one by one."""


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def filled_weight(self) -> NDArray[np.float32]:
        """The weight with zeros behind it, up to a multiple of ``LANES``."""
        return np.pad(self.weight, (0, -len(self.weight) % LANES))

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

    def check_dimension(self, vectors: NDArray[np.float32] | NDArray[np.int8]) -> None:
        """Check that vectors are of the head's dimension.

        Raises:
            VoiceprintModelError: Where they are not.
        """
        if vectors.shape[1] != len(self.weight):
            raise VoiceprintModelError(
                f"a vector of model {self.model!r} has {len(self.weight)} values, not {vectors.shape[1]}"
            )

    def raw_scores(
        self, vectors: NDArray[np.float32] | NDArray[np.int8], scale: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        """Return the uncalibrated score of each vector; larger speaks more for what was looked for, like a male voice.

        A vector has the same score, bit by bit, alone and in every batch.

        Args:
            vectors: float32 or int8, shape (n, dimension).
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
        return raw_scores([self], vectors, scale)[0]


def raw_scores(
    heads: Sequence[Head],
    vectors: NDArray[np.float32] | NDArray[np.int8],
    scale: NDArray[np.float32] | None = None,
) -> list[NDArray[np.float64]]:
    """Return what :meth:`Head.raw_scores` of each head says.

    Raises:
        VoiceprintModelError: Where the vectors have another dimension than a head.
    """
    for head in heads:
        head.check_dimension(vectors)
    products = [np.empty(len(vectors), np.float32) for _ in heads]
    # A sum that overflows is bounded by the calibration like any other very large score. One dot product a row,
    # because a matrix product adds up in an order that depends on the rows beside it, and so would the last bits.
    with np.errstate(over="ignore", invalid="ignore"):
        dimension = vectors.shape[1]
        weights = [head.filled_weight for head in heads]
        floats = np.empty((min(len(vectors), PIECE_ROWS), len(weights[0])), np.float32)
        floats[:, dimension:] = 0
        for start in range(0, len(vectors), PIECE_ROWS):
            rows = slice(start, start + PIECE_ROWS)
            piece = floats[: len(vectors) - start]
            piece[:, :dimension] = vectors[rows]
            for weight, product in zip(weights, products, strict=True):
                np.vecdot(piece, weight, out=product[rows])
        if scale is not None:
            products = [product * scale for product in products]
        return [product.astype(np.float64) + head.bias for head, product in zip(heads, products, strict=True)]
