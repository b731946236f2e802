"""Words and facets as the numbers that the search index knows them by."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from apps.finance_sentiment.inference.searching import terms
from rootstock.tenancy.scope import current_organisation_id

# Of a body, so many characters are searched: the beginning says what it is about.
BODY = 1_200


def term_number(organisation_id: uuid.UUID | None, term: str) -> int:
    """What a term is stored as: 32 bits, another number in every organisation. `_FACETS` of services/indexing.py makes
    the same in SQL."""
    digest = hashlib.md5(f"{organisation_id}:{term}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big", signed=True)


def word_numbers(words: Iterable[str]) -> list[int]:
    """The numbers of words of the analyser, in order, each once."""
    mine = current_organisation_id()
    return list(dict.fromkeys(term_number(mine, f"word:{word}") for word in words))


def facet_number(facet: str, value: object) -> int:
    """The number of a facet such as topic, source or day."""
    return term_number(current_organisation_id(), f"{facet}:{value}")


def text_numbers(title: str, body: str) -> list[int]:
    """The numbers of the words of a document."""
    return word_numbers(terms(f"{title}\n{body[:BODY]}"))
