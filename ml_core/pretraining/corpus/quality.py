"""Which texts are worth learning from. Every rule has a name, under which the report counts what it dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ml_core.pretraining.corpus.config import Quality

# In the order in which the report lists them; what comes first gets the text.
RULES = {
    "unreadable": "the record cannot be read, or lacks the text",
    "empty": "nothing is left without mark-up and invisible characters",
    "too_short": "fewer characters than the least",
    "too_long": "more characters than the most",
    "markup": "mark-up or code",
    "few_letters": "mostly digits and signs",
    "boilerplate": "notices, navigation and adverts",
    "repeated_lines": "the same lines again and again",
    "repeated_ngrams": "the same phrases again and again",
    "unequal_lengths": "one side of the pair is much longer than the other",
    "untranslated": "both sides of the pair are the same text",
    "language": "another language than the source's, or one side of the pair is in the wrong one",
    "held_out": "a text that judges the model, or nearly one",
    "duplicate": "the same text as one before",
    "near_duplicate": "nearly the same text as one before",
}

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTERS = re.compile(r"[^\W\d_]")
# What a sentence is written with; it counts neither for nor against a text.
_PUNCTUATION = re.compile(r"""[.,;:!?'"()\-。，、；：！？…·“”‘’「」『』《》〈〉（）—–～]""")
_MARKUP = re.compile(r"[<>{}\[\]|\\=_#^~`]|https?://\S+|&\w+;")
_UNITS = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[^\\W_]+")
_BOILERPLATE = re.compile(
    r"all rights reserved|copyright \(c\)|©|\bcookies?\b.{0,40}\b(?:use|accept|policy|setting)|accept (?:all )?cookies|"
    r"privacy policy|terms of (?:use|service)|sign up (?:for|to)|subscribe (?:to|now)|newsletter|log ?in to|click here|"
    r"read more\b|share (?:this|on) |follow us|javascript|enable js|lorem ipsum|"
    r"版权所有|版權所有|未经.{0,12}(?:许可|授权)|未經.{0,12}(?:許可|授權)|转载请注明|轉載請註明|免责声明|免責聲明|点击(?:查看|下载|进入|关注)|"
    r"點擊(?:查看|下載|進入)|扫码|掃碼|关注.{0,8}(?:公众号|微信)|微信公众号|责任编辑|責任編輯|ICP备|上一篇|下一篇|返回(?:首页|顶部)|网站地图|"
    r"友情链接|登录后|注册登录|隐私政策|隱私政策|使用条款",
    re.IGNORECASE,
)
# A repeated line shorter than this is a heading or a refrain, not a copy.
_SHORT_LINE = 10
_FEWEST_UNITS = 60


def weight_of(text: str) -> int:
    """Characters without white space; a Chinese one counts twice."""
    return sum(map(len, text.split())) + len(_HAN.findall(text))


def judge_document(text: str, quality: Quality) -> str | None:
    """The rule that drops a document (tidied), None when it is kept."""
    length = sum(map(len, text.split()))
    if not length:
        return "empty"
    if weight_of(text) < quality.min_characters:
        return "too_short"
    if len(text) > quality.max_characters:
        return "too_long"
    return _unlettered(text, length, quality.letters, quality) or _repetitive(text, length, quality)


def judge_texts(texts: tuple[str, str], quality: Quality, *, translation: bool) -> str | None:
    """The rule that drops a pair of texts, None when it is kept. Only translations are compared with each other."""
    first, second = texts
    if not first or not second:
        return "empty"
    weights = weight_of(first), weight_of(second)
    if min(weights) < quality.min_pair_characters:
        return "too_short"
    if max(len(first), len(second)) > quality.max_pair_characters:
        return "too_long"
    for text in texts:
        rule = _unlettered(text, sum(map(len, text.split())), quality.pair_letters, quality)
        if rule:
            return rule
    if first.casefold() == second.casefold():
        return "untranslated"
    # A few characters more or less are a particle or a name.
    apart = max(weights) > quality.length_ratio * min(weights) + 10
    return "unequal_lengths" if translation and apart else None


def _unlettered(text: str, length: int, letters: float, quality: Quality) -> str | None:
    if _all_of(match.group() for match in _MARKUP.finditer(text)) > quality.markup * length:
        return "markup"
    found = len(_LETTERS.findall(text))
    if not found or found < letters * (length - len(_PUNCTUATION.findall(text))):
        return "few_letters"
    return None


def _repetitive(text: str, length: int, quality: Quality) -> str | None:
    lines = [(line, sum(map(len, line.split()))) for line in text.split("\n")]
    # Long lines are prose, whatever word is in them.
    notices = sum(size for line, size in lines if size <= 300 and _BOILERPLATE.search(line))
    if notices > quality.boilerplate * length:
        return "boilerplate"
    seen: set[str] = set()
    repeated = 0
    for line, size in lines:
        if line in seen and size >= _SHORT_LINE:
            repeated += size
        seen.add(line)
    if repeated > quality.repeated_lines * length:
        return "repeated_lines"
    return "repeated_ngrams" if _repeated_share(text) > quality.repeated_ngrams else None


def _repeated_share(text: str) -> float:
    """The share of characters in n-grams that stood before: 5 words, or 10 units in a text that is mostly Chinese."""
    units = _UNITS.findall(text)
    if len(units) < _FEWEST_UNITS:
        return 0.0
    size = 10 if len(_HAN.findall(text)) * 2 > len(units) else 5
    seen: set[tuple[str, ...]] = set()
    covered = bytearray(len(units))
    for place in range(len(units) - size + 1):
        gram = tuple(units[place : place + size])
        if gram in seen:
            covered[place : place + size] = b"\x01" * size
        seen.add(gram)
    return _all_of(u for u, again in zip(units, covered, strict=True) if again) / _all_of(units)


def _all_of(texts: Iterable[str]) -> int:
    return sum(map(len, texts))
