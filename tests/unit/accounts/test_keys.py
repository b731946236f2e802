"""The text of keys and tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rootstock.accounts.keys import (
    base62,
    key_digest,
    key_matches,
    key_new,
    key_parts,
    token_digest,
    token_for,
)


def test_a_key_is_taken_apart_as_it_was_made():
    key = key_new()
    prefix, secret = key_parts(key.text)
    assert (prefix, len(secret)) == (key.prefix, 43)
    assert key_digest(secret) == key.digest
    assert len({key_new().text for _ in range(100)}) == 100


@given(st.binary(min_size=32, max_size=32))
def test_base62_keeps_every_bit(raw):
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = base62(raw, 43)
    assert len(text) == 43
    number = 0
    for character in text:
        number = number * 62 + digits.index(character)
    assert number.to_bytes(32, "big") == raw


@given(st.text())
def test_any_text_is_a_key_or_not(text):
    parts = key_parts(text)
    assert parts is None or text == f"rk_{parts[0]}_{parts[1]}"


def test_a_digest_is_of_its_pepper(settings):
    digest = key_digest("secret")
    assert key_matches("secret", digest)
    assert not key_matches("Secret", digest)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = []
    assert not key_matches("secret", digest)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert key_matches("secret", digest)


def test_a_token_is_of_its_purpose_and_name():
    assert token_for("invitation", "1") == token_for("invitation", "1")
    assert (
        len({token_for("invitation", "1"), token_for("invitation", "2"), token_for("x", "1")}) == 3
    )
    assert len(token_digest(token_for("invitation", "1"))) == 32
