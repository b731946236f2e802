"""Texts as blocks of tokens, and the words that are hidden in them.

Texts are put one behind the other, each followed by the token that ends a text, into blocks (RoBERTa's "full
sentences", Liu et al. 2019); a text is cut only when it is longer than a block. Whole words are hidden (Devlin et al.
2019; for Chinese, where a token is a character, the words of a segmenter: Cui et al. 2021): of the chosen ones 80 %
become the mask token, 10 % random tokens, 10 % stay.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any, overload

from ml_core.tasks.base import Feature
from ml_core.tasks.conversations import special_ends
from ml_core.text.segmentation import cut_chinese

IGNORED = -100
_NO_WORD = -1
_TEXTS_AT_ONCE = 1000
_HAN_FIRST, _HAN_LAST = "\u3400", "\u9fff"


class Blocks(Sequence[Feature]):
    """Blocks of tokens in a few bytes a token; each becomes a feature when it is asked for, as lists of a large corpus
    would not fit."""

    def __init__(self) -> None:
        self._ids, self._words, self._places = array("i"), array("i"), array("q", [0])

    def add(self, ids: Sequence[int], words: Sequence[int]) -> None:
        """Add a block, unless there is no word in it."""
        if any(word != _NO_WORD for word in words):
            self._ids.extend(ids)
            self._words.extend(words)
            self._places.append(len(self._ids))

    @property
    def lengths(self) -> list[int]:
        """The number of each block's tokens."""
        return [after - before for before, after in pairwise(self._places)]

    def __len__(self) -> int:
        return len(self._places) - 1

    @overload
    def __getitem__(self, place: int) -> Feature: ...
    @overload
    def __getitem__(self, place: slice) -> list[Feature]: ...
    def __getitem__(self, place: int | slice) -> Feature | list[Feature]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(place)
        begin, end = self._places[number], self._places[number + 1]
        return {
            "input_ids": self._ids[begin:end].tolist(),
            "words": self._words[begin:end].tolist(),
            "number": number,
            "length": end - begin,
        }


def blocks(texts: Sequence[str], tokenizer: Any, *, width: int) -> Blocks:
    """Blocks of at most ``width`` tokens: ``input_ids``, ``words`` (the number of each token's word, -1 for special
    tokens), ``number`` and ``length``."""
    before, after = special_ends(tokenizer)
    room = width - len(before) - len(after)
    found = Blocks()
    ids, words = list(before), [_NO_WORD] * len(before)
    for tokens, numbers in _tokenised(texts, tokenizer):
        for start in range(0, len(tokens), room):
            piece = tokens[start : start + room]
            if len(ids) + len(piece) + len(after) > width:
                found.add(ids, words)
                ids, words = list(before), [_NO_WORD] * len(before)
            shift = max(words, default=_NO_WORD) + 1
            ids += [*piece, *after]
            words += [number + shift for number in numbers[start : start + room]]
            words += [_NO_WORD] * len(after)
    found.add(ids, words)
    return found


def _tokenised(
    texts: Sequence[str], tokenizer: Any
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """The token ids of each text and the number of each token's word; what the tokenizer makes of a text is many times
    its ids, so not of all texts at a time."""
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = list(texts[start : start + _TEXTS_AT_ONCE])
        made = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
        for place, text in enumerate(part):
            numbers = _words(text, made[place].word_ids, made["offset_mapping"][place])
            yield made["input_ids"][place], numbers


def hide(
    feature: Feature, *, rate: float, mask_id: int, ordinary: Sequence[int], generator: Random
) -> tuple[list[int], list[int]]:
    """Ids with words hidden, and labels: the token where one was chosen, IGNORED elsewhere. About ``rate`` of the
    tokens are chosen, at least one word; ``ordinary`` are the ids that random tokens are drawn from."""
    ids = list(feature["input_ids"])
    labels = [IGNORED] * len(ids)
    places: dict[int, list[int]] = {}
    for place, word in enumerate(feature["words"]):
        if word != _NO_WORD:
            places.setdefault(word, []).append(place)
    order = list(places)
    generator.shuffle(order)
    wanted = rate * sum(len(each) for each in places.values())
    chosen = 0
    for word in order:
        # The word that steps over the wanted number is taken as often as is right on average.
        over = chosen + len(places[word]) - wanted
        if chosen and over > 0 and generator.random() * len(places[word]) < over:
            break
        chosen += len(places[word])
        fate = generator.random()
        for place in places[word]:
            labels[place] = ids[place]
            if fate < 0.8:
                ids[place] = mask_id
            elif fate < 0.9:
                ids[place] = generator.choice(ordinary)
        if chosen >= wanted:
            break
    return ids, labels


def _words(
    text: str, word_ids: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> list[int]:
    """The number of each token's word, counted from 0. Chinese characters belong to the segmenter's words."""
    chinese: list[int] = []
    if any(_HAN_FIRST <= character <= _HAN_LAST for character in text):
        for number, word in enumerate(cut_chinese(text)):
            chinese += [number] * len(word)
    keys = [
        ("zh", chinese[start])
        if start < len(chinese) and _HAN_FIRST <= text[start] <= _HAN_LAST
        else ("", word)
        for word, (start, _) in zip(word_ids, offsets, strict=True)
    ]
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]
