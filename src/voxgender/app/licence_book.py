"""The licence's use in a SQLite store: read once and written once in a transaction, however many tasks it takes."""

from __future__ import annotations

import sqlite3

from voxgender.app.licence import Charge
from voxgender.core.errors import LicenceCapacityError

_Key = tuple[str, str]


class LicenceBook:
    """What each period has used, as a transaction sees it.

    Args:
        connection: In the transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
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

    def write(self) -> None:
        """Write what was entered."""
        rows = [(*key, used) for key, used in self._used.items()]
        self._connection.executemany("INSERT OR REPLACE INTO licence_use VALUES (?, ?, ?)", rows)

    def _used_of(self, charge: Charge) -> float:
        key = (charge.period, charge.resource)
        if key not in self._used:
            query = "SELECT used FROM licence_use WHERE period = ? AND resource = ?"
            row = self._connection.execute(query, key).fetchone()
            self._used[key] = row[0] if row else 0.0
        return self._used[key]
