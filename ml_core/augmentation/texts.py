"""Easy data augmentation of labelled texts (Wei and Zou 2019) and typing errors, for English and
Chinese."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from ml_core.augmentation.errors import AugmentationError
from ml_core.augmentation.noise import mistype
from ml_core.augmentation.pieces import (
    GAP,
    WORD,
    Piece,
    content_places,
    join_pieces,
    split_pieces,
    word_places,
)
from ml_core.augmentation.synonyms import Synonyms
from ml_core.augmentation.words import STOP_WORDS
from ml_core.knowledge.phrases import PhraseMatcher
from ml_core.text.language import detect_language

METHODS = ("synonym", "insertion", "swap", "deletion", "typo")
LANGUAGES = ("auto", "en", "zh")
NEEDS_SYNONYMS = frozenset({"synonym", "insertion"})

# A variant can come out like the original or an earlier one; after so many tries there are fewer.
_TRIES = 6

Label = TypeVar("Label")
# Words that may stand for a word in a text of one label.
_Lookup = Callable[[str], Sequence[str]]


def augment(
    texts: Sequence[str],
    labels: Sequence[Label],
    *,
    language: str = "auto",
    methods: Sequence[str] = ("synonym", "insertion", "swap", "deletion"),
    per_example: int = 1,
    alpha: float = 0.1,
    seed: int = 13,
    synonyms: Synonyms | None = None,
    protect: Iterable[str] = (),
) -> list[tuple[str, Label]]:
    """Up to ``per_example`` new texts for each text, with its label; the originals are not among
    them.

    Each variant is made by one of ``methods``, drawn at random: "synonym" replaces words,
    "insertion" puts synonyms of its words at random places, "swap" exchanges words, "deletion"
    drops words, "typo" mistypes words. ``alpha`` is the part of the words that is edited (at least
    one). A variant is never like the original or one before it, so that a short text gives fewer.

    Numbers, tickers, codes, addresses, placeholders, names inside an English sentence, negations
    and the phrases of ``protect`` are never edited nor reordered. A synonym that the given labels
    speak against (it occurs in texts of other labels rather than in those of this one) is not used.

    The same arguments give the same texts; what a text gives does not depend on the others' order,
    but for that test of synonyms against the labels. ``language`` "auto" tells Chinese from the
    rest, which is treated as English. Raises AugmentationError.
    """
    if len(texts) != len(labels):
        raise AugmentationError(f"{len(texts)} texts but {len(labels)} labels")
    if language not in LANGUAGES:
        raise AugmentationError(f"language {language!r} is unknown; use {', '.join(LANGUAGES)}")
    check_methods(methods, METHODS, synonyms)
    if per_example < 1 or not 0 < alpha <= 1:
        raise AugmentationError(
            f"per_example ({per_example}) must be at least 1 and alpha ({alpha}) within 0 and 1"
        )
    phrases = list(protect)
    matcher = PhraseMatcher(phrases) if phrases else None
    evidence = _LabelEvidence(texts, labels, language, matcher)
    rows: list[tuple[str, Label]] = []
    for text, label in zip(texts, labels, strict=True):
        own_language = _language(text, language)
        generator = random.Random(f"{seed}\x00{text}")
        edit = _Editor(own_language, evidence.filtered(synonyms, label), alpha, generator)
        seen = {text}
        for _ in range(per_example * _TRIES):
            if len(seen) > per_example:
                break
            pieces = split_pieces(text, own_language, protected=matcher)
            edit(pieces, generator.choice(list(methods)))
            variant = join_pieces(pieces).strip()
            if variant and variant != text.strip() and variant not in seen:
                seen.add(variant)
                rows.append((variant, label))
    return rows


def check_methods(methods: Sequence[str], known: Sequence[str], synonyms: Synonyms | None) -> None:
    """Raise AugmentationError for no method, one that is not in ``known``, or one that lacks
    synonyms."""
    for method in methods:
        if method not in known:
            raise AugmentationError(f"method {method!r} is unknown; use {', '.join(known)}")
    if not methods:
        raise AugmentationError(f"no method; use one or more of {', '.join(known)}")
    if synonyms is None and NEEDS_SYNONYMS & set(methods):
        raise AugmentationError(
            'the methods "synonym" and "insertion" need a source of synonyms: '
            "EmbeddingSynonyms.from_base(base), FileSynonyms(path) or CedictSynonyms(path)"
        )


def _language(text: str, language: str) -> str:
    if language != "auto":
        return language
    return "zh" if detect_language(text) == "zh" else "en"


class _Editor:
    """One edit of a sentence's pieces, in place."""

    def __init__(
        self, language: str, lookup: _Lookup, alpha: float, generator: random.Random
    ) -> None:
        self._language = language
        self._lookup = lookup
        self._alpha = alpha
        self._generator = generator
        self._edits: dict[str, Callable[[list[Piece]], None]] = {
            "synonym": self._replace,
            "insertion": self._insert,
            "swap": self._swap,
            "deletion": self._delete,
            "typo": self._mistype,
        }

    def __call__(self, pieces: list[Piece], method: str) -> None:
        self._edits[method](pieces)

    def _count(self, pieces: list[Piece]) -> int:
        return max(1, round(self._alpha * len(word_places(pieces))))

    def _shuffled(self, places: list[int]) -> list[int]:
        return self._generator.sample(places, len(places))

    def _replace(self, pieces: list[Piece]) -> None:
        left = self._count(pieces)
        for place in self._shuffled(content_places(pieces, self._language)):
            others = self._lookup(pieces[place].text)
            if others and left:
                pieces[place].text = _like(self._generator.choice(others), pieces[place].text)
                left -= 1

    def _insert(self, pieces: list[Piece]) -> None:
        count = self._count(pieces)
        sources = self._shuffled(content_places(pieces, self._language))
        chosen = [others for place in sources if (others := self._lookup(pieces[place].text))]
        for others in chosen[:count]:
            # Before a word, never inside a run of punctuation.
            place = self._generator.choice(word_places(pieces))
            new = [Piece(self._generator.choice(others), WORD)]
            if self._language == "en":
                new.append(Piece(" ", GAP))
            pieces[place:place] = new

    def _swap(self, pieces: list[Piece]) -> None:
        places = word_places(pieces)
        if len({pieces[place].text for place in places}) < 2:
            return
        for _ in range(self._count(pieces)):
            first, second = self._generator.sample(places, 2)
            pieces[first].text, pieces[second].text = pieces[second].text, pieces[first].text

    def _delete(self, pieces: list[Piece]) -> None:
        places = word_places(pieces)
        # What is left needs a word that carries meaning, or a protected one.
        count = min(self._count(pieces), len(places) - 1)
        for place in sorted(self._generator.sample(places, max(count, 0)), reverse=True):
            _remove(pieces, place)

    def _mistype(self, pieces: list[Piece]) -> None:
        left = self._count(pieces)
        for place in self._shuffled(word_places(pieces)):
            if left:
                changed = mistype(pieces[place].text, self._generator)
                left -= changed != pieces[place].text
                pieces[place].text = changed


