"""Texts that judge the model and must not be learned: found exactly, and nearly.

Two texts are nearly the same as `near_duplicate` says. Any two sets of shingles with a Jaccard similarity of at least t
share one of the rarest ``|set| - ceil(t |set|) + 1`` of each (prefix filtering, Chaudhuri et al. 2006; Bayardo et al.
2007): only these are indexed, so that no near copy is missed and hardly any text needs a closer look.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable

from ml_core.text.duplicates import NEAR_DUPLICATE_JACCARD, content_hash, near_duplicate, shingles

_SENTENCE_END = re.compile(r"(?<=[。！？!?\n])|(?<=\.)(?=\s)")
# A sentence with fewer shingles than this ("Yes." "好的。") is anybody's: it is no reason to cut a document.
_FEWEST_SHINGLES = 5


class HeldOut:
    """Answers whether a text is one of ``texts``, or nearly one. ``form`` makes both comparable, as Simplified
    characters do; it changes letters, one for one, and nothing else."""

    def __init__(self, texts: Iterable[str], form: Callable[[str], str]) -> None:
        self._form = form
        self._texts = sorted({form(text) for text in texts if text.strip()})
        self._sets = [shingles(text) for text in self._texts]
        # Without a shingle ("…", "😀") there is nothing to be near to.
        pairs = zip(self._texts, self._sets, strict=True)
        self._exact = {content_hash(text) for text, own in pairs if not own}
        counts = Counter(shingle for each in self._sets for shingle in each)
        self._index: dict[str, list[int]] = {}
        for number, each in enumerate(self._sets):
            rarest = sorted(each, key=lambda shingle: (counts[shingle], shingle))
            for shingle in rarest[: len(each) - math.ceil(NEAR_DUPLICATE_JACCARD * len(each)) + 1]:
                self._index.setdefault(shingle, []).append(number)
        self._keys = self._index.keys()

    def __len__(self) -> int:
        return len(self._texts)

    def holds(self, text: str) -> bool:
        """Whether ``text`` is one of them or nearly one."""
        return bool(self._texts) and self._holds(self._form(text), 0)

    def cut(self, document: str) -> tuple[str, int]:
        """``document`` without its sentences that are held out, and how many those were."""
        if not self._texts:
            return document, 0
        kept, cut = [], 0
        # The form changes neither length nor punctuation, so both part at the same places.
        forms = _SENTENCE_END.split(self._form(document))
        for sentence, form in zip(_SENTENCE_END.split(document), forms, strict=True):
            if form.strip() and self._holds(form, _FEWEST_SHINGLES):
                cut += 1
                # The paragraph still ends where it ended.
                kept.append("\n" if sentence.endswith("\n") else "")
            else:
                kept.append(sentence)
        return ("".join(kept), cut) if cut else (document, 0)

    def _holds(self, text: str, fewest: int) -> bool:
        own = shingles(text)
        if len(own) < fewest:
            return False
        if not own:
            return content_hash(text) in self._exact
        candidates = {number for key in own & self._keys for number in self._index[key]}
        return any(self._near(own, text, number) for number in candidates)

    def _near(self, own: set[str], text: str, number: int) -> bool:
        other = self._sets[number]
        if min(len(other), len(own)) < NEAR_DUPLICATE_JACCARD * max(len(other), len(own)):
            return False
        both = len(own & other)
        if both < NEAR_DUPLICATE_JACCARD * (len(own) + len(other) - both):
            return False
        return near_duplicate(text, self._texts[number])
