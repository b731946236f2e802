"""Reading what a person wrote: its language, its words, and what identifies somebody in it."""

from __future__ import annotations

from collections.abc import Collection

from ml_core.text import (
    PersonalSpan,
    detect_language,
    find_personal,
    lsh_bands,
    mask_personal,
    minhash_signature,
    near_duplicate,
    normalise,
    segment,
)

__all__ = [
    "LANGUAGES",
    "alike_bands",
    "are_alike",
    "language_of",
    "masked",
    "normal",
    "personal",
    "words",
]

# What the assistant speaks; anything else is answered in English.
LANGUAGES = ("zh", "en")


def language_of(text: str, *, hint: str = "") -> str:
    """ "zh" or "en": what `text` is written in, else what was spoken before, else English."""
    found = detect_language(text, hint=hint or None)
    if found in LANGUAGES:
        return found
    before = hint.lower().replace("_", "-").split("-")[0]
    return before if found == "und" and before in LANGUAGES else "en"


def masked(text: str, *, kept: Collection[str] = ()) -> tuple[str, dict[str, int]]:
    """The text as models, logs and training may see it, and how many of each kind of personal data were taken out.

    Kinds that are `kept` stay as they are.
    """
    if not kept:
        return mask_personal(text)
    parts: list[str] = []
    counts: dict[str, int] = {}
    done = 0
    for span in find_personal(text):
        if span.kind not in kept:
            parts += [text[done : span.start], f"<{span.kind}>"]
            counts[span.kind] = counts.get(span.kind, 0) + 1
            done = span.end
    return "".join([*parts, text[done:]]), counts


def personal(text: str) -> list[PersonalSpan]:
    """Where and which personal data a text has, in order."""
    return find_personal(text)


def normal(text: str) -> str:
    """NFKC without invisible characters, casefolded, every run of white space one space."""
    return normalise(text).casefold()


def words(text: str, language: str) -> list[str]:
    """Casefolded words in order, without punctuation; Chinese ones by the segmenter's search mode."""
    return segment(text, language)


def alike_bands(text: str) -> list[int]:
    """Numbers of which texts that are nearly alike share one with high probability."""
    return lsh_bands(minhash_signature(text))


def are_alike(one: str, other: str) -> bool:
    """Whether two texts say the same in nearly the same words, with the same figures."""
    return near_duplicate(one, other)
