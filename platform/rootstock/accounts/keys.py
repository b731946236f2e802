"""The text of an API key, and of the token in an invitation: made, taken apart and compared here, nowhere else.

A key is `rk_<prefix>_<secret>`. The prefix is public and finds the row; of the secret only an HMAC is stored, under
a pepper derived from ROOTSTOCK_SECRET_KEY, so a stolen copy of the database opens nothing. A secret has 256 bits of
its own, so a slow password hash would add cost and no safety.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from django.conf import settings

__all__ = [
    "KEY_START",
    "NewKey",
    "key_digest",
    "key_matches",
    "key_new",
    "key_parts",
    "token_digest",
    "token_for",
]

KEY_START = "rk_"
PREFIX_LENGTH = 10
SECRET_BYTES = 32
SECRET_LENGTH = 43  # base62 digits that hold 32 bytes
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment when its text is known."""

    text: str
    prefix: str
    digest: bytes


def base62(raw: bytes, length: int) -> str:
    """`raw` as a big-endian number in base 62, padded with zeros to `length` digits."""
    number = int.from_bytes(raw, "big")
    digits = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(length, "0")


def key_new(prefix: str = "") -> NewKey:
    """A fresh key; with `prefix`, a fresh secret for the key of that prefix."""
    prefix = prefix or "".join(secrets.choice(_DIGITS) for _ in range(PREFIX_LENGTH))
    secret = base62(secrets.token_bytes(SECRET_BYTES), SECRET_LENGTH)
    return NewKey(f"{KEY_START}{prefix}_{secret}", prefix, key_digest(secret))


def key_parts(text: str) -> tuple[str, str] | None:
    """(prefix, secret) of a well-formed key, None for anything else."""
    if not text.isascii() or not text.startswith(KEY_START):
        return None
    prefix, _, secret = text.removeprefix(KEY_START).partition("_")
    if not prefix.isalnum() or len(prefix) > 16 or not secret.isalnum() or len(secret) > 64:
        return None
    return prefix, secret


def _peppers(purpose: str) -> list[bytes]:
    """Keys for one purpose, the current one first, then those of former secret keys."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hmac.digest(key.encode(), f"rootstock.{purpose}".encode(), "sha256") for key in keys]


def key_digest(secret: str) -> bytes:
    """HMAC-SHA256 of a key's secret under the current pepper, 32 bytes."""
    return hmac.digest(_peppers("api-key")[0], secret.encode(), "sha256")


def key_matches(secret: str, digest: bytes) -> bool:
    """Whether `digest` was made of `secret`, under the current pepper or a former one; in constant time."""
    found = False
    for pepper in _peppers("api-key"):
        candidate = hmac.digest(pepper, secret.encode(), "sha256")
        found |= hmac.compare_digest(candidate, digest)
    return found


def token_for(purpose: str, name: str) -> str:
    """The secret token of one thing, derived rather than stored: 43 base62 digits of an HMAC-SHA256 of its name."""
    return base62(hmac.digest(_peppers(purpose)[0], name.encode(), "sha256"), SECRET_LENGTH)


def token_digest(token: str) -> bytes:
    """What is stored of a token, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()
