"""What words search compares: the analyser of texts and questions alike.

A Chinese run gives the dictionary's words in it, long ones and those inside them, and each of its characters: where the
dictionary cuts two texts differently the characters still meet. Words are cut without guesses at unknown ones, so that
a string is cut alike wherever it stands. Other words are lower-cased and lightly stemmed; a number or a code is kept
whole, and gives its parts as well when it has any.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ml_core.retrieval.characters import fold_traditional
from ml_core.text import normalise, segment

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = f"(?:(?![{HAN}])[^\\W_])"
_RUN = re.compile(f"[{HAN}]+|{_LETTER}+(?:['’.,_/+\\-]{_LETTER}+)*")
_HAN = re.compile(f"[{HAN}]")
_PART = re.compile(r"\d+|[^\W\d_]+")
# A figure as people write it: 1,000 and 1000 are the same, 3.5 is not 3 and 5.
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+")
_VOWELS = frozenset("aeiou")

# Words that ask or join and name nothing. They are searched for only where a question has no others.
_FUNCTION_TEXT = """
a about all also am an and any are as at be been but by can could did do doe does for from get had has have he
her hi hello him his how i if in into is it its just like may me might my need no not of on or our please she
should so some such tell than that the their them then there these they thi this to too us wa want was we were
what when where which who whom whose why will with would you your
请问 请 什么 甚么 怎么 怎样 怎么样 如何 为什么 为何 哪 哪里 哪些 哪个 哪儿 谁 几 多少 多 少 是否 是不是 有没有 可以
可不可以 能 能否 能不能 会 要 想 想要 想问 问 我 我们 我要 你 你们 你好 您 您好 贵 他 她 它 的 地 得 了 吗 呢 吧
啊 呀 么 是 在 有 和 与 及 或 就 都 也 还 又 把 被 给 让 对 从 到 这 那 这个 那个 一下 一个 不 没 没有 谢谢
麻烦 知道 什 怎 样 何 否 问题 请教
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())


def terms(text: str) -> list[str]:
    """The terms of a text, in reading order and as often as they occur.

    Full-width and Traditional characters are folded: 轉帳 and 转账 give the same.
    """
    found: list[str] = []
    for run in _RUN.findall(fold_traditional(normalise(text).casefold())):
        if _HAN.match(run):
            found += (word for word in segment(run, "zh", guess=False) if len(word) > 1)
            found += run
        else:
            found += _other(run)
    return found


def content_terms(text: str) -> list[str]:
    """The terms of a question that name something; all of them where none does."""
    found = terms(text)
    return [term for term in found if term not in _FUNCTION_WORDS] or found


def is_function_word(term: str) -> bool:
    """Whether a term asks or joins, and names nothing."""
    return term in _FUNCTION_WORDS


def _other(run: str) -> list[str]:
    if _FIGURE.fullmatch(run):
        return [run.replace(",", "")]
    if run.isalpha() or run.isdigit():
        return [stem(run)]
    # don't, customer's: what follows the apostrophe says nothing.
    run = re.split("['’]", run, maxsplit=1)[0] if re.fullmatch(r"\w+['’]\w{1,2}", run) else run
    parts = _PART.findall(run)
    return [stem(parts[0])] if len(parts) == 1 else [run, *map(stem, parts)]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """An English word without its plural, -ed or -ing, in lower case; other words as they are.

    Source: step 1 of Porter 1980, An algorithm for suffix stripping. The later steps join words that mean different
    things (organisation and organ), and found no more answers in the bank FAQs of the benchmark.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _without_ending(_without_plural(word))
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word.endswith("y") and word[-2] not in _VOWELS:
        word = word[:-1] + "i"
    return word


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and word[-2] not in "siu":
        return word[:-1]
    return word


def _without_ending(word: str) -> str:
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest == word:
            continue
        if len(rest) < 3 or _VOWELS.isdisjoint(rest.replace("y", "i")):
            return word
        if rest.endswith(("at", "bl", "iz")):
            return rest + "e"
        if rest[-1] == rest[-2] and rest[-1] not in "lsz":
            return rest[:-1]
        return rest
    return word
