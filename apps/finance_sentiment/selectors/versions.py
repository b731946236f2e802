"""What an edit of a document changed, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from apps.finance_sentiment.models import Document, DocumentVersion
from apps.finance_sentiment.selectors.threads import document_versions

# Words, Chinese characters one by one, and what stands between.
_PIECE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W\u3400-\u9fff\uf900-\ufaff]+|\s+|[^\w\s]")
# Comparing takes the square of the pieces where much has changed; of longer texts the beginning is compared.
MOST_PIECES = 4000


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of text: "same", "added" or "removed"."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: from the version before to this one, with the pieces of title and body."""

    revision: int
    received_at: datetime
    published_at: datetime
    title: list[Change]
    body: list[Change]
    # the address or the time was changed as well: what it was, empty where it was not
    url_before: str
    published_before: datetime | None


def text_changes(before: str, after: str) -> list[Change]:
    """The pieces of two texts in order; `same` and `removed` make the one, `same` and `added` the other.

    Of a text of more than `MOST_PIECES` pieces only the beginning is given.
    """
    old, new = _PIECE.findall(before)[:MOST_PIECES], _PIECE.findall(after)[:MOST_PIECES]
    changes: list[Change] = []
    for kind, start, end, new_start, new_end in SequenceMatcher(
        None, old, new, False
    ).get_opcodes():
        if kind == "equal":
            changes.append(Change("same", "".join(old[start:end])))
            continue
        if end > start:
            changes.append(Change("removed", "".join(old[start:end])))
        if new_end > new_start:
            changes.append(Change("added", "".join(new[new_start:new_end])))
    return changes


def document_edits(document: Document) -> Iterator[Edit]:
    """The edits of a document, the latest first."""
    after: Document | DocumentVersion = document
    for before in document_versions(document):
        yield Edit(
            revision=after.revision,
            received_at=after.received_at,
            published_at=after.published_at,
            title=text_changes(before.title, after.title),
            body=text_changes(before.body, after.body),
            url_before=before.url if before.url != after.url else "",
            published_before=(
                before.published_at if before.published_at != after.published_at else None
            ),
        )
        after = before
