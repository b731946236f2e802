"""Who a text speaks of, and how: what linking and the models found, put together."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apps.finance_sentiment.inference import Link, Reading, SpanSentiment, TaggedSpan, fold_name
from apps.finance_sentiment.models import EntityKind, Mention

# More are not of one text; a list of all shares of a market is no news of each.
MOST: Final = 40
# What tagging models call the kinds of entities; what is not here is left out.
_KINDS: Final = {
    "company": EntityKind.COMPANY,
    "organization": EntityKind.ORGANISATION,
    "organisation": EntityKind.ORGANISATION,
    "org": EntityKind.COMPANY,
    "government": EntityKind.ORGANISATION,
    "person": EntityKind.PERSON,
    "per": EntityKind.PERSON,
    "name": EntityKind.PERSON,
    "place": EntityKind.PLACE,
    "location": EntityKind.PLACE,
    "loc": EntityKind.PLACE,
    "gpe": EntityKind.PLACE,
    "address": EntityKind.PLACE,
    "product": EntityKind.PRODUCT,
    "ticker": EntityKind.TICKER,
}


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention to be: places count the characters of title, line feed and body."""

    start: int
    end: int
    surface: str
    kind: str
    state: str
    entity: uuid.UUID | None = None
    score: float = 0.0
    candidates: list[dict[str, Any]] = field(default_factory=list)
    sentiment: str = ""
    probability: float | None = None
    basis: str = Mention.Basis.DOCUMENT

    @property
    def folded(self) -> str:
        """The name as names are compared."""
        return fold_name(self.surface)[:200]


def references_make(
    *,
    reading: Reading,
    links: Sequence[Link],
    tagged: Sequence[TaggedSpan],
    sentiments: Mapping[tuple[int, int], SpanSentiment],
    document_sentiment: str,
    document_probability: float | None,
    kinds: Mapping[str, str],
) -> list[Reference]:
    """The mentions of a text, from left to right.

    A place whose sentiment no model has read has that of the whole document, and says so. `kinds` are those of
    entities by id.
    """
    found: list[tuple[int, int, str, Link | None]] = [
        (link.start, link.end, kinds.get(link.candidates[0].entity, EntityKind.COMPANY), link)
        for link in links
    ]
    for span in tagged:
        seen = _KINDS.get(span.label.casefold())
        if seen and all(span.end <= link.start or link.end <= span.start for link in links):
            found.append((span.start, span.end, seen, None))
    found = sorted(found, key=lambda each: each[:2])[:MOST]
    written = reading.written([(start, end) for start, end, _kind, _link in found])
    references = []
    for (start, end, kind, link), (first, last) in zip(found, written, strict=True):
        said = sentiments.get((start, end))
        linked = link is not None and link.decision == "linked"
        references.append(
            Reference(
                start=first,
                end=last,
                surface=reading.raw[first:last][:200],
                kind=kind,
                state=_state(link),
                entity=uuid.UUID(link.candidates[0].entity) if link and linked else None,
                score=link.candidates[0].score if link else 0.0,
                candidates=[
                    {"entity": each.entity, "score": each.score}
                    for each in (link.candidates[:5] if link and not linked else ())
                ],
                sentiment=said.label if said else document_sentiment,
                probability=said.probability if said else document_probability,
                basis=Mention.Basis.ENTITY_MODEL if said else Mention.Basis.DOCUMENT,
            )
        )
    return references


def _state(link: Link | None) -> str:
    if link is None:
        return Mention.State.UNKNOWN
    return Mention.State.LINKED if link.decision == "linked" else Mention.State.REVIEW
