"""What licence and keys allow, in a transaction of a store: read once and written once, however many are charged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from voxgender.app.licence import Charge
from voxgender.core.errors import CapacityError, KeyCapacityError, LicenceCapacityError

_Key = tuple[str, str]


class LicenceBook:
    """What each period has used, as a transaction sees it.

    Args:
        stored: Tells what is stored of a period and a resource; asked once for each.
    """

    def __init__(self, stored: Callable[[str, str], float]) -> None:
        self._stored = stored
        self._used: dict[_Key, float] = {}

    def check(self, charges: Iterable[Charge]) -> None:
        """Check that charges fit their periods.

        Raises:
            CapacityError: Where a period does not allow it.
        """
        for charge in charges:
            used = self._used_of(charge)
            if charge.capacity is not None and used + charge.amount > charge.capacity:
                raise _refusal(charge, f"{used:g} are used and {charge.amount:g} more were asked for")

    def check_left(self, charges: Iterable[Charge]) -> None:
        """Check that the periods of charges have something left, whatever the amount, which is not known yet.

        Raises:
            CapacityError: Where all of one is used up.
        """
        for charge in charges:
            used = self._used_of(charge)
            if charge.capacity is not None and used >= charge.capacity:
                raise _refusal(charge, f"{used:g} are used")

    def enter(self, charges: Iterable[Charge]) -> None:
        """Add charges to what their periods have used."""
        for charge in charges:
            self._used[charge.period, charge.resource] = self._used_of(charge) + charge.amount

    def entries(self) -> list[tuple[str, str, float]]:
        """Return what is to be stored: period, resource, and what of it is used now."""
        return [(*key, used) for key, used in self._used.items()]

    def _used_of(self, charge: Charge) -> float:
        key = (charge.period, charge.resource)
        if key not in self._used:
            self._used[key] = self._stored(*key)
        return self._used[key]


def _refusal(charge: Charge, used: str) -> CapacityError:
    kind = KeyCapacityError if charge.allows == "key" else LicenceCapacityError
    allowed = f"the {charge.allows} allows {charge.capacity:g} {charge.resource} in its period ({charge.period})"
    return kind(f"{allowed}; {used}")
