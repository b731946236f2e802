"""Entities from tags of the BIO family."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[str, int, int]
"""(type, first token, token after the last)."""

_BEGIN, _END = "BSU", "ESLU"


def split_tag(tag: str) -> tuple[str, str]:
    """("B", "PER") of "B-PER"; ("O", "") of "O". A type may itself contain a hyphen.

    The letters are those of BIO (IOB2), IOB1, BIOES and BILOU. Raises ValueError for anything else.
    """
    prefix, _, kind = tag.partition("-")
    if tag == "O" or (prefix in {"B", "I", "E", "S", "L", "U"} and (kind or prefix == tag)):
        return prefix, kind
    raise ValueError(f"{tag!r} is not a tag: expected O, B-…, I-… (or E-, S-, L-, U-…)")


def entity_spans(tags: Sequence[str]) -> list[Span]:
    """The entities of one sentence, in order.

    The rules are those of the CoNLL evaluation script ``conlleval`` (Tjong Kim Sang and De Meulder
    2003; seqeval's default): an entity begins at B, S or U, at any tag that follows O, an ended
    entity or another type; so one reading serves BIO, IOB1, BIOES and BILOU, and a sequence that
    breaks its scheme ("O I-PER") still says what it plainly means.

    Raises ValueError for something that is not a tag.
    """
    spans: list[Span] = []
    start, kind, before = 0, "", "O"
    for at, tag in enumerate([*tags, "O"]):
        prefix, this = split_tag(tag)
        begins = prefix != "O" and (
            prefix in _BEGIN or before == "O" or before in _END or this != kind
        )
        if before != "O" and (begins or prefix == "O"):
            spans.append((kind, start, at))
        if begins:
            start = at
        before, kind = prefix, this
    return spans


def bio_tags(spans: Sequence[Span], length: int) -> list[str]:
    """The BIO tags of a sentence of ``length`` tokens with these entities, which must not overlap.

    With `entity_spans` this turns any scheme of the family into BIO.
    """
    tags = ["O"] * length
    for kind, start, end in spans:
        suffix = f"-{kind}" if kind else ""
        tags[start:end] = [f"B{suffix}"] + [f"I{suffix}"] * (end - start - 1)
    return tags
