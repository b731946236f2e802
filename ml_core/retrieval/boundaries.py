"""Where sentences end, in Chinese and English."""

from __future__ import annotations

import re

_CLOSING = "”’」』）》】\"')\\]"
# Chinese marks end a sentence wherever they stand, others only before white space, or an address would be torn; a full
# stop only before what can begin a sentence.
_END = re.compile(
    rf"[。！？；…][。！？；…!?]*[{_CLOSING}]*\s*"
    rf"|[!?]+[{_CLOSING}]*(?:\s+|(?=[\u3400-\u9fff]))"
    rf"|\.[{_CLOSING}]*\s+(?=[\"“‘'(\[]*[A-Z0-9\u3400-\u9fff])"
)
# A full stop after these does not end anything.
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|mr|mrs|ms|dr|st|no|nos|vs|etc|inc|ltd|co|corp|approx|fig|sec|art|min|max|dept|e\.g|i\.e|a\.m|p\.m|"
    r"u\.s|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)|^\d{1,3})\.$",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, without white space around; a line's end always ends one.

    Nothing is lost but white space: joined, they have every other character of ``text``.
    """
    found: list[str] = []
    for line in text.splitlines():
        start = 0
        for match in _END.finditer(line):
            said = line[start : match.end()].strip()
            if match.group().startswith(".") and _ABBREVIATION.search(said):
                continue
            if said:
                found.append(said)
            start = match.end()
        rest = line[start:].strip()
        if rest:
            found.append(rest)
    return found
