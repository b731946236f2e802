"""An item as a feed or page gave it, and by what it is known again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import lxml.etree
import lxml.html

# Between these there is no space to be seen, around all others there is.
_WORDS_OF_INLINE = (
    "a abbr b bdi bdo big cite code em font i ins kbd mark q s small span strong sub sup u var wbr"
)
_INLINE = frozenset(_WORDS_OF_INLINE.split())
_UNSEEN = frozenset({"script", "style", "noscript", "template", "head", "iframe", "svg"})
_DEEPEST = 200


@dataclass(frozen=True, slots=True)
class RawItem:
    """What an item says of itself, as plain text. `time` is as it was written."""

    guid: str = ""
    link: str = ""
    title: str = ""
    body: str = ""
    time: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Marks of an item among those of its source. An empty `link_key`: its link is shared, or there is none."""

    external_id: str
    guid_key: bytes | None
    link_key: bytes | None
    content_key: bytes


def identities(items: Sequence[RawItem]) -> list[Identity]:
    """The marks of items that came together, in their order.

    A link that several different guids share, such as that of the home page, tells no item from another.
    """
    guids_of: dict[str, set[str]] = {}
    for item in items:
        guids_of.setdefault(link_normal(item.link), set()).add(item.guid)
    shared = {link for link, guids in guids_of.items() if len(guids) > 1}
    titles = Counter(link_normal(item.link) for item in items if not item.guid)
    shared |= {link for link, count in titles.items() if count > 1 and _titles(items, link) > 1}
    return [_identity(item, shared) for item in items]


def _titles(items: Sequence[RawItem], link: str) -> int:
    """How many different items without a guid have this link."""
    return len({item.title for item in items if not item.guid and link_normal(item.link) == link})


def _identity(item: RawItem, shared: set[str]) -> Identity:
    link = link_normal(item.link)
    if link in shared:
        link = ""
    content = digest(item.title, item.body, item.link)
    name = item.guid or link or digest(item.title, item.body, item.time).hex()
    if len(name) > 200 or any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in name):
        name = digest(name).hex()
    return Identity(
        external_id=name,
        guid_key=digest(item.guid) if item.guid else None,
        link_key=digest(link) if link else None,
        content_key=content,
    )


def digest(*parts: str) -> bytes:
    """16 bytes that are equal for equal parts."""
    joined = "\x1f".join(parts).encode("utf-8", "replace")
    return hashlib.blake2b(joined, digest_size=16).digest()


def link_normal(link: str) -> str:
    """A link as far as it says which page: without fragment and tracking parameters."""
    try:
        parts = urlsplit(link)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return link
    query = "&".join(
        pair
        for pair in parts.query.split("&")
        if pair and not pair.lower().startswith(("utm_", "spm=", "fbclid=", "gclid="))
    )
    return urlunsplit((parts.scheme.lower(), host.lower(), parts.path, query, "")) if host else link


def plain(text: str) -> str:
    """Markup as the text that a reader sees; paragraphs apart by a line break."""
    if "<" not in text and "&" not in text:
        return squeezed(text)
    # A page may hold one; a text that is none of XML's is no reason to lose the rest.
    cleaned = "".join(letter for letter in text if letter >= " " or letter in "\t\r\n")
    if not cleaned.strip():
        return ""
    try:
        root = lxml.html.fragment_fromstring(cleaned, create_parent="div")
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError, ValueError, AssertionError):
        return squeezed(cleaned)
    return element_text(root)


def element_text(root: lxml.html.HtmlElement) -> str:
    """The text that a reader sees of an element."""
    pieces: list[str] = []
    depth = 0
    hidden = 0
    for event, node in lxml.etree.iterwalk(root, events=("start", "end")):
        tag = node.tag if isinstance(node.tag, str) else ""
        if event == "start":
            depth += 1
            hidden += not tag or tag in _UNSEEN
            if depth > _DEEPEST:
                break
            if tag not in _INLINE:
                pieces.append("\n")
            if not hidden and node.text:
                pieces.append(node.text)
            continue
        depth -= 1
        hidden -= not tag or tag in _UNSEEN
        if tag not in _INLINE:
            pieces.append("\n")
        if not hidden and node is not root and node.tail:
            pieces.append(node.tail)
    return squeezed("".join(pieces))


def squeezed(text: str) -> str:
    """Without needless white space and empty lines, and without what no text has."""
    cleaned = text.replace("\x00", "").encode("utf-8", "ignore").decode()
    lines = (" ".join(line.split()) for line in cleaned.splitlines())
    return "\n".join(line for line in lines if line)
