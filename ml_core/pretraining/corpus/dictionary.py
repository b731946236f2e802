"""CC-CEDICT: words in both Chinese scripts with their English senses, and what is made of them.

A line is ``傳統 传统 [chuan2 tong3] /tradition/traditional/``.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_core.data.errors import DataError

_LINE = re.compile(r"(\S+) (\S+) \[[^\]]*\] /(.*)/\s*$")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\]]*\]")
# A sense that says what the word is, not what it means.
_NO_SENSE = re.compile(
    r"(?:(?:old |archaic |erroneous |Japanese )?variant of|surname|see |see also|CL:|abbr\. |used in|same as|also "
    r"written|also pr\.|Tw pr\.|Kangxi radical|radical)",
    re.IGNORECASE,
)
_LONGEST_WORD = 6


@dataclass(frozen=True)
class Entry:
    """A word; ``sense`` is its first plain English one, "" where there is none."""

    traditional: str
    simplified: str
    sense: str


def entry_of(line: str) -> Entry | None:
    """The entry on a line; None for comments and what is no entry."""
    match = None if line.startswith("#") else _LINE.match(line)
    if match is None:
        return None
    senses = (" ".join(_BRACKETS.sub(" ", each).split()) for each in match.group(3).split("/"))
    plain = (each for each in senses if each and not _NO_SENSE.match(each))
    # A sense that is all Chinese characters only points to another entry.
    sense = next((each for each in plain if re.search("[A-Za-z]", each)), "")
    return Entry(match.group(1), match.group(2), sense)


def read_entries(path: Path) -> Iterator[Entry]:
    """Every entry of a CC-CEDICT file, gzipped or not. Raises DataError when it cannot be read or has no entry."""
    found = False
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8")
        ) as file:
            for line in file:
                entry = entry_of(line)
                if entry is not None:
                    found = True
                    yield entry
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    if not found:
        raise DataError("has no entry of CC-CEDICT", path=path)


def character_senses(path: Path) -> dict[str, str]:
    """The first plain English sense of every single character, in both scripts. Raises DataError."""
    senses: dict[str, str] = {}
    for entry in read_entries(path):
        for word in {entry.traditional, entry.simplified}:
            if len(word) == 1 and entry.sense:
                senses.setdefault(word, entry.sense)
    return senses


class Simplifier:
    """Turns Traditional characters into Simplified ones, by a table of words in both scripts.

    A character that has one simplified form becomes it. One that has several, or that is also written in Simplified
    text (乾 in 乾隆 stays, in 乾淨 it is 干), follows the longest word of the table around it, and its most frequent
    form where there is none; such characters are touched only in a text that has Traditional characters without doubt,
    so that Simplified text always stays as it is.
    """

    def __init__(self, path: Path) -> None:
        """Raises DataError for a table that cannot be read."""
        forms: dict[str, Counter[str]] = {}
        simplified: set[str] = set()
        words: dict[str, str] = {}
        for entry in read_entries(path):
            if len(entry.traditional) != len(entry.simplified):
                continue
            words.setdefault(entry.traditional, entry.simplified)
            # A variant's own entry says nothing about how a word is written.
            if entry.sense:
                simplified.update(entry.simplified)
            for before, after in zip(entry.traditional, entry.simplified, strict=True):
                forms.setdefault(before, Counter())[after] += 1
        changing = {
            character: counts for character, counts in forms.items() if set(counts) != {character}
        }
        doubtful = {
            character: counts.most_common(1)[0][0]
            for character, counts in changing.items()
            if len(counts) > 1 or character in simplified
        }
        self._doubtful = doubtful
        self._sure = {
            ord(character): counts.most_common(1)[0][0]
            for character, counts in changing.items()
            if character not in doubtful
        }
        self._words = {
            word: form
            for word, form in words.items()
            if 2 <= len(word) <= _LONGEST_WORD and any(each in doubtful for each in word)
        }
        # What stands most often in Simplified text for a character, where that is another one.
        most = {character: counts.most_common(1)[0][0] for character, counts in changing.items()}
        self.forms = {character: form for character, form in most.items() if form != character}
        self._any_sure = _class_of(map(chr, self._sure))
        self._any_doubtful = _class_of(doubtful)

    def __call__(self, text: str) -> str:
        """``text`` in Simplified characters, of the same length."""
        if self._any_sure is None or not self._any_sure.search(text):
            return text
        changed = text.translate(self._sure)
        if self._any_doubtful is None or not self._any_doubtful.search(text):
            return changed
        characters = list(changed)
        for match in self._any_doubtful.finditer(text):
            characters[match.start()] = self._in_context(text, match.start())
        return "".join(characters)

    def _in_context(self, text: str, place: int) -> str:
        for length in range(_LONGEST_WORD, 1, -1):
            for start in range(max(0, place - length + 1), place + 1):
                form = self._words.get(text[start : start + length])
                if form is not None and start + len(form) > place:
                    return form[place - start]
        return self._doubtful[text[place]]


def _class_of(characters: object) -> re.Pattern[str] | None:
    joined = "".join(map(re.escape, characters))  # type: ignore[call-overload]  # any iterable of texts
    return re.compile(f"[{joined}]") if joined else None
