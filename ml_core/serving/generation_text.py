"""From the tokens of a reply to the text that may be shown: whole characters only, and nothing of a stop text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# What a decoder puts for bytes that are no character (yet).
_HALF = "\ufffd"


class TextStream:
    """The text of a growing list of tokens, piece by piece; the pieces joined are the decoded text of all tokens,
    without white space around it.

    A token is decoded together with the one before it, since decoders treat the first token of a text differently.
    A character whose bytes are spread over several tokens comes when its last byte has come; one that never becomes
    whole is left out.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = self._shown = 0
        self._begun = False
        self._space = ""

    def add(self, token: int) -> str:
        """What there is to show after ``token``, perhaps nothing."""
        self._ids.append(token)
        text = self._decode(self._start)
        if text.endswith(_HALF):
            return ""
        new = text[len(self._decode(self._start, self._shown)) :]
        self._start, self._shown = self._shown, len(self._ids)
        return self._stripped(new)

    def rest(self) -> str:
        """At the end: what waited for a character to become whole, without that character."""
        text = self._decode(self._start)[len(self._decode(self._start, self._shown)) :]
        return self._stripped(text.rstrip(_HALF))

    def _stripped(self, text: str) -> str:
        """White space before the first word is dropped, and behind a word kept back until another one comes."""
        text = self._space + text if self._begun else text.lstrip()
        shown = text.rstrip()
        if shown:
            self._begun = True
        self._space = text[len(shown) :] if self._begun else ""
        return shown

    def _decode(self, start: int, end: int | None = None) -> str:
        return str(self._tokenizer.decode(self._ids[start:end], skip_special_tokens=True))


class StopTexts:
    """Lets text through up to the first of ``stops``, also when it comes in several pieces: what may be the beginning
    of one is kept back until it is known."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._kept = ""
        self.found = False

    def add(self, text: str) -> str:
        """What of the text so far is certain to be before a stop. Nothing comes after ``found``."""
        if self.found or not self._stops:
            return "" if self.found else text
        self._kept += text
        places = [place for stop in self._stops if (place := self._kept.find(stop)) >= 0]
        if places:
            self.found = True
            shown, self._kept = self._kept[: min(places)].rstrip(), ""
            return shown
        held = max(_overlap(self._kept, stop) for stop in self._stops)
        cut = len(self._kept) - held
        shown, self._kept = self._kept[:cut], self._kept[cut:]
        return shown

    def rest(self) -> str:
        """What was kept back and turned out to be no stop, at the end."""
        rest, self._kept = self._kept, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop`` and is not all of it."""
    return next(
        (
            size
            for size in range(min(len(text), len(stop) - 1), 0, -1)
            if text.endswith(stop[:size])
        ),
        0,
    )
