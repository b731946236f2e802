"""What may come in and go out: instructions hidden in texts, blocked words, secrets, personal data, strange links.

What a source says is quoted, never followed. A sentence that gives orders to a model is no knowledge: it is left out of
answers and prompts, and the trace tells which pattern it was. A message may contain what it likes; it is only noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from apps.customer_service.inference.text import masked, normal, personal

_INJECTIONS: dict[str, re.Pattern[str]] = {
    "ignore-instructions": re.compile(
        r"\b(?:ignore|disregard|forget|bypass|(?:do not"
        r"|don'?t) follow)\b.{0,40}\b(?:instructions?|prompts?|guidelines|(?:your|previous"
        r"|prior|all) rules"
        r"|(?:everything|all|anything) (?:above|before|you)|what (?:you were|i) (?:told|said)|your training)\b"
        r"|(?:忽略|無視|无视|不要理会|不要遵守|不必遵守|推翻|忘记|忘掉|忘記)掉?[你您]?的?(?:以上|之前|前面|先前|上述|所有|一切|全部|任何)"
        r".{0,10}(?:指令|指示|提示词|提示詞|规则|規則|要求|设定|設定|限制|约束|约定|内容|对话|话)"
        r"|(?:忽略|無視|无视|不要遵守).{0,6}(?:指令|提示词|提示詞)"
    ),
    "new-role": re.compile(
        r"\b(?:you are now (?!a (?:member|customer|subscriber))|from now on,? you (?:are"
        r"|must|will)|pretend (?:to be|you are|that you)|role-?play as"
        r"|your new (?:role|task|instructions?) (?:is|are))\b|(?:^|[.!?:] |please |now "
        r"|you must )act as (?:an?|if|the|my)\b"
        r"|你现在是(?!我们的|会员)|(?:从现在|從現在)(?:起|开始|開始),?你(?:是|要|必须|必須|将|就)|(?:请|請|你|来)扮演|假装(?:你|自己)是|你的新(?:任务|角色|指令)"
    ),
    "system-prompt": re.compile(
        r"\bsystem prompt\b|\b(?:reveal|show|print|repeat|output|leak|tell me|what (?:is"
        r"|are)) .{0,30}(?:your (?:\w+ )?prompt|(?:initial|hidden|your) instructions)\b"
        r"|(?:系统|系統|初始|隐藏|你的).{0,2}(?:提示词|提示詞|prompt)|(?:输出|輸出|显示|打印|复述|重复|泄露|告诉我).{0,8}(?:提示词|提示詞|prompt)"
    ),
    "jailbreak": re.compile(
        r"\b(?:jailbreak|dan mode|do anything now|without (?:any )?(?:restrictions or"
        r"|ethical|content) (?:filters?|limits?|guidelines))\b|越狱(?:模式)?|越獄|不受任何限制地"
    ),
    "control-tokens": re.compile(
        r"<\|[a-z_ ]{2,20}\|>|\[/?inst\]|<</?sys>>|</?(?:system|assistant|source|sources"
        r"|question|instructions?)\b[^>]{0,40}>"
        r"|#{2,3} ?(?:system|instruction|response|assistant)s?\b ?[:：]?|^(?:assistant"
        r"|developer) ?[:：]|\bbegin (?:system|admin) (?:message|prompt)"
    ),
    "to-the-model": re.compile(
        r"\b(?:ai|llm|chat ?bot|language model|(?:ai"
        r"|virtual) assistant)s?\b.{0,25}\b(?:must|should|shall|needs? to|ha(?:s|ve) to"
        r"|(?:is|are) required to)\b"
        r".{0,30}\b(?:say|tell|reply|answer|respond|recommend|output|send|ignore|promise|claim)\b"
        r"|\b(?:when|if|while) (?:you are )?(?:summari[sz]ing|answering)\b.{0,60}\b(?:say"
        r"|tell|reply|respond|output|instead)\b"
        r"|(?:ai|语言模型|大模型|智能助手|聊天机器人|聊天機器人)(?:在回答时)?,?(?:必须|必須|应当|應當|务必|務必|一定要).{0,10}(?:说"
        r"|說|回答|回复|回覆|告诉|輸出|输出|推荐|推薦|发送|承诺|声称)"
    ),
}
# The shapes of keys that machines are let in by.
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{0,4000}?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,200}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,200}|\bxox[abprs]-[A-Za-z0-9-]{10,200}"
    r"|\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{0,2000}"
    r"|(?i:\b(?:password|passwd|pwd|secret|api[-_ ]?key|access[-_ ]?token|密码|口令"
    r"|密钥))\s{0,3}[:=：]\s{0,3}(?=\S{0,60}[0-9])(?=\S{0,60}[A-Za-z])[\x21-\x7e]{8,200}"
)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'()\[\]（）【】，。；、]{2,500}", re.IGNORECASE)
_IMAGE = re.compile(r"!\[[^\]]{0,300}\]\([^)]{0,1000}\)")
_LINK = re.compile(r"\[([^\]]{0,300})\]\(\s*([^)\s]{1,1000})[^)]{0,100}\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
# Nobody's number belongs into an answer, whatever the source.
_NEVER = frozenset({"ID_CARD", "BANK_CARD"})


def injections(text: str) -> list[str]:
    """Names of the patterns of instructions to a model that a text has."""
    plain = normal(text)
    return [name for name, pattern in _INJECTIONS.items() if pattern.search(plain)]


def blocked(text: str, words: Iterable[str]) -> list[str]:
    """Those of the words that a text has, whatever their case and width; a Latin word only as a whole one."""
    plain = normal(text)
    return [word for word in words if (key := normal(word)) and _has(plain, key)]


def _has(text: str, word: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def without_control(text: str) -> str:
    """A text for a prompt: nothing in it looks like the prompt's own marks."""
    return re.sub(r"<\|[^|>]{0,40}\||</?\s*(?:source|question)\b", " ", text, flags=re.IGNORECASE)


