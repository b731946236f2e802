"""Texts to token ids: one function for training, evaluation and serving, so that they never
differ."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

# Text past this many characters per token of the model's length cannot matter to a text in any
# language, but a megabyte of it would cost the tokenizer seconds.
_CHARACTERS_PER_TOKEN = 64
TEXTS_AT_ONCE = 10_000

_CHINESE_SAMPLE = (
    "央行宣布下调存款准备金率,市场流动性有望改善。公司去年净利润同比增长百分之二十,股价创历史新高。"
    "客服您好,我想查询一下订单什么时候发货?这款手机续航差,屏幕却很清晰,总体还算满意。"
)
_ENGLISH_SAMPLE = (
    "The central bank lowered its reserve ratio and liquidity is expected to improve. Net profit rose twenty "
    "per cent last year. Hello, when will my order be shipped? The battery is poor but the screen is sharp."
)


class TextEncoder:
    """A tokenizer that cuts every text to ``max_length`` tokens, special tokens included.
    Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        self._tokenizer = tokenizer
        self._max_characters = max_length * _CHARACTERS_PER_TOKEN

    @classmethod
    def from_file(cls, path: Path, *, max_length: int) -> TextEncoder:
        return cls(Tokenizer.from_file(str(path)), max_length=max_length)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, unpadded."""
        return list(self._stream(texts))

    def compact(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of all texts in one int32 array, and int64 places in it: text i has those from places[i] to
        places[i + 1]. A tenth of the memory of lists."""
        ids, places = array("i"), array("q", [0])
        for each in self._stream(texts):
            ids.extend(each)
            places.append(len(ids))
        return np.frombuffer(ids, dtype=np.int32), np.frombuffer(places, dtype=np.int64)

    def _stream(self, texts: Sequence[str]) -> Iterator[list[int]]:
        # What the tokenizer makes of a text is many times its ids; not of all texts at a time.
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = texts[start : start + TEXTS_AT_ONCE]
            cut = [text[: self._max_characters] for text in part]
            for encoding in self._tokenizer.encode_batch_fast(cut):
                yield encoding.ids

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """(token ids, type ids) of each pair of texts read as one, unpadded; the longer text is cut first. Type ids
        are 0 in the first text and 1 in the second."""
        most = self._max_characters
        cut = [(first[:most], second[:most]) for first, second in pairs]
        return [(each.ids, each.type_ids) for each in self._tokenizer.encode_batch_fast(cut)]


def readable_languages(tokenizer: Tokenizer, unknown_id: int | None) -> tuple[str, ...]:
    """The languages of ("en", "zh") whose writing the vocabulary covers, by a short sample of each.

    A language counts as readable when at most 5 % of its tokens are unknown and no character takes
    more than 1.5 tokens: a vocabulary that spells ideographs out as bytes has not learned the
    language.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    languages = []
    for language, sample in (("en", _ENGLISH_SAMPLE), ("zh", _CHINESE_SAMPLE)):
        ids = tokenizer.encode(sample, add_special_tokens=False).ids
        unknown = sum(token == unknown_id for token in ids)
        if unknown <= 0.05 * len(ids) and len(ids) <= 1.5 * len(sample):
            languages.append(language)
    return tuple(languages)
