"""Augmentation of BIO-tagged sentences whose tags stay aligned (Dai and Adel 2020, "An Analysis of
Simple Data Augmentation for Named Entity Recognition")."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from ml_core.augmentation.errors import AugmentationError
from ml_core.augmentation.pieces import is_kept_token
from ml_core.augmentation.synonyms import Synonyms
from ml_core.augmentation.texts import check_methods
from ml_core.augmentation.words import STOP_WORDS
from ml_core.evaluation.tags import entity_spans
from ml_core.knowledge.phrases import fold

TAGGED_METHODS = ("token", "synonym", "mention", "shuffle")

_TRIES = 6
# The part of the tokens (segments, mentions) that one variant changes is drawn with this chance each.
_RATE = 0.3

Tagged = tuple[list[str], list[str]]
Item = TypeVar("Item")


class Segment(NamedTuple):
    """Tokens ``start`` to ``end`` (exclusive): a mention of type ``kind``, or outside ("O")."""

    start: int
    end: int
    kind: str


def augment_tagged(
    rows: Sequence[tuple[Sequence[str], Sequence[str]]],
    *,
    methods: Sequence[str] = ("token", "mention", "shuffle"),
    per_example: int = 1,
    rate: float = _RATE,
    seed: int = 13,
    synonyms: Synonyms | None = None,
    protect: Iterable[str] = (),
) -> list[Tagged]:
    """Up to ``per_example`` new (tokens, tags) for each row of (tokens, BIO tags); the originals
    are not among them, and tokens and tags are always of one length.

    Each variant is made by one of ``methods``, drawn at random. "mention" puts another mention of
    the same type from ``rows`` in the place of a mention, tags with it. "token" puts tokens that
    have the same tag in ``rows`` in the place of tokens outside mentions, "synonym" those of
    ``synonyms``; numbers, codes, tickers, negations and the tokens of ``protect`` stay. "shuffle"
    changes the order of the tokens outside mentions between one mention and the next. No other
    method than "mention" touches an entity. ``rate`` is the chance of each place to be changed.

    Raises AugmentationError for a tag that is not O, B-… or I-…, for tokens and tags of different
    lengths, or an unknown method; ``row`` counts from 1.
    """
    check_methods(methods, TAGGED_METHODS, synonyms)
    if per_example < 1 or not 0 < rate <= 1:
        raise AugmentationError(
            f"per_example ({per_example}) must be at least 1 and rate ({rate}) within 0 and 1"
        )
    bank = _Bank(rows, synonyms, {fold(token) for token in protect}, rate)
    edits: dict[str, Callable[[Tagged, random.Random], Tagged]] = {
        "token": bank.replace_tokens,
        "synonym": bank.replace_synonyms,
        "mention": bank.replace_mentions,
        "shuffle": bank.shuffle,
    }
    new: list[Tagged] = []
    for tokens, tags in rows:
        original = (list(tokens), list(tags))
        generator = random.Random(f"{seed}\x00{original}")
        seen = [original]
        for _ in range(per_example * _TRIES):
            if len(seen) > per_example:
                break
            variant = edits[generator.choice(list(methods))](original, generator)
            if variant not in seen:
                seen.append(variant)
        new.extend(seen[1:])
    return new


def segments(tags: Sequence[str]) -> list[Segment]:
    """Mentions and the runs between them, in order. An I- that continues nothing begins a mention.

    Raises AugmentationError for a tag that is not O, B-… or I-….
    """
    for tag in tags:
        if tag != "O" and not tag.startswith(("B-", "I-")):
            raise AugmentationError(f"tag {tag!r} is not O, B-… or I-…")
    found: list[Segment] = []
    at = 0
    for kind, start, end in [*entity_spans(tags), ("", len(tags), len(tags))]:
        if at < start:
            found.append(Segment(at, start, "O"))
        if start < end:
            found.append(Segment(start, end, kind))
        at = end
    return found


class _Bank:
    """The tokens and mentions of all rows, and the edits that draw from them."""

    def __init__(
        self,
        rows: Sequence[tuple[Sequence[str], Sequence[str]]],
        synonyms: Synonyms | None,
        protected: set[str],
        rate: float,
    ) -> None:
        self._synonyms = synonyms
        self._protected = protected
        self._rate = rate
        outside: Counter[str] = Counter()
        mentions: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for number, (tokens, tags) in enumerate(rows, start=1):
            if len(tokens) != len(tags):
                raise AugmentationError(f"row {number}: {len(tokens)} tokens but {len(tags)} tags")
            try:
                parts = segments(tags)
            except ValueError as error:
                raise AugmentationError(f"row {number}: {error}") from None
            for start, end, kind in parts:
                if kind == "O":
                    outside.update(token for token in tokens[start:end] if self._free(token))
                else:
                    mentions[kind][tuple(tokens[start:end])] += 1
        self._outside = _Weighted(outside)
        self._mentions = {kind: _Weighted(counts) for kind, counts in mentions.items()}

    def replace_tokens(self, row: Tagged, generator: random.Random) -> Tagged:
        tokens, tags = row
        changed = list(tokens)
        for place in self._outside_places(tokens, tags):
            if generator.random() < self._rate:
                changed[place] = self._outside.draw(generator)
        return changed, list(tags)

    def replace_synonyms(self, row: Tagged, generator: random.Random) -> Tagged:
        tokens, tags = row
        changed = list(tokens)
        stop = STOP_WORDS["en"] | STOP_WORDS["zh"]
        for place in self._outside_places(tokens, tags):
            if tokens[place].casefold() in stop or self._synonyms is None:
                continue
            others = [other for other in self._synonyms.lookup(tokens[place]) if " " not in other]
            if others and generator.random() < self._rate:
                changed[place] = generator.choice(others)
        return changed, list(tags)

    def replace_mentions(self, row: Tagged, generator: random.Random) -> Tagged:
        tokens, tags = row
        new_tokens: list[str] = []
        new_tags: list[str] = []
        parts = segments(tags)
        places = [number for number, part in enumerate(parts) if part.kind != "O"]
        chosen = {number for number in places if generator.random() < self._rate}
        if places and not chosen:
            chosen = {generator.choice(places)}
        for number, (start, end, kind) in enumerate(parts):
            if number not in chosen or self._is_protected(tokens[start:end]):
                new_tokens += tokens[start:end]
                new_tags += tags[start:end]
            else:
                mention = self._mentions[kind].draw(generator)
                new_tokens += mention
                new_tags += [f"B-{kind}", *[f"I-{kind}"] * (len(mention) - 1)]
        return new_tokens, new_tags

    def shuffle(self, row: Tagged, generator: random.Random) -> Tagged:
        tokens, tags = row
        changed = list(tokens)
        for start, end, kind in segments(tags):
            if kind == "O" and generator.random() < self._rate:
                places = [place for place in range(start, end) if self._free(tokens[place])]
                order = generator.sample(places, len(places))
                for place, source in zip(places, order, strict=True):
                    changed[place] = tokens[source]
        return changed, list(tags)

    def _outside_places(self, tokens: Sequence[str], tags: Sequence[str]) -> list[int]:
        return [
            place
            for place, (token, tag) in enumerate(zip(tokens, tags, strict=True))
            if tag == "O" and self._free(token)
        ]

    def _free(self, token: str) -> bool:
        """Whether a token outside mentions may be edited: a word that is not protected."""
        return (
            any(character.isalnum() for character in token)
            and not is_kept_token(token)
            and fold(token) not in self._protected
        )

    def _is_protected(self, tokens: Sequence[str]) -> bool:
        whole = {fold("".join(tokens)), fold(" ".join(tokens)), *map(fold, tokens)}
        return not whole.isdisjoint(self._protected)


class _Weighted(Generic[Item]):
    """Draws items as often as they were counted."""

    def __init__(self, counts: Counter[Item]) -> None:
        self._items = list(counts)
        self._bounds = list(accumulate(counts.values()))

    def draw(self, generator: random.Random) -> Item:
        return generator.choices(self._items, cum_weights=self._bounds)[0]