@dataclass
class OutputGuard:
    """Looks at each sentence before anybody reads it.

    `sources`: what the answer may come from, with the addresses of the documents. `own`: what the visitor wrote
    themselves; their own number may be said to them. `notes`: what was done, for the trace.
    """

    sources: Sequence[str]
    own: str = ""
    blocked_words: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._text = "\n".join([*self.sources, self.own])
        self._links = {_bare(url) for url in _URL.findall(self._text)}

    def checked(self, sentence: str) -> str | None:
        """The sentence as it may be said; None where it may not."""
        if found := injections(sentence):
            self.notes.append(f"left out: {found[0]}")
            return None
        if blocked(sentence, self.blocked_words):
            self.notes.append("left out: blocked word")
            return None
        # Images load by themselves, and their address could carry what was said elsewhere.
        said = _TAG.sub("", _IMAGE.sub("", sentence))
        said = _LINK.sub(self._link, said)
        if any(_bare(url) not in self._links for url in _URL.findall(said)):
            self.notes.append("left out: a link that is in no source")
            return None
        if _SECRET.search(said):
            self.notes.append("masked: secret")
            said = _SECRET.sub("<SECRET>", said)
        return self._without_personal(said).strip() or None

    def _link(self, match: re.Match[str]) -> str:
        """A link of the sources stays; of any other only its words."""
        if _bare(match[2]) in self._links:
            return match[0]
        self.notes.append("link removed: it is in no source")
        return match[1]

    def _without_personal(self, sentence: str) -> str:
        _hidden, counts = masked(sentence)
        if not counts:
            return sentence
        # The company's own telephone and address stand in its documents; an identity number there is a leak.
        if sentence in self._text and not _NEVER & counts.keys():
            return sentence
        kept, gone = masked_but(sentence, self._text)
        if gone:
            self.notes.append(f"masked: {', '.join(sorted(gone))}")
        return kept


def masked_but(sentence: str, known: str) -> tuple[str, set[str]]:
    """A sentence without the personal data that `known` does not have; identity and card numbers always go."""
    parts: list[str] = []
    kinds: set[str] = set()
    done = 0
    for span in personal(sentence):
        value = sentence[span.start : span.end]
        if span.kind in _NEVER or value not in known:
            parts += [sentence[done : span.start], f"<{span.kind}>"]
            kinds.add(str(span.kind))
            done = span.end
    return "".join([*parts, sentence[done:]]), kinds


def _bare(url: str) -> str:
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", url.strip().lower()).rstrip("/.,;:!?)。，")
