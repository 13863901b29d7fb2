"""The licence's use in a transaction of a store: read once and written once, however many tasks are charged."""

from __future__ import annotations

from collections.abc import Callable

from voxgender.app.licence import Charge
from voxgender.core.errors import LicenceCapacityError

_Key = tuple[str, str]


class LicenceBook:
    """What each period has used, as a transaction sees it.

    Args:
        stored: Tells what is stored of a period and a resource; asked once for each.
    """

    def __init__(self, stored: Callable[[str, str], float]) -> None:
        self._stored = stored
        self._used: dict[_Key, float] = {}

    def check(self, charge: Charge) -> None:
        """Check that a charge fits its period.

        Raises:
            LicenceCapacityError: Where the period does not allow it.
        """
        used = self._used_of(charge)
        if charge.capacity is not None and used + charge.amount > charge.capacity:
            raise LicenceCapacityError(
                f"the licence allows {charge.capacity:g} {charge.resource} in its period ({charge.period}); "
                f"{used:g} are used and {charge.amount:g} more were asked for"
            )

    def check_left(self, charge: Charge) -> None:
        """Check that a charge's period has something left, whatever the amount, which is not known yet.

        Raises:
            LicenceCapacityError: Where all of it is used up.
        """
        used = self._used_of(charge)
        if charge.capacity is not None and used >= charge.capacity:
            raise LicenceCapacityError(
                f"the licence allows {charge.capacity:g} {charge.resource} in its period ({charge.period}), "
                f"and {used:g} are used"
            )

    def enter(self, charge: Charge) -> None:
        """Add a charge to what its period has used."""
        self._used[charge.period, charge.resource] = self._used_of(charge) + charge.amount

    def entries(self) -> list[tuple[str, str, float]]:
        """Return what is to be stored: period, resource, and what of it is used now."""
        return [(*key, used) for key, used in self._used.items()]

    def _used_of(self, charge: Charge) -> float:
        key = (charge.period, charge.resource)
        if key not in self._used:
            self._used[key] = self._stored(*key)
        return self._used[key]
