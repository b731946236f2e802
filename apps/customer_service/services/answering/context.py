"""A follow-up made into a question that stands alone, by rules.

"And for business customers?" means nothing to a search. A message is a follow-up if it is short and has no content of
its own, begins with a word that joins it to what was said, or points at it with a pronoun. Then the content words of
the last question that stood alone are put before it. A full question is never touched: carrying words over to it pulls
the search back to the old subject, which is worse than a miss.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.customer_service.inference.text import normal, words
from apps.customer_service.services.answering.questions import Turn
from apps.customer_service.services.answering.small_talk import people_asked, small_talk_kind

# How many questions back a subject may lie, and how many of its words are carried over.
_LOOK_BACK = 4
_MOST_WORDS = 12
# A follow-up has at most so many words of content beside what joins it.
_MOST_CONTENT = {"en": 5, "zh": 6}

_JOINS = {
    "en": re.compile(
        r"^(?:and|but|so|also|or|then|ok(?:ay)?|what about|how about|and what about"
        r"|what if|and if|same for|only|even|why(?: not)?[?. ]*$"
        r"|for (?:how|what|business|private)|how (?:much|long|many|often|soon|far"
        r"|come)[?. ]*$|since when|until when|by when|where[?. ]*$|when[?. ]*$)\b"
    ),
    "zh": re.compile(
        r"^(?:那么|那麼|那(?![款个個些件天种種里裡边邊位张張家本台])|那如果|那要是|还有|還有|另外|以及|如果是?|要是|换成|換成|同样"
        r"|为什么[?？ ]*$|為什麼[?？ ]*$|多久[?？ ]*$|多少钱?[?？ ]*$|怎么办?[?？ ]*$|怎麼辦?[?？ ]*$)"
    ),
}
_POINTS = {
    "en": re.compile(
        r"\b(?:it|its|that|this|they|them|their|those|these|one|ones|such|the same|the other)\b"
    ),
    "zh": re.compile(
        r"(?:它们?|它們?|这个?|這個?|那个?|那個?|这些|那些|[这那][款件]|这样|那样|这种|那种|此|其|他们|该)"
    ),
}
_ENDS_OPEN = {"en": re.compile(r"^$"), "zh": re.compile(r".{1,10}呢[?？。!！ ]*$")}
# Words that say nothing about the subject.
_EMPTY_TEXT = {
    "en": """
a an and any are as at be been but by can could did do does don't for from get give had has have
hello hey hi how i i'd i'm i've if in into is it its it's just let like long many me more much
my need no not now of often ok okay on one or our out please so some soon such tell than thank
thanks that that's the their them then there these they this those to too up us want was we were
what what's when where which who why will with would yes you your about also know only even same
other ones long until by since
""",
    "zh": """
的 了 吗 嗎 呢 吧 啊 呀 么 麼 我 你 您 他 她 它 我们 你们 他们 是 有 在 和 跟
与 就 都 也 还 還 要 会 會 能 可以 想 请 請 请问 請問 一下 什么 什麼 怎么 怎麼
怎样 如何 为什么 為什麼 哪 哪里 哪裡 哪个 多少 多久 几 幾 这 這 这个 那 那个 那么
这些 那些 这样 那样 不 没 没有 沒有 吗 得 对 對 把 被 给 給 到 去 来 來 上 下
个 個 种 如果 要是 还有 還有 另外 时候 需要 知道 告诉 是不是 能不能 可不可以 有没有
钱 錢 办 辦 它们 换成 同样 以及 此 其 该 怎么办
""",
}
_EMPTY = {language: frozenset(text.split()) for language, text in _EMPTY_TEXT.items()}
_SENTENCE_END = re.compile(r"[?？。.!！\s]+$")


@dataclass(frozen=True)
class Standalone:
    """A question as it reads without what was said before. `carried`: the words that were put before it."""

    text: str
    carried: tuple[str, ...] = ()


def standalone(text: str, turns: Sequence[Turn], language: str) -> Standalone:
    """`text` made to stand alone with the visitor's last question among `turns` (the oldest first)."""
    if not is_follow_up(text, language):
        return Standalone(text)
    subject = _subject(turns, language)
    if subject is None:
        return Standalone(text)
    own = set(_content(text, language))
    carried = [word for word in subject if word not in own][:_MOST_WORDS]
    if not carried:
        return Standalone(text)
    joint = "" if language == "zh" else " "
    rest = _without_join(text, language)
    return Standalone(f"{joint.join(carried)} {rest}".strip(), tuple(carried))


def is_follow_up(text: str, language: str) -> bool:
    """Whether a message needs what was said before it to be understood."""
    language = "zh" if language == "zh" else "en"
    plain = normal(text)
    content = _content(text, language)
    if not plain or len(content) > _MOST_CONTENT[language] or small_talk_kind(text):
        return False
    if not content:
        # "How much?", "为什么？" — but a lone word of no meaning is no question.
        return len(plain) > 1
    joined = bool(_JOINS[language].search(plain)) or bool(_ENDS_OPEN[language].search(plain))
    if joined:
        return True
    return bool(_POINTS[language].search(plain)) and len(content) <= 3


def _subject(turns: Sequence[Turn], language: str) -> list[str] | None:
    """Content words of the visitor's last question that stood alone, and of the follow-ups since."""
    asked = [turn.text for turn in turns if turn.author == "visitor"]
    later: list[str] = []
    for text in list(reversed(asked))[:_LOOK_BACK]:
        if small_talk_kind(text) or people_asked(text):
            continue
        content = _content(text, language)
        if not is_follow_up(text, language) and content:
            # The newest follow-up has replaced the one before it; only the question itself stays.
            return list(dict.fromkeys(content))
        later.extend(content)
    return list(dict.fromkeys(later)) or None


def _content(text: str, language: str) -> list[str]:
    """Words that carry meaning, each once; of Chinese words inside one another the longest."""
    language = "zh" if language == "zh" else "en"
    found = [word for word in words(text, language) if word not in _EMPTY[language]]
    found = list(dict.fromkeys(found))
    if language == "zh":
        found = [
            word for word in found if not any(word != other and word in other for other in found)
        ]
    return found


def _without_join(text: str, language: str) -> str:
    """The follow-up without the word that joins it: "那", "呢", "And what about"."""
    body = _SENTENCE_END.sub("", text.strip())
    if language == "zh":
        body = re.sub(r"^(?:那么?|那麼|还有|還有|另外|以及)[,，\s]*", "", body)
        return re.sub(r"呢$", "", body) or text.strip()
    pattern = r"^(?:and|but|so|also|or|then|ok(?:ay)?)?[, ]*(?:what about|how about)?[, ]*"
    return re.sub(pattern, "", body, flags=re.IGNORECASE) or text.strip()
