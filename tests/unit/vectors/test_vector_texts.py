"""A text has one stored form and one hash; what cannot be stored is known before the database says so."""

from __future__ import annotations

import hashlib
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from rootstock.vectors.services.items import clean_text, content_hash
from rootstock.vectors.values import simple, storable

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_cleaning_twice_is_cleaning_once(text):
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert storable(clean)
    assert clean == clean.strip()


@given(TEXTS)
def test_writings_of_the_same_text_have_the_same_hash(text):
    forms = [text, unicodedata.normalize("NFD", text), f"  {text}\n", text.replace("", "\x00")]
    assert len({content_hash(clean_text(form)) for form in forms}) == 1


@given(TEXTS, TEXTS)
def test_other_texts_have_other_hashes(first, second):
    same = clean_text(first) == clean_text(second)
    assert (content_hash(clean_text(first)) == content_hash(clean_text(second))) == same


def test_the_hash_is_that_of_the_bytes():
    assert content_hash("央行") == hashlib.sha256("央行".encode()).hexdigest()


@given(st.recursive(st.none() | st.booleans() | st.floats() | TEXTS, st.lists, max_leaves=3))
def test_a_value_is_simple_or_refused(value):
    import json

    if simple(value):
        assert not isinstance(value, list)
        json.dumps(value, allow_nan=False)
        assert not isinstance(value, str) or "\x00" not in value
    else:
        assert isinstance(value, list | float | str)


def test_halves_of_characters_are_refused():
    assert not storable("\ud800")
    assert not simple("\ud800")
