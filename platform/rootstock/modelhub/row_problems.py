"""What can be wrong with a row, in the words of the page's language.

`ml_core` speaks English; each of its templates is listed here, so that `manage.py messages` finds it.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext, gettext_noop

from ml_core.data import RowError

TEMPLATES = frozenset(
    {
        gettext_noop(
            "%(found)d columns where the first line has %(wanted)d; its sentence is left out"
        ),
        gettext_noop("%(found)d fields where the header has %(wanted)d"),
        gettext_noop("%(tags)d tags for %(tokens)d tokens"),
        gettext_noop("%(width)d × %(height)d pixels are too many; at most %(limit)s"),
        gettext_noop("It is not a readable .zip: %(problem)s"),
        gettext_noop("It is not a readable Parquet file: %(problem)s"),
        gettext_noop("More than %(limit)s files."),
        gettext_noop("The archive unpacks to %(times)d times its size; at most %(limit)d times."),
        gettext_noop("The column “%(column)s” is there twice."),
        gettext_noop("The file has no rows."),
        gettext_noop("The file is compressed or a spreadsheet; save it as plain CSV."),
        gettext_noop("The file is empty."),
        gettext_noop("The file looks like %(encoding)s; save it as UTF-8 and import it again."),
        gettext_noop("The header cannot be read: %(problem)s."),
        gettext_noop("There is no column “%(column)s”; the file has %(found)s."),
        gettext_noop("There is no image in a folder; the folder is the label."),
        gettext_noop("a %(kind)s, not a list"),
        gettext_noop("a %(kind)s, not text"),
        gettext_noop("a damaged image: %(problem)s"),
        gettext_noop("a list that CSV cannot hold; write JSONL"),
        gettext_noop("a quoted field that begins here is never closed"),
        gettext_noop("a row has a negative or a score, not both"),
        gettext_noop("a token with a tab or line break; write JSONL"),
        gettext_noop("contains a NUL byte"),
        gettext_noop("contains a NUL character"),
        gettext_noop("contains half of a character (a lone surrogate)"),
        gettext_noop("is a directory, not a file"),
        gettext_noop("larger than %(limit)d MB"),
        gettext_noop("longer than %(limit)s bytes"),
        gettext_noop("longer than %(longest)s characters"),
        gettext_noop("message %(place)d needs a role (system, user or assistant) and content"),
        gettext_noop("missing"),
        gettext_noop("more than %(limit)s values"),
        gettext_noop("neither 0 nor 1"),
        gettext_noop("no message is from the user"),
        gettext_noop("no such file"),
        gettext_noop("not UTF-8 (byte 0x%(byte)02x); it looks like %(guess)s"),
        gettext_noop("not a JSON list of messages"),
        gettext_noop("not a JSON list of spans"),
        gettext_noop("span %(place)d is neither [start, end] nor an object with start and end"),
        gettext_noop("span %(place)d is only white space"),
        gettext_noop("span %(place)d is there twice"),
        gettext_noop("%(labels)d labels for %(spans)d spans"),
        gettext_noop(
            "span %(place)d, %(start)d to %(end)d, is not within the text of %(length)d characters"
        ),
        gettext_noop("not a JSON object"),
        gettext_noop("not a PNG, JPEG, GIF, WebP or BMP image"),
        gettext_noop("not a number from 0 to 1"),
        gettext_noop("not valid JSON: %(reason)s"),
        gettext_noop("only the first message may be of the system"),
        gettext_noop("tag %(place)d “%(tag)s” is neither O nor like B-NAME or I-NAME"),
        gettext_noop("text, not a list; use JSONL, Parquet or a CoNLL file"),
        gettext_noop("the answer is missing"),
        gettext_noop("the last message is not from the assistant"),
        gettext_noop("the list is empty"),
        gettext_noop("the text is empty"),
        gettext_noop("there is no such key"),
        gettext_noop("unknown kind of file “%(kind)s”"),
        gettext_noop("unknown kind of file “%(kind)s”; use .csv, .jsonl or .parquet"),
        gettext_noop("“%(name)s” cannot be read: %(problem)s"),
        gettext_noop("“%(name)s” is in no folder; the folder is the label"),
        gettext_noop("“%(name)s” is not a relative path"),
        gettext_noop("“%(name)s” is outside"),
    }
)


def in_words(error: RowError) -> str:
    """The problem in the present language."""
    return told(error.template, error.values)


def told(template: str, values: dict[str, Any]) -> str:
    """A stored problem in the present language."""
    return gettext(template) % values if template in TEMPLATES else template % values
