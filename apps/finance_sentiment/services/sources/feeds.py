"""Feeds: RSS 0.9x to 2.0, RSS 1.0 (RDF), Atom and JSON Feed, as plain items.

What is well-formed is read by libxml2, which reads megabytes in a fraction of a second. What is not goes through
feedparser, which repairs a lot and takes seconds for a megabyte; so only small feeds may be broken.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import lxml.etree

from apps.finance_sentiment.models import Fault, Note
from apps.finance_sentiment.services.sources.decoding import decode
from apps.finance_sentiment.services.sources.items import RawItem, plain, squeezed

# Items of one answer that are looked at; feeds of more are archives.
MOST_ITEMS = 1000
_MOST_REPAIRED = 1_000_000
_ATOM = "http://www.w3.org/2005/Atom"
_OLD_ATOM = "http://purl.org/atom/ns#"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_DC = "{http://purl.org/dc/elements/1.1/}"
_OWN_SPACES = ("purl.org/rss/1.0", "netscape.com/rdf", "userland.com")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


class Unreadable(Exception):
    """Bytes that are no feed; `fault` says of which kind, the text where."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


@dataclass(slots=True)
class Parsed:
    """What an answer holds. `cut`: there were more items than are looked at."""

    title: str = ""
    items: list[RawItem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    cut: bool = False


def feed_parse(data: bytes, *, url: str, content_type: str = "") -> Parsed:
    """The items of a feed in its order.

    Args:
        url: where it was read, for relative links.

    Raises:
        Unreadable: it is no feed, or too broken.
    """
    decoded = decode(data, content_type)
    text = decoded.text.lstrip("\ufeff \t\r\n\x00")
    if not text:
        raise Unreadable(Fault.NOT_A_FEED, "the answer is empty")
    parsed = _json_feed(text, url) if text.startswith("{") else _xml_feed(text, url)
    if decoded.guessed:
        parsed.notes.append(Note.CHARSET)
    parsed.cut = len(parsed.items) > MOST_ITEMS
    parsed.items = parsed.items[:MOST_ITEMS]
    return parsed


def _xml_feed(text: str, url: str) -> Parsed:
    parser = lxml.etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        root = lxml.etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (lxml.etree.XMLSyntaxError, ValueError) as error:
        return _repaired(text, url, str(error))
    name = lxml.etree.QName(root).localname.lower()
    if name == "rss":
        return _rss(root, url)
    if name == "rdf":
        return _rss(root, url)
    if name == "feed":
        return _atom(root, url)
    raise Unreadable(Fault.NOT_A_FEED, f"the document is <{name[:40]}>")


def _rss(root: Any, url: str) -> Parsed:
    """RSS of any age; in 1.0 the items stand beside the channel, in 2.0 in it."""
    channel = next((each for each in root if _local(each) == "channel"), None)
    if channel is None:
        raise Unreadable(Fault.MALFORMED, f"<{_local(root)}> without a channel")
    language = _text_of(channel, "language") or _text_of(channel, f"{_DC}language")
    places = [channel, root] if channel is not root else [root]
    items = [each for place in places for each in place if _local(each) == "item"]
    return Parsed(
        title=plain(_text_of(channel, "title")),
        items=[_rss_item(item, url, language) for item in items],
    )


def _rss_item(item: Any, url: str, language: str) -> RawItem:
    guid = _text_of(item, "guid")
    link = _text_of(item, "link")
    if not link:
        link = next(
            (each.get("href", "") for each in item if each.tag == f"{{{_ATOM}}}link"),
            "",
        )
    if not link and guid.startswith(("http://", "https://")):
        permanent = next((each.get("isPermaLink") for each in item if _local(each) == "guid"), "")
        link = guid if permanent != "false" else ""
    about = item.get("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about", "")
    body = _first(item, _CONTENT, "description", f"{_DC}description", "summary")
    time = _first(
        item, "pubDate", f"{_DC}date", f"{{{_ATOM}}}published", f"{{{_ATOM}}}updated", "date"
    )
    return RawItem(
        guid=squeezed(guid or about),
        link=_joined(url, link or about),
        title=plain(_first(item, "title", f"{_DC}title")),
        body=plain(body),
        time=time,
        language=language,
    )


def _atom(root: Any, url: str) -> Parsed:
    language = root.get(_XML_LANG, "")
    space = lxml.etree.QName(root).namespace or ""
    if space not in (_ATOM, _OLD_ATOM, ""):
        raise Unreadable(Fault.NOT_A_FEED, f"<feed> of {space[:80]}")
    entries = [each for each in root if _local(each) == "entry"]
    return Parsed(
        title=_atom_text(root, "title"),
        items=[_atom_item(entry, url, language) for entry in entries],
    )


def _atom_item(entry: Any, url: str, language: str) -> RawItem:
    links = [each for each in entry if _local(each) == "link"]
    own = [each for each in links if each.get("rel", "alternate") == "alternate"]
    link = next((each.get("href", "") for each in [*own, *links]), "")
    return RawItem(
        guid=squeezed(_text_of(entry, "id")),
        link=_joined(url, link),
        title=_atom_text(entry, "title"),
        body=_atom_text(entry, "content") or _atom_text(entry, "summary"),
        time=_first(entry, "published", "issued", "updated", "modified"),
        language=entry.get(_XML_LANG, language),
    )


def _atom_text(parent: Any, name: str) -> str:
    """A text construct: plain, escaped markup or markup."""
    node = next((each for each in parent if _local(each) == name), None)
    if node is None:
        return ""
    if node.get("type") == "text":
        return squeezed("".join(node.itertext()))
    if len(node):
        return plain(lxml.etree.tostring(node, encoding="unicode", with_tail=False))
    return plain(node.text or "")


def _json_feed(text: str, url: str) -> Parsed:
    try:
        feed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(Fault.MALFORMED, str(error)) from error
    version = str(feed.get("version", ""))
    items = feed.get("items")
    if "jsonfeed.org" not in version or not isinstance(items, list):
        raise Unreadable(
            Fault.NOT_A_FEED, "JSON, but no JSON Feed: there is no version or no items"
        )
    language = _string(feed.get("language"))
    return Parsed(
        title=squeezed(_string(feed.get("title"))),
        items=[_json_item(item, url, language) for item in items if isinstance(item, dict)],
    )


def _json_item(item: dict[str, Any], url: str, language: str) -> RawItem:
    link = _string(item.get("url")) or _string(item.get("external_url"))
    content = squeezed(_string(item.get("content_text"))) or plain(
        _string(item.get("content_html"))
    )
    return RawItem(
        guid=squeezed(_string(item.get("id"))),
        link=_joined(url, link),
        title=squeezed(_string(item.get("title"))),
        body=content or squeezed(_string(item.get("summary"))),
        time=_string(item.get("date_published")) or _string(item.get("date_modified")),
        language=_string(item.get("language")) or language,
    )


def _repaired(text: str, url: str, fault: str) -> Parsed:
    """What feedparser makes of a feed that is not well-formed.

    Raises:
        Unreadable: nothing, or it is too large to try.
    """
    head = text[:2000].lower()
    if not any(mark in head for mark in ("<rss", "<feed", "<rdf", "<channel")):
        kind = "HTML" if "<html" in head or "<!doctype html" in head else "neither XML nor JSON"
        raise Unreadable(Fault.NOT_A_FEED, f"the answer is {kind}")
    if len(text) > _MOST_REPAIRED:
        raise Unreadable(Fault.MALFORMED, f"{fault[:200]}; it is too large to repair")
    import feedparser

    found = feedparser.parse(
        io.BytesIO(text.encode("utf-8", "replace")),
        response_headers={
            "content-type": "application/xml; charset=utf-8",
            "content-location": url,
        },
    )
    if not found.entries:
        raise Unreadable(Fault.MALFORMED, fault[:200])
    language = _string(found.feed.get("language"))
    items = [_repaired_item(entry, url, language) for entry in found.entries]
    return Parsed(plain(_string(found.feed.get("title"))), items, [Note.REPAIRED])


def _repaired_item(entry: Any, url: str, language: str) -> RawItem:
    contents = entry.get("content") or []
    body = _string(contents[0].get("value")) if contents else _string(entry.get("summary"))
    return RawItem(
        guid=squeezed(_string(entry.get("id"))),
        link=_joined(url, _string(entry.get("link"))),
        title=plain(_string(entry.get("title"))),
        body=plain(body),
        time=_string(entry.get("published")) or _string(entry.get("updated")),
        language=language,
    )


def _local(node: Any) -> str:
    return lxml.etree.QName(node).localname if isinstance(node.tag, str) else ""


def _text_of(parent: Any, name: str) -> str:
    """The text of the first child of a name that has one: with a namespace exactly that, without one a feed's own."""
    for each in parent:
        if not isinstance(each.tag, str):
            continue
        if each.tag == name or ("{" not in name and _plain_name(each.tag) == name):
            text = "".join(each.itertext()).strip()
            if text:
                return text
    return ""


def _plain_name(tag: str) -> str:
    """The name of an element of a feed's own vocabulary; of an extension, such as media:title, none."""
    space, _, name = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    own = space in {"", _ATOM, _OLD_ATOM} or any(part in space for part in _OWN_SPACES)
    return name if own and "modules" not in space else ""


def _first(parent: Any, *names: str) -> str:
    return next((text for text in (_text_of(parent, name) for name in names) if text), "")


def _joined(base: str, link: str) -> str:
    """An absolute address; empty for what is none of the web."""
    link = "".join(link.encode("utf-8", "ignore").decode().split())
    if not link:
        return ""
    try:
        absolute = urljoin(base, link)
    except ValueError:
        return ""
    return absolute if absolute.lower().startswith(("http://", "https://")) else ""


def _string(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
