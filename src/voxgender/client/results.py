"""The results of a call: in columns, one row for each voiceprint or each channel that was heard."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxgender.client.wire import ResultRow
from voxgender.core.decision import GENDERS
from voxgender.core.errors import DependencyError, VoxgenderError
from voxgender.core.result import Result

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results in the order of what was handed over, as the service tells them, rounded as it rounds.

    Attributes:
        item: Position of each row's voiceprint or recording in what was handed over, int64, shape (n,).
        channel: Its channel, counted from 0, int32, shape (n,); 0 for voiceprints and where channels were mixed.
        speech_s: Seconds of speech, float64, shape (n,); NaN where the item has an error.
        llr: Natural-log likelihood ratio of male against female, float64, shape (n,); NaN where nothing can be told.
        male_probability: Probability of a male voice, float64, shape (n,); NaN where ``llr`` is.
        gender_code: The gender, int8, shape (n,), as a place in :data:`voxgender.core.decision.GENDERS`.
        errors: What kept items from being scored, by their positions, where the call was told to keep such errors.
        tasks: The tasks at the service that the results come from, for ``Client.delete``.
    """

    item: NDArray[np.int64]
    channel: NDArray[np.int32]
    speech_s: NDArray[np.float64]
    llr: NDArray[np.float64]
    male_probability: NDArray[np.float64]
    gender_code: NDArray[np.int8]
    errors: Mapping[int, VoxgenderError] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item)

    def __getitem__(self, index: int) -> Result:
        """Return the row at ``index``, counted from the end where it is negative.

        Raises:
            IndexError: Where there is none.
            TypeError: Where it is no number, like a slice.
        """
        index = operator.index(index)  # a slice is refused by its name, not by what it would come to
        return self._row(self.speech_s[index], self.llr[index], self.male_probability[index], self.gender_code[index])

    def __iter__(self) -> Iterator[Result]:
        """Yield each row's result."""
        columns = (self.speech_s, self.llr, self.male_probability, self.gender_code)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield self._row(*row)

    @property
    def gender(self) -> list[str]:
        """Each row's gender: ``male``, ``female`` or ``unknown``."""
        return [GENDERS[code] for code in self.gender_code.tolist()]

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with the columns item, channel, speech_s, llr, male_probability, gender and error.

        Raises:
            DependencyError: Where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise DependencyError("to_pandas() needs pandas; install it with: pip install pandas") from None
        return pd.DataFrame(self._columns())

    def to_arrow(self) -> pa.Table:
        """Return the table of :meth:`to_pandas` as an Arrow table, with null where nothing can be told.

        Raises:
            DependencyError: Where pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError:
            reason = "to_arrow() needs pyarrow; install it with: pip install 'voxgender[lake]'"
            raise DependencyError(reason) from None
        columns = self._columns()
        kinds = {"gender": pa.string(), "error": pa.string()}
        # from_pandas has NaN become null.
        arrays = {name: pa.array(told, kinds.get(name), from_pandas=True) for name, told in columns.items()}
        return pa.table(arrays)

    def _columns(self) -> dict[str, Any]:
        messages = [str(self.errors[item]) if item in self.errors else None for item in self.item.tolist()]
        return {
            "item": self.item,
            "channel": self.channel,
            "speech_s": self.speech_s,
            "llr": self.llr,
            "male_probability": self.male_probability,
            "gender": self.gender,
            "error": messages,
        }

    @staticmethod
    def _row(speech_s: float, llr: float, male_probability: float, code: int) -> Result:
        if llr != llr:  # NaN: nothing can be told
            return Result(float(speech_s), None, None, "unknown")
        return Result(float(speech_s), float(llr), float(male_probability), GENDERS[code])


def of_rows(items: Sequence[int], rows: Sequence[ResultRow], task: str) -> Results:
    """Return rows that a service has told.

    Args:
        items: The position of each.
        rows: As many.
        task: Where they are from.
    """
    count = len(rows)
    llr, male = np.full(count, np.nan), np.full(count, np.nan)
    for place, row in enumerate(rows):
        for score in row.scores:
            if score.gender == "male":
                llr[place], male[place] = score.score_llr, score.probability
    return Results(
        item=np.array(items, np.int64),
        channel=np.array([row.channel_number for row in rows], np.int32),
        speech_s=np.array([row.speech_length for row in rows], np.float64),
        llr=llr,
        male_probability=male,
        gender_code=np.array([_CODES[row.gender] for row in rows], np.int8),
        tasks=(task,),
    )


def of_errors(errors: Mapping[int, VoxgenderError]) -> Results:
    """Return rows that tell nothing, of items that have errors."""
    count = len(errors)
    nothing = np.full(count, np.nan)
    zeros = np.zeros(count, np.int32)
    codes = np.full(count, _CODES["unknown"], np.int8)
    return Results(np.array(list(errors), np.int64), zeros, nothing, nothing, nothing, codes, dict(errors))


def joined(parts: Sequence[Results]) -> Results:
    """Return the rows of all parts, by item; the rows of an item stay in their order.

    Example:
        >>> len(joined([]))
        0
    """
    parts = parts or [of_errors({})]
    item = np.concatenate([part.item for part in parts])
    order = np.argsort(item, kind="stable")
    return Results(
        item[order],
        np.concatenate([part.channel for part in parts])[order],
        np.concatenate([part.speech_s for part in parts])[order],
        np.concatenate([part.llr for part in parts])[order],
        np.concatenate([part.male_probability for part in parts])[order],
        np.concatenate([part.gender_code for part in parts])[order],
        {place: error for part in parts for place, error in part.errors.items()},
        tuple(task for part in parts for task in part.tasks),
    )


_CODES = {gender: code for code, gender in enumerate(GENDERS)}
