"""The key of a caller: a text that opens the service, and what a store keeps of it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from voxgender.app.licence import Capacity, Charge, Resource

PREFIX: Final = "vxg"
"""What a key begins with, so that people and scanners for leaked secrets know it."""
SECRET_BYTES: Final = 32
AUTHORIZATION: Final = "authorization"
API_KEY: Final = "x-api-key"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as a store keeps it. The secret itself is kept nowhere.

    Attributes:
        key_id: Its id, which is no secret.
        name: What its maker calls it.
        secret_hash: SHA-256 of the secret. Nothing slower is needed: a secret is 256 random bits, not a password.
        created_s: UTC epoch seconds at which it was made.
        expires_s: UTC epoch seconds from which on it does not open; None for never.
        rate_limit: Requests that may be sent with it, like ``100 per minute``; None for the service's own limit.
        capacity: What may be used with it in a period; None for no bound but the licence's.
    """

    key_id: str
    name: str
    secret_hash: bytes
    created_s: float
    expires_s: float | None = None
    rate_limit: str | None = None
    capacity: Capacity | None = None

    def opens_with(self, secret: str) -> bool:
        """Return whether a secret is this key's; it takes the same time whatever the secret is."""
        return hmac.compare_digest(self.secret_hash, hash_of(secret))

    def has_ended(self, now_s: float) -> bool:
        """Return whether it does not open any more at a moment (UTC epoch seconds)."""
        return self.expires_s is not None and now_s >= self.expires_s

    def charge(self, resource: Resource, amount: float, now_s: float) -> Charge | None:
        """Return what the key is charged for ``amount`` of ``resource`` at a moment (UTC epoch seconds).

        None for a key without bounds.

        Example:
            >>> key = ApiKey("3f9a17c2", "call centre", b"", 0.0, capacity=Capacity("month", voiceprints=1000))
            >>> key.charge("voiceprints", 3, now_s=1795000000).period
            'key 3f9a17c2, month 2026-11'
        """
        if self.capacity is None:
            return None
        label = self.capacity.label(dt.datetime.fromtimestamp(now_s, dt.UTC))
        return Charge(resource, amount, f"key {self.key_id}, {label}", self.capacity.bound(resource), "key")

    def text(self) -> str:
        """Return what a store writes; :func:`read_key` reads it."""
        return msgspec.json.encode(self).decode()


def new_key(
    name: str,
    now_s: float,
    expires_s: float | None = None,
    rate_limit: str | None = None,
    capacity: Capacity | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its text, which is told once and kept nowhere.

    Args:
        name: What it is called.
        now_s: UTC epoch seconds.
        expires_s: UTC epoch seconds from which on it does not open; None for never.
        rate_limit: Requests that may be sent with it; None for the service's own limit.
        capacity: What may be used with it; None for no bound but the licence's.
    """
    key_id = secrets.token_hex(4)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=")
    key = ApiKey(key_id, name, hash_of(secret), now_s, expires_s, rate_limit, capacity)
    return key, f"{PREFIX}_{key_id}_{secret}"


def read_key(text: str | bytes) -> ApiKey:
    """Return the key that :meth:`ApiKey.text` wrote."""
    return msgspec.json.decode(text, type=ApiKey)


def parts_of(text: str) -> tuple[str, str]:
    """Return a key's id and its secret; both are empty where the text cannot be a key.

    Example:
        >>> parts_of("vxg_3f9a17c2_s3cr_et")
        ('3f9a17c2', 's3cr_et')
        >>> parts_of("letmein")
        ('', '')
    """
    prefix, _, rest = text.strip().partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == PREFIX else ("", "")


def sent_key(authorization: str | None, api_key: str | None) -> str | None:
    """Return the key that a caller sent, by the header of either name; None where it sent none.

    Example:
        >>> sent_key("bearer vxg_3f9a17c2_secret", None)
        'vxg_3f9a17c2_secret'
        >>> sent_key("Bearer of_another_service", "vxg_3f9a17c2_secret")
        'vxg_3f9a17c2_secret'
    """
    scheme, _, told = (authorization or "").strip().partition(" ")
    bearer = told.strip() if scheme.lower() == "bearer" else ""
    # A proxy in front may have a use of its own for the first.
    if api_key and not bearer.startswith(PREFIX):
        return api_key
    return bearer or None


def hash_of(secret: str) -> bytes:
    """Return what a store keeps of a secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
