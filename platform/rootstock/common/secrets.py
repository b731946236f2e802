"""Secrets at rest: encrypted with a key that is derived from the secret key of the installation."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField  # takes no parameters at run time


class SecretUnreadable(RuntimeError):
    """A stored secret was encrypted under a secret key that this installation no longer has."""


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    def derive(key: str) -> Fernet:
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"rootstock.stored-secrets.v1")
        return Fernet(base64.urlsafe_b64encode(hkdf.derive(key.encode())))

    return MultiFernet([derive(key) for key in keys])


def _current() -> MultiFernet:
    return _fernet((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def encrypt(text: str) -> str:
    """An authenticated token (Fernet: AES-128-CBC, HMAC-SHA256) under ROOTSTOCK_SECRET_KEY."""
    return _current().encrypt(text.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """The text of a token made under ROOTSTOCK_SECRET_KEY or one of ROOTSTOCK_OLD_SECRET_KEYS.

    Raises:
        SecretUnreadable: under neither, or it was changed.
    """
    try:
        return _current().decrypt(token.encode("ascii")).decode()
    except InvalidToken as error:
        raise SecretUnreadable(
            "a stored secret cannot be decrypted: add the secret key under which it was stored to "
            "ROOTSTOCK_OLD_SECRET_KEYS"
        ) from error


class EncryptedTextField(_TextField):
    """Text that is encrypted in the database and plain in Python.

    Saving a row encrypts under the newest key. It cannot be searched: every encryption of a text differs.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way in."""
        return None if value is None else encrypt(str(value))

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """Decrypt on the way out."""
        return None if value is None else decrypt(value)
