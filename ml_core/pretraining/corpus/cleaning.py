"""A text as it is learned from: without mark-up, invisible characters and spare white space, letters in one form."""

from __future__ import annotations

import html
import re
import unicodedata

from ml_core.text.normal import INVISIBLE

# Where compatibility decomposition changes nothing that is read: full-width letters and digits, half-width kana,
# ligatures and presentation forms, Kangxi radicals, compatibility ideographs, white space. Left as they are: full-width
# punctuation, which is how Chinese is written, and ², ½, ℃, ™, ①, which would say something else.
_SAFE = re.compile(
    "[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff61-\uffdc\u2f00-\u2fd5\uf900-\ufaff\U0002f800-\U0002fa1f"
    "\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufeff\u2000-\u200a\u3000\xa0\u202f\u205f]+"
)
# Only names that HTML has, so that "a < b" and "<EMAIL>" stay.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|br|center|cite|code|dd|del|div|dl|dt|em|figcaption|figure|font|footer|h[1-6]|"
    r"head|header|hr|html|i|img|ins|li|link|main|meta|nav|nowiki|ol|onlyinclude|p|poem|pre|q|ref|s|section|small|span|"
    r"strong|sub|sup|table|tbody|td|templatestyles|th|thead|tr|tt|u|ul|var)(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
_UNREAD = re.compile(
    r"<(script|style)\b[^<>]{0,500}>.{0,100000}?</\1\s*>", re.IGNORECASE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.{0,20000}?-->", re.DOTALL)
_BREAK = re.compile(r"<(?:br|p|/p|/div|/li|/tr|/h[1-6])\b[^<>]{0,100}>", re.IGNORECASE)


def tidy(text: str) -> str:
    """``text`` with one paragraph a line, its ends trimmed. Idempotent but for mark-up that was escaped twice."""
    if "<" in text or "&" in text:
        text = _without_markup(text)
    if not text.isascii():
        # A composed character that is a singleton may be one of the safe ones again.
        text = unicodedata.normalize(
            "NFC", _SAFE.sub(_compatible, unicodedata.normalize("NFC", text))
        )
    lines = (
        " ".join(INVISIBLE.sub("", " ".join(line.split())).split()) for line in text.splitlines()
    )
    return "\n".join(filter(None, lines))


def _compatible(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _without_markup(text: str) -> str:
    for _ in range(2):
        if "<" in text:
            for pattern in (_COMMENT, _UNREAD):
                # The pattern looks for its end from every start: only where there is one.
                if ("-->" if pattern is _COMMENT else "</") in text:
                    text = pattern.sub(" ", text)
            text = _TAG.sub("", _BREAK.sub("\n", text))
        if "&" not in text:
            break
        text = html.unescape(text)
    return text
