"""What each word of a text does for a label: the probability that is lost without it.

Needs nothing of the model but its answers, so that it explains whatever is deployed, and with what it really says.
Source: erasure, Li, Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ml_core.linking.folding import is_chinese
from ml_core.text.segmentation import cut_chinese

# With more pieces neighbours are left out together: every piece is one question to the model.
MOST_PIECES = 64
_WORDS = re.compile(r"[^\W_]+(?:['’.\-%][^\W_]*)*|\$\w+")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Attribution:
    """``text[start:end]`` makes the label ``weight`` more probable (less, where it is below 0)."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A text's pieces, the texts without one of them each, and where ``kept`` stands in each of those."""

    pieces: tuple[Span, ...]
    texts: tuple[str, ...]
    spans: tuple[Span, ...]

    def attributions(self, whole: float, without: Sequence[float]) -> list[Attribution]:
        """From the label's probability for the whole text, and for each text without a piece."""
        return [
            Attribution(start, end, round(whole - probability, 4))
            for (start, end), probability in zip(self.pieces, without, strict=True)
        ]


def occlude(text: str, *, kept: Span | None = None, most: int = MOST_PIECES) -> Occlusion:
    """Leave each word out in turn; not those of ``kept``, a span that is asked about.

    Of a long text neighbouring words are left out together, so that there are at most ``most`` pieces. A text of one
    word has none: without it there is nothing to ask.
    """
    words = [
        word for word in _words(text) if kept is None or word[1] <= kept[0] or kept[1] <= word[0]
    ]
    if kept is None and len(words) < 2:
        return Occlusion((), (), ())
    together = -(-len(words) // most) if words else 1
    pieces: list[Span] = []
    for at in range(0, len(words), together):
        group = words[at : at + together]
        # A group that lies on both sides of the span is cut there.
        pieces += [(side[0][0], side[-1][1]) for side in _sides(group, kept) if side]
    texts, spans = [], []
    for start, end in pieces:
        texts.append(text[:start] + text[end:])
        moved = end - start if kept is not None and end <= kept[0] else 0
        spans.append((kept[0] - moved, kept[1] - moved) if kept is not None else (0, 0))
    return Occlusion(tuple(pieces), tuple(texts), tuple(spans))


def _sides(group: list[Span], kept: Span | None) -> tuple[list[Span], list[Span]]:
    if kept is None:
        return group, []
    return [word for word in group if word[1] <= kept[0]], [
        word for word in group if word[0] >= kept[1]
    ]


def _words(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _WORDS.finditer(text):
        if any(map(is_chinese, match.group())):
            at = match.start()
            for word in cut_chinese(match.group()):
                found.append((at, at + len(word)))
                at += len(word)
        else:
            found.append(match.span())
    return found