def _like(word: str, model: str) -> str:
    """``word`` in the capitals of ``model``."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _remove(pieces: list[Piece], place: int) -> None:
    """Take a word out, with the one space that belonged to it."""
    for gap in (place - 1, place + 1):
        if 0 <= gap < len(pieces) and pieces[gap].text.isspace():
            del pieces[min(gap, place) : max(gap, place) + 1]
            return
    del pieces[place]


class _LabelEvidence:
    """Which words the labels speak against, counted on the texts that are augmented."""

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[Label],
        language: str,
        matcher: PhraseMatcher | None,
    ) -> None:
        self._label_rows: Counter[Hashable] = Counter()
        self._word_rows: Counter[str] = Counter()
        self._together: dict[str, Counter[Hashable]] = defaultdict(Counter)
        for text, label in zip(texts, labels, strict=True):
            pieces = split_pieces(text, _language(text, language), protected=matcher)
            words = {piece.text.casefold() for piece in pieces if piece.kind == WORD}
            self._label_rows[_key(label)] += 1
            for word in words:
                self._word_rows[word] += 1
                self._together[word][_key(label)] += 1

    def filtered(self, synonyms: Synonyms | None, label: object) -> _Lookup:
        """The lookup of a text with this label."""
        if synonyms is None:
            return lambda word: ()
        stop = STOP_WORDS["en"] | STOP_WORDS["zh"]
        return lambda word: [
            other
            for other in synonyms.lookup(word)
            if other.casefold() not in stop and self._allows(other.casefold(), label)
        ]

    def _allows(self, word: str, label: object) -> bool:
        """Whether a text with this word is not less likely to have this label than any text."""
        occurrences = self._word_rows[word]
        if not occurrences:
            return True
        share = self._label_rows[_key(label)] / max(1, self._label_rows.total())
        return self._together[word][_key(label)] >= share * occurrences


def _key(label: object) -> Hashable:
    """Labels of multi-label texts are lists."""
    if isinstance(label, Hashable):
        return label
    return tuple(sorted(label)) if isinstance(label, (list, set)) else repr(label)
