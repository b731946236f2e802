"""Typing errors: neighbouring keys and slips of the finger in English, homophones in Chinese.

Chinese is typed by sound, so the commonest wrong word is another with the same pinyin (tones are not
typed). Readings come from pypinyin, frequencies from the segmenter's dictionary. Characters that
only look alike are not confused: there is no maintained table of them to be had.
"""

from __future__ import annotations

import functools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from ml_core.augmentation.pieces import join_pieces, split_pieces, word_places
from ml_core.knowledge.phrases import PhraseMatcher, is_east_asian
from ml_core.text.segmentation import chinese_word_counts

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_MIN_LETTERS = 4
_COMMON_CHARACTERS = 4000
_COMMON_WORDS = 30000
_CANDIDATES = 5


def add_typos(
    texts: Sequence[str],
    *,
    language: str,
    rate: float = 0.1,
    seed: int = 13,
    protect: Sequence[str] = (),
) -> list[str]:
    """Each text with about ``rate`` of its words mistyped, the same for the same seed and text.

    ``language`` is "en" or "zh". Protected words (numbers, names, negations, ``protect``) stay.
    English words of fewer than four letters stay too.
    """
    matcher = PhraseMatcher(protect) if protect else None
    noisy = []
    for text in texts:
        generator = random.Random(f"{seed}\x00{text}")
        pieces = split_pieces(text, language, protected=matcher)
        for place in word_places(pieces):
            if generator.random() < rate:
                pieces[place].text = mistype(pieces[place].text, generator)
        noisy.append(join_pieces(pieces))
    return noisy


def mistype(word: str, generator: random.Random) -> str:
    """``word`` with one typing error; a word that is too short stays as it is."""
    if any(map(is_east_asian, word)):
        return _mistype_chinese(word, generator)
    return _mistype_letters(word, generator)


def _mistype_letters(word: str, generator: random.Random) -> str:
    """One of the four slips that make most spelling errors (Damerau 1964); the first letter,
    which writers rarely miss, stays."""
    if len(word) < _MIN_LETTERS or not word.isalpha():
        return word
    slips: list[Callable[[str, int, random.Random], str]] = [_hit_neighbour, _swap, _omit, _double]
    for slip in generator.sample(slips, len(slips)):
        changed = slip(word, generator.randrange(1, len(word)), generator)
        if changed != word:
            return changed
    return word


def _hit_neighbour(word: str, at: int, generator: random.Random) -> str:
    near = _neighbours().get(word[at].lower(), "")
    if not near:
        return word
    key = generator.choice(near)
    return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]


def _swap(word: str, at: int, generator: random.Random) -> str:
    at = max(at, 2)
    return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def _omit(word: str, at: int, generator: random.Random) -> str:
    return word[:at] + word[at + 1 :]


def _double(word: str, at: int, generator: random.Random) -> str:
    return word[:at] + word[at] + word[at:]


@functools.cache
def _neighbours() -> dict[str, str]:
    """The keys that touch each key of a QWERTY board."""
    near: dict[str, str] = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            # Each row is set half a key to the right of the one above it.
            touching = [(row, column - 1), (row, column + 1)]
            touching += [(row - 1, column), (row - 1, column + 1)]
            touching += [(row + 1, column - 1), (row + 1, column)]
            near[key] = "".join(
                _ROWS[r][c] for r, c in touching if 0 <= r < 3 and 0 <= c < len(_ROWS[r])
            )
    return near


def _mistype_chinese(word: str, generator: random.Random) -> str:
    """Another word of the same sound, else one character replaced by another of its sound."""
    words, characters = _homophones()
    alternatives = words.get(word, ())
    if alternatives:
        return generator.choice(alternatives)
    places = [place for place, character in enumerate(word) if characters.get(character)]
    if not places:
        return word
    at = generator.choice(places)
    return word[:at] + generator.choice(characters[word[at]]) + word[at + 1 :]


@functools.cache
def _homophones() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """(words of two characters, characters) -> the commonest others with the same toneless pinyin."""
    from pypinyin import lazy_pinyin

    counts = chinese_word_counts()
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            if "\u4e00" <= character <= "\u9fff":
                characters[character] += count
    pairs = {
        word: count
        for word, count in counts.items()
        if len(word) == 2 and all("\u4e00" <= character <= "\u9fff" for character in word)
    }
    common = sorted(pairs, key=lambda word: (-pairs[word], word))[:_COMMON_WORDS]
    frequent = sorted(characters, key=lambda one: (-characters[one], one))[:_COMMON_CHARACTERS]
    return _same_sound(common, lazy_pinyin), _same_sound(frequent, lazy_pinyin)


def _same_sound(
    words: Sequence[str], sound: Callable[[str], list[str]]
) -> dict[str, tuple[str, ...]]:
    """``words`` come with the commonest first, and so do the alternatives of each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in words:
        groups[" ".join(sound(word))].append(word)
    return {
        word: tuple(other for other in group[: _CANDIDATES + 1] if other != word)[:_CANDIDATES]
        for group in groups.values()
        for word in group
        if len(group) > 1
    }
