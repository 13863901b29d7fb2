"""The licence: who may have how much work done, until when. A local file; nothing is asked over a network."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from voxgender.core.errors import LicenceExpiredError, SettingsError

Resource: TypeAlias = Literal["voiceprints", "audio_s"]
Period: TypeAlias = Literal["day", "month", "year", "total"]


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be used in one period; None means without bound."""

    period: Period
    voiceprints: Annotated[int, msgspec.Meta(ge=0)] | None = None
    audio_s: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def bound(self, resource: Resource) -> float | None:
        """Return how much of a resource may be used in a period; None for no bound."""
        return self.voiceprints if resource == "voiceprints" else self.audio_s

    def label(self, now: dt.datetime) -> str:
        """Return the name of the period that a moment lies in.

        Example:
            >>> Capacity("month").label(dt.datetime(2026, 11, 30))
            'month 2026-11'
        """
        labels = {"day": f"day {now:%Y-%m-%d}", "month": f"month {now:%Y-%m}", "year": f"year {now:%Y}"}
        return labels.get(self.period, self.period)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a piece of work uses up, to be booked in the transaction that stores its task, where it has one.

    Attributes:
        resource: What is used.
        amount: How much of it.
        period: Label of the period it counts in, like ``month 2026-11``.
        capacity: The most that the period allows; None for no bound.
        allows: What allows it: ``licence`` or ``key``.
    """

    resource: Resource
    amount: float
    period: str
    capacity: float | None
    allows: Literal["licence", "key"] = "licence"


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A licence as its file writes it.

    Attributes:
        licensee: Whose it is.
        valid_until: The moment it ends, with a time zone.
        capacity: What it allows in each period; None allows everything.
    """

    licensee: str
    valid_until: dt.datetime
    capacity: Capacity | None = None

    def charge(self, resource: Resource, amount: float, now_s: float) -> Charge:
        """Return the charge for ``amount`` of ``resource`` at the moment ``now_s`` (UTC epoch seconds).

        Raises:
            LicenceExpiredError: Where the licence has ended.

        Example:
            >>> until = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
            >>> licence = Licence("ACME", until, Capacity("month", voiceprints=1000))
            >>> licence.charge("voiceprints", 3, now_s=1795000000)
            Charge(resource='voiceprints', amount=3, period='month 2026-11', capacity=1000, allows='licence')
        """
        now = dt.datetime.fromtimestamp(now_s, dt.UTC)
        if now >= self.valid_until:
            raise LicenceExpiredError(f"the licence ended on {self.valid_until.isoformat()}; renew it")
        if self.capacity is None:
            return Charge(resource, amount, "total", None)
        return Charge(resource, amount, self.capacity.label(now), self.capacity.bound(resource))


def read_licence(path: Path) -> Licence:
    """Return the licence that a file holds.

    Raises:
        SettingsError: Where the file cannot be read or is no licence; the message names the file and what is wrong.
    """
    try:
        licence = msgspec.json.decode(path.read_bytes(), type=Licence)
    except OSError as error:
        raise SettingsError(
            f"VOXGENDER_LICENCE_FILE (--licence-file) is {path}: {error.strerror or 'it cannot be read'}"
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(
            f"VOXGENDER_LICENCE_FILE (--licence-file) is {path}, which is no licence: {error}"
        ) from None
    if licence.valid_until.tzinfo is None:
        reason = "valid_until needs a time zone, like 2027-01-01T00:00:00Z"
        raise SettingsError(f"VOXGENDER_LICENCE_FILE (--licence-file) is {path}: {reason}")
    return licence
