"""Groups of texts that no topic covers, found by their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_core.clustering import cluster, telling_terms
from rootstock.modelhub.inference import base_languages, embed_texts

# Chosen on the headlines of finance_rss_zh_en: at .55 one group takes most of a day, at .7 few are left.
ALIKE = 0.62
LEAST = 4


@dataclass(frozen=True, slots=True)
class Group:
    """Places of texts, the most typical first; what they share; and how alike they are."""

    members: tuple[int, ...]
    terms: list[str]
    cohesion: float


def groups_find(
    texts: Sequence[str], *, alike: float = ALIKE, least: int = LEAST
) -> tuple[list[Group], str]:
    """Groups of texts that speak of the same, the greatest first, and what made the vectors.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    vectors, model = embed_texts(texts, languages=base_languages())
    found = cluster(vectors, alike=alike, least=least)
    inside = {member for each in found for member in each.members}
    rest = [text for place, text in enumerate(texts) if place not in inside]
    terms = telling_terms([[texts[member] for member in each.members] for each in found], rest)
    return [
        Group(each.members, words, each.cohesion) for each, words in zip(found, terms, strict=True)
    ], model
