"""Labels by words: what a text is about or reports, where no model was trained for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ahocorasick

from ml_core.linking.folding import fold_name, fold_text
from ml_core.linking.table import is_whole


class TermIndex:
    """Words and phrases of labels. English ones count as whole words, one that ends in "*" as a beginning; Chinese
    ones anywhere."""

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        by_form: dict[str, tuple[bool, list[str]]] = {}
        for label, words in terms.items():
            for word in words:
                form = fold_name(word.rstrip("*"))
                if form:
                    is_beginning, labels = by_form.get(form, (False, []))
                    by_form[form] = (is_beginning or word.endswith("*"), [*labels, label])
        self._automaton = ahocorasick.Automaton()
        for form, (is_beginning, labels) in by_form.items():
            self._automaton.add_word(form, (form, is_beginning, labels))
        self._automaton.make_automaton()
        self._size = len(by_form)

    def find(self, text: str) -> dict[str, list[str]]:
        """The labels of a text, in the order of their first word in it, each with the words that were found."""
        if not self._size:
            return {}
        folded = fold_text(text).text
        hits = []
        for last, (form, is_beginning, labels) in self._automaton.iter(folded):
            start = last - len(form) + 1
            end = start + 1 if is_beginning else last + 1
            if _is_whole_from(folded, start, end, is_beginning=is_beginning):
                hits.append((start, form, labels))
        found: dict[str, list[str]] = {}
        for _start, form, labels in sorted(hits):
            for label in labels:
                words = found.setdefault(label, [])
                if form not in words:
                    words.append(form)
        return found


def _is_whole_from(text: str, start: int, end: int, *, is_beginning: bool) -> bool:
    if is_beginning:
        return start == 0 or is_whole(text[: start + 1], start, start + 1)
    return is_whole(text, start, end)
