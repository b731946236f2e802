"""Names of entities: their kinds, when they hold, and how likely they mean something else."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal, get_args

from ml_core.linking.common_words import COMMON_ENGLISH
from ml_core.linking.folding import fold_name, is_chinese
from ml_core.text.segmentation import chinese_word_counts

NameKind = Literal["full", "short", "ticker", "st-rename", "former"]
NAME_KINDS: Final[tuple[NameKind, ...]] = get_args(NameKind)

# What a company is called in law; a name is also known without it.
_LEGAL_FORM = re.compile(
    r"(?:,?\s+(?:inc|corp|corporation|co|company|ltd|limited|llc|plc|ag|se|sa|nv|n\.v|s\.a|ab|asa|oyj|spa|"
    r"holdings?|group|kgaa|gmbh|bhd|tbk)\.?)+$",
    re.IGNORECASE,
)
_LEGAL_FORM_ZH = re.compile(
    r"(?:股份有限公司|有限责任公司|有限公司|（集团）|\(集团\)|集团股份|控股集团)+$"
)
# Suffixes by which quotes name the markets; the market is an ISO 10383 code.
_SUFFIXES: Final = {
    "XSHG": ("SH", "SS"),
    "XSHE": ("SZ",),
    "XBSE": ("BJ",),
    "XHKG": ("HK",),
    "XNAS": ("O", "US"),
    "XNYS": ("N", "US"),
    "XLON": ("L",),
    "XTKS": ("T",),
    "XETR": ("DE",),
    "XPAR": ("PA",),
    "XNSE": ("NS",),
    "XBOM": ("BO",),
}
# Above this count in the segmenter's corpus a Chinese word is a word of every day first.
_EVERYDAY_COUNT = 300


@dataclass(frozen=True, slots=True)
class Name:
    """One name of the entity ``entity``.

    ``ambiguity`` from 0 to 1: how likely a text that has the name means something else. The name
    holds from ``valid_from`` to ``valid_until``, both included; None is without end.
    """

    entity: str
    text: str
    kind: NameKind = "short"
    ambiguity: float = 0.0
    valid_from: date | None = None
    valid_until: date | None = None

    def holds(self, on: date | None) -> bool:
        """Whether it was a name on that day; without a day every name is."""
        return on is None or (
            (self.valid_from is None or self.valid_from <= on)
            and (self.valid_until is None or on <= self.valid_until)
        )


def estimate_ambiguity(text: str, kind: NameKind, *, bearers: int = 1) -> float:
    """How likely a name means something else, judged by the name alone, from 0 to 1.

    A word of every day ("Target", "平安"), a ticker that could be a word or a plain number, and few
    characters make it likely; so do several ``bearers`` of the same name.
    """
    folded = fold_name(text)
    if kind == "ticker":
        found = _ticker_ambiguity(text)
    elif any(map(is_chinese, folded)):
        found = _chinese_ambiguity(folded, kind)
    else:
        found = _english_ambiguity(folded, kind)
    return round(1 - (1 - found) / max(1, bearers), 3)


def _ticker_ambiguity(text: str) -> float:
    if not text.replace(".", "").isalnum() or "." in text:
        return 0.05
    if text.isdigit():
        return 0.7
    if fold_name(text) in COMMON_ENGLISH or len(text) < 3:
        return 0.8
    return 0.5 if len(text) == 3 else 0.3


def _chinese_ambiguity(folded: str, kind: NameKind) -> float:
    if kind == "full" or len(folded) >= 6:
        return 0.0
    if folded in _everyday_chinese():
        return 0.6
    return 0.35 if len(folded) <= 2 else 0.1 if len(folded) == 3 else 0.05


@functools.cache
def _everyday_chinese() -> frozenset[str]:
    return frozenset(
        word for word, count in chinese_word_counts().items() if count >= _EVERYDAY_COUNT
    )


def _english_ambiguity(folded: str, kind: NameKind) -> float:
    if folded in COMMON_ENGLISH:
        return 0.55
    if kind == "full" or " " in folded or len(folded) >= 6:
        return 0.05
    return 0.3 if len(folded) <= 3 else 0.15


def spellings(name: Name) -> Iterator[Name]:
    """The name and its other spellings: without the legal form; an ST name with and without its star."""
    yield name
    if name.kind == "full":
        for form in (_LEGAL_FORM, _LEGAL_FORM_ZH):
            short = form.sub("", name.text).strip(" ,")
            if short != name.text and len(fold_name(short)) > 1:
                kind: NameKind = "short"
                ambiguity = max(name.ambiguity, estimate_ambiguity(short, kind))
                yield replace(name, text=short, kind=kind, ambiguity=ambiguity)
    if name.kind == "st-rename":
        other = name.text[1:] if name.text.startswith("*") else f"*{name.text}"
        yield replace(name, text=other)


def symbol_names(symbol: str, exchange: str) -> list[str]:
    """How quotes write a listing: "600519.SH", "SH600519", "0700.HK", "00700.HK", "BRK.B", "BRK-B"."""
    found = [symbol]
    if "." in symbol or "-" in symbol:
        found += [symbol.replace(".", "-"), symbol.replace("-", "."), symbol.replace(".", "/")]
    codes = [symbol]
    if exchange == "XHKG" and symbol.isdigit():
        codes = [symbol.lstrip("0") or "0", symbol.zfill(4), symbol.zfill(5)]
    for suffix in _SUFFIXES.get(exchange, ()):
        found += [f"{code}.{suffix}" for code in codes]
        if symbol.isdigit() and len(suffix) == 2:
            found += [f"{suffix}{code}" for code in codes]
            found += [f"{suffix}:{code}" for code in codes]
    return list(dict.fromkeys(found))


def shared_names(names: Iterable[Name]) -> dict[str, int]:
    """How many entities bear each folded name."""
    bearers: dict[str, set[str]] = {}
    for name in names:
        bearers.setdefault(fold_name(name.text), set()).add(name.entity)
    return {folded: len(entities) for folded, entities in bearers.items()}
