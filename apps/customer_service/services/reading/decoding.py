"""From bytes to text, whatever their encoding is said to be."""

from __future__ import annotations

import codecs
import re

from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.document import Unreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
# Encodings of text. Others that Python knows ("rot13", "zip") are none.
_LOOK = 200_000


def charset_of(text: str) -> str:
    """The encoding that a Content-Type header or a meta element names; "" for none."""
    found = _CHARSET.search(text)
    return found.group(1) if found else ""


def decode(data: bytes, declared: str = "") -> str:
    """The text of `data`. Valid UTF-8 is UTF-8 whatever is declared; then the declared encoding, then a guess.

    Raises:
        Unreadable: it is no text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _tolerant(data, encoding)
    if data[:_LOOK].count(0) > len(data[:_LOOK]) // 10:
        even, odd = data[:_LOOK:2].count(0), data[1:_LOOK:2].count(0)
        if max(even, odd) < 4 * min(even, odd) + 4:
            raise Unreadable(gettext_noop("It is not text."))
        return _tolerant(data, "utf-16-be" if even > odd else "utf-16-le")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        encoding = _known(declared) or _guess(data[:_LOOK])
    return _tolerant(data, encoding)


def _tolerant(data: bytes, encoding: str) -> str:
    text = data.decode(encoding, errors="replace")
    if text.count("\ufffd") > max(20, len(text) // 20):
        raise Unreadable(
            gettext_noop("Its text is in no encoding that we know. Save it as UTF-8."),
        )
    return text


def _known(name: str) -> str:
    """The declared encoding as Python calls it, if it is one of text and not UTF-8, which it is not."""
    try:
        found = codecs.lookup(name).name
        "".encode(found)
    except (LookupError, ValueError):
        return ""
    if found in {"gb2312", "gbk", "hz"}:
        return "gb18030"  # what calls itself GB 2312 is rarely only that
    return (
        "" if found.startswith(("utf-8", "ascii", "idna", "punycode", "raw", "unicode")) else found
    )


def _guess(data: bytes) -> str:
    """What bytes that are not UTF-8 look like: the encoding in which the most of them is Chinese, else Western."""
    shares = {name: _chinese(data, name) for name in ("gb18030", "big5hkscs")}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.5 else "cp1252"


def _chinese(data: bytes, encoding: str) -> float:
    """Share of common Chinese characters and punctuation among what is not ASCII."""
    text = data.decode(encoding, errors="replace")
    foreign = [letter for letter in text if not letter.isascii()]
    if not foreign:
        return 0.0
    common = sum(
        "\u4e00" <= letter <= "\u9fff" or letter in "，。、；：？！（）《》“”" for letter in foreign
    )
    # In the wrong one of the two, text is full of rare characters: those of the second plane of GB 2312 and Big5.
    frequent = sum(letter in _FREQUENT for letter in foreign)
    return common / len(foreign) * (0.6 + min(0.4, 4 * frequent / len(foreign)))


_FREQUENT = frozenset(
    "的一是不了在人有我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里用道行所然家种種"
    "事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心本前开開但因只从從想实實日军者意无無力它与與长長把机機十民"
    "第公此已工使情明性知全三又关關点點正业業外将將两兩高间間由问問很最重并物手应應战戰向头頭文体體政美相见見被利什二等产產或新己制身果加西斯月话話"
    "合回特代内內信表化老给給世位次度门門任常先海通教儿原东東声聲提立及比员員解水名真论論处處走义義各入几幾口认認条條平系气氣题題活尔爾更别別打女"
    "请請款退货貨订訂单單支付客服您天内内"
)
