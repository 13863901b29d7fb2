"""The URL of a PostgreSQL database, as the settings have it: it may hold a password, which nobody else is to see."""

from __future__ import annotations

import re
from typing import Final

from voxgender.core.errors import DependencyError

PREFIXES: Final = ("postgresql://", "postgres://")

_USER_PASSWORD: Final = re.compile(r"(?<=//)([^/?@:]*):.*@")
_SOUND: Final = re.compile(r"\w+://([^@/?]*@)?[^@]*")
_QUERY_PASSWORD: Final = re.compile(r"((?:^|[?&])\w*password=)[^&]*", re.IGNORECASE)


def is_postgres(url: str) -> bool:
    """Return whether a store's URL names a PostgreSQL database.

    Example:
        >>> is_postgres("postgresql://db/voxgender"), is_postgres("sqlite:///tasks.db")
        (True, False)
    """
    return url.startswith(PREFIXES)


def is_sound(url: str) -> bool:
    """Return whether it is clear where the password ends; else a part of it is taken for the host, and told.

    Example:
        >>> is_sound("postgresql://me:p%40ss@db/voxgender"), is_sound("postgresql://me:p/s@db/voxgender")
        (True, False)
    """
    return _SOUND.fullmatch(url) is not None


def without_password(url: str) -> str:
    """Return a URL with ``***`` in the place of a password, also where the URL is not well formed.

    Example:
        >>> without_password("postgresql://me:p@ss/w:rd@db:5432/voxgender?sslmode=require")
        'postgresql://me:***@db:5432/voxgender?sslmode=require'
        >>> without_password("postgres:///voxgender?user=me&password=secret&host=db")
        'postgres:///voxgender?user=me&password=***&host=db'
    """
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1:***@", url))


def without_postgres(url: str, error: ImportError) -> DependencyError:
    """Return the error of a store's URL for which a package is not installed."""
    return DependencyError(
        f"VOXGENDER_STORE_URL (--store-url) is {without_password(url)}, which needs {error.name}; "
        'install it with: pip install "voxgender[postgres]"'
    )
