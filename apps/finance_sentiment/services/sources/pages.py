"""List pages and comment pages by CSS selectors, and the text of articles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import lxml.etree
import lxml.html
from cssselect import SelectorError
from django.utils.translation import gettext as _
from lxml.cssselect import CSSSelector

from apps.finance_sentiment.models import Fault, Note, SourceKind
from apps.finance_sentiment.services.sources.decoding import decode
from apps.finance_sentiment.services.sources.feeds import MOST_ITEMS, Parsed, Unreadable
from apps.finance_sentiment.services.sources.items import RawItem, element_text, squeezed

# What a selector can be given for, by kind; the first is needed.
PARTS = {
    SourceKind.LIST: ("item", "title", "link", "time", "body"),
    SourceKind.COMMENTS: ("item", "body", "author", "time", "link"),
}
LONGEST_SELECTOR = 300
# A comment's title is its beginning.
_LONGEST_TITLE = 120


class SelectorsRefused(ValueError):
    """Selectors that cannot be used; `part` names which."""

    def __init__(self, part: str, detail: str) -> None:
        super().__init__(detail)
        self.part = part


@dataclass(frozen=True, slots=True)
class Selectors:
    """The compiled selectors of a source; what is None is found without."""

    item: CSSSelector
    title: CSSSelector | None = None
    link: CSSSelector | None = None
    time: CSSSelector | None = None
    body: CSSSelector | None = None
    author: CSSSelector | None = None


def selectors_check(kind: str, given: dict[str, Any]) -> dict[str, str]:
    """The selectors of a source of a kind, without empty ones.

    Raises:
        SelectorsRefused: one is missing, unknown or no CSS.
    """
    known = PARTS.get(SourceKind(kind), ())
    for part, text in given.items():
        if part not in known:
            raise SelectorsRefused(part, _("A source of this kind has no such selector."))
        if not isinstance(text, str) or len(text) > LONGEST_SELECTOR:
            raise SelectorsRefused(
                part,
                _("A selector is text of at most %(most)d characters.")
                % {"most": LONGEST_SELECTOR},
            )
    cleaned = {part: text.strip() for part, text in given.items() if text.strip()}
    if known and not cleaned.get("item"):
        raise SelectorsRefused("item", _("Say which elements of the page are the items."))
    for part, text in cleaned.items():
        _compiled(part, text)
    return cleaned


def _compiled(part: str, text: str) -> CSSSelector:
    try:
        return CSSSelector(text, translator="html")
    except (SelectorError, lxml.etree.XPathError, ValueError) as error:
        raise SelectorsRefused(
            part, _("This is no CSS selector: %(why)s") % {"why": str(error)[:200]}
        ) from error


def page_parse(
    data: bytes, *, url: str, content_type: str, kind: str, selectors: dict[str, str]
) -> Parsed:
    """The items of a list page or comment page, in its order.

    Raises:
        Unreadable: it is no page, or the selectors find nothing on it.
    """
    decoded = decode(data, content_type)
    root = _root(decoded.text)
    chosen = Selectors(**{part: _compiled(part, text) for part, text in selectors.items()})
    base = next((node.get("href", "") for node in root.iter("base")), "")
    base = urljoin(url, base) if base else url
    found = chosen.item(root)
    read = _comment if kind == SourceKind.COMMENTS else _entry
    language = root.get("lang", "")
    items = [
        replace(item, language=language)
        for item in (read(node, chosen, base) for node in found[:MOST_ITEMS])
        if item.title or item.body
    ]
    if not items:
        detail = (
            f"{len(found)} elements match, none has a text"
            if found
            else f"no element matches {selectors['item']!r}"
        )
        raise Unreadable(Fault.SELECTORS, detail)
    return Parsed(
        title=squeezed(root.findtext(".//title") or ""),
        items=items,
        notes=[Note.CHARSET] if decoded.guessed else [],
        cut=len(found) > MOST_ITEMS,
    )


def article_text(data: bytes, *, url: str, content_type: str) -> str:
    """The running text of an article's page, without what stands around it; empty where there is none."""
    import trafilatura  # its parts take a while to import

    text = trafilatura.extract(
        decode(data, content_type).text,
        url=url,
        include_comments=False,
        include_tables=True,
        favor_precision=True,
    )
    return squeezed(text or "")


def _root(text: str) -> lxml.html.HtmlElement:
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    try:
        root: lxml.html.HtmlElement | None = lxml.html.document_fromstring(
            text.encode("utf-8", "replace"), parser=parser
        )
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(Fault.MALFORMED, f"the page is no HTML: {error}") from error
    if root is None:
        raise Unreadable(Fault.MALFORMED, "the page is empty")
    return root


def _entry(node: Any, chosen: Selectors, base: str) -> RawItem:
    """A line of a list: what is linked, and when."""
    link_node = _one(node, chosen.link) if chosen.link else _first_link(node)
    title_node = _one(node, chosen.title) if chosen.title else link_node
    title = element_text(title_node) if title_node is not None else ""
    if not title and link_node is not None:
        title = squeezed(link_node.get("title", ""))
    body_node = _one(node, chosen.body)
    return RawItem(
        link=_href(link_node, base),
        title=title.replace("\n", " "),
        body=element_text(body_node) if body_node is not None else "",
        time=_time(_one(node, chosen.time) if chosen.time else _first(node, "time")),
    )


def _comment(node: Any, chosen: Selectors, base: str) -> RawItem:
    """A comment is known by the id of its element, else by who said what when."""
    body_node = _one(node, chosen.body) if chosen.body else node
    body = element_text(body_node) if body_node is not None else ""
    author_node = _one(node, chosen.author)
    author = element_text(author_node) if author_node is not None else ""
    time = _time(_one(node, chosen.time) if chosen.time else _first(node, "time"))
    marks = [node.get(name, "") for name in ("data-id", "data-comment-id", "id")]
    guid = next((mark for mark in marks if mark), "")
    line = body.replace("\n", " ")
    title = line if len(line) <= _LONGEST_TITLE else f"{line[:_LONGEST_TITLE].rstrip()}…"
    return RawItem(
        guid=squeezed(guid) or (f"{author} {time} {title}" if author or time else ""),
        link=_href(_one(node, chosen.link), base) if chosen.link else "",
        title=title,
        body=body if body != title else "",
        time=time,
    )


def _one(node: Any, selector: CSSSelector | None) -> Any:
    """What a selector finds first, in an item or the item itself."""
    return next(iter(selector(node)), None) if selector is not None else None


def _first(node: Any, tag: str) -> Any:
    return next(node.iter(tag), None)


def _first_link(node: Any) -> Any:
    """The first link that has words."""
    links = [each for each in node.iter("a") if each.get("href")]
    return next((each for each in links if element_text(each)), links[0] if links else None)


def _href(node: Any, base: str) -> str:
    if node is None:
        return ""
    link = node if node.get("href") else _first_link(node)
    address = "".join((link.get("href") if link is not None else "").split())
    try:
        absolute = urljoin(base, address) if address else ""
    except ValueError:
        return ""
    return absolute if absolute.lower().startswith(("http://", "https://")) else ""


def _time(node: Any) -> str:
    if node is None:
        return ""
    for name in ("datetime", "data-time", "content"):
        if node.get(name):
            return squeezed(node.get(name))
    return element_text(node).replace("\n", " ")
