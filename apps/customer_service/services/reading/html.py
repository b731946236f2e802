"""HTML: what a reader of the page came for, without its menus, banners and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import lxml.etree
import lxml.html
from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.decoding import charset_of, decode
from apps.customer_service.services.reading.document import Reading, Unreadable, table

_DROPPED = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "nav",
        "aside",
        "form",
        "button",
        "select",
        "input",
        "textarea",
    }
    | {
        "iframe",
        "object",
        "embed",
        "svg",
        "canvas",
        "audio",
        "video",
        "map",
        "dialog",
        "menu",
        "head",
        "link",
        "meta",
    }
)
# Of the page, where they are not in its article.
_FRAMES = frozenset({"header", "footer"})
_ROLES = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search"}
    | {"dialog", "alertdialog", "menu", "menubar", "toolbar"}
)
_NAMES = re.compile(
    r"(^|[\s_-])(nav(bar|igation)?|menu|breadcrumbs?|sidebar|side-bar|cookies?|consent|gdpr|banner|newsletter|subscribe|"
    r"social|share|sharing|related|recommend(ed|ations)?|comments?|advert(s|isement)?|ads?|promo|popup|modal|pagination|"
    r"pager|skip-link|footer|copyright)([\s_-]|$)",
    re.I,
)
_BLOCKS = frozenset(
    {
        "address",
        "article",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
    }
    | {
        "figcaption",
        "figure",
        "footer",
        "header",
        "hgroup",
        "hr",
        "html",
        "main",
        "p",
        "section",
        "summary",
    }
    | {"tbody", "td", "th", "tr"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_META = re.compile(rb"<meta[^>]{0,300}>", re.I)
_LEAST_SHARE = 0.25


def read_html(reading: Reading, data: bytes, content_type: str) -> None:
    """Headings, paragraphs, lists, tables and code of a page's main part.

    Raises:
        Unreadable: it is no HTML.
    """
    declared = charset_of(content_type)
    for meta in _META.findall(data[:4096]):
        declared = declared or charset_of(meta.decode("ascii", "ignore"))
    root = _parsed(decode(data, declared))
    reading.title, reading.language = _title(root), _language(root)
    body = root.find(".//body")
    body = root if body is None else body
    whole = len(_plain(body))
    for element in [each for each in body.iter() if _is_furniture(each, by_name=False)]:
        _remove(element)
    kept = len(_plain(body))
    main = _main(body)
    doubtful = [
        each for each in main.iter() if each is not main and _is_furniture(each, by_name=True)
    ]
    # Names are only a hint: what makes up most of the page is the page.
    for element in doubtful:
        if len(_plain(element)) < 0.5 * max(1, kept):
            _remove(element)
    if len(_plain(main)) < _LEAST_SHARE * kept:
        main = body
    _walk(reading, main)
    if not reading.blocks and whole:
        raise Unreadable(
            gettext_noop(
                "The page shows its text only by a program, or has none. Give its text as a file."
            )
        )


def html_text(text: str) -> str:
    """What a reader sees of a piece of HTML, on one line."""
    try:
        return _plain(_parsed(text))
    except Unreadable:
        return ""


def _parsed(text: str) -> lxml.html.HtmlElement:
    parser = lxml.html.HTMLParser(
        remove_comments=True, remove_pis=True, no_network=True, huge_tree=False, encoding="utf-8"
    )
    # An encoding that an XML declaration states is not that of text which is decoded already.
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text.replace("\x00", ""))
    try:
        root = lxml.html.document_fromstring(text.encode("utf-8", "ignore"), parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(gettext_noop("There is no HTML in it.")) from error
    return root


def _title(root: lxml.html.HtmlElement) -> str:
    for found in (
        root.xpath("//meta[@property='og:title']/@content"),
        root.xpath("//title/text()"),
        [_plain(each) for each in root.xpath("//h1")],
    ):
        title = " ".join(str(found[0]).split()) if found else ""
        if title:
            return title[:300]
    return ""


def _language(root: lxml.html.HtmlElement) -> str:
    return str(root.get("lang") or "").lower().split("-")[0][:10]


def _is_furniture(element: lxml.html.HtmlElement, *, by_name: bool) -> bool:
    tag = element.tag
    if not isinstance(tag, str):
        return True
    if by_name:
        return bool(_NAMES.search(f"{element.get('class', '')} {element.get('id', '')}"))
    if tag in _DROPPED or element.get("role", "").lower() in _ROLES:
        return True
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if "display:none" in element.get("style", "").replace(" ", "").lower():
        return True
    return tag in _FRAMES and not any(
        each.tag in {"article", "main", "section"} for each in element.iterancestors()
    )


def _remove(element: lxml.html.HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()


def _main(body: lxml.html.HtmlElement) -> lxml.html.HtmlElement:
    """The part that the page itself calls its main one."""
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = body.findall(path)
        if len(found) == 1:
            return found[0]
    return body


def _walk(reading: Reading, main: lxml.html.HtmlElement) -> None:
    """Blocks in reading order, without recursion: a page may be nested as deep as its author likes."""
    inline: list[str] = []

    def flush() -> None:
        reading.add("prose", "".join(inline))
        inline.clear()

    skipped: lxml.html.HtmlElement | None = None
    for event, element in lxml.etree.iterwalk(main, events=("start", "end")):
        if skipped is not None:
            if event == "end" and element is skipped:
                skipped = None
                inline.append(element.tail or "")
            continue
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "end":
            if tag in _BLOCKS or tag == "br":
                flush() if tag != "br" else inline.append(" ")
            if element is not main:
                inline.append(element.tail or "")
            continue
        whole = _whole(element, tag)
        if whole is not None:
            flush()
            kind, text, level = whole
            reading.add(kind, text, level=level)
            skipped = element
            continue
        if tag in _BLOCKS:
            flush()
        inline.append(element.text or "")
    flush()


def _whole(element: lxml.html.HtmlElement, tag: str) -> tuple[str, str, int] | None:
    """An element that is a block as a whole: its kind, text and level."""
    if tag in _HEADINGS:
        return "heading", _plain(element), _HEADINGS[tag]
    if tag == "pre":
        return "code", element.text_content(), 0
    if tag in {"ul", "ol"}:
        return "list", "" if _is_menu(element) else _list(element), 0
    if tag == "table" and not element.findall(".//table") and _is_data(element):
        return "table", table(_rows(element)), 0
    return None


def _is_menu(element: lxml.html.HtmlElement) -> bool:
    """A list of nothing but links, several of them and short."""
    links = element.findall(".//a")
    linked = sum(len(_plain(link)) for link in links)
    return len(links) > 3 and linked > 0.9 * len(_plain(element)) and linked < 40 * len(links)


def _is_data(element: lxml.html.HtmlElement) -> bool:
    """A table that lays out a page has headings and lists in its cells, or one column."""
    rows = _rows(element)
    return (
        max((len(row) for row in rows), default=0) > 1
        and not element.xpath(".//h1|.//h2|.//h3|.//pre")
        and max((len(each) for row in rows for each in row), default=0) < 3000
    )


def _rows(element: lxml.html.HtmlElement) -> list[list[str]]:
    return [[_plain(each) for each in row.xpath("./td|./th")] for row in element.iter("tr")]


def _list(element: lxml.html.HtmlElement) -> str:
    lines = []
    for item in element.iter("li"):
        depth = sum(each.tag in {"ul", "ol"} for each in item.iterancestors()) - 1
        outer = sum(each.tag in {"ul", "ol"} for each in element.iterancestors())
        text = " ".join("".join(_own_text(item)).split())
        if not text:
            continue
        parent = item.getparent()
        number = (
            f"{parent.findall('li').index(item) + 1}. "
            if parent is not None and parent.tag == "ol"
            else "- "
        )
        lines.append("  " * min(8, depth - outer) + number + text)
    return "\n".join(lines) or _plain(element)


def _own_text(item: lxml.html.HtmlElement) -> Iterator[str]:
    """The text of an item without that of the lists in it."""
    skipped: lxml.html.HtmlElement | None = None
    yield item.text or ""
    for event, element in lxml.etree.iterwalk(item, events=("start", "end")):
        if element is item:
            continue
        if skipped is None and event == "start":
            if element.tag in {"ul", "ol"}:
                skipped = element
            else:
                yield (" " if element.tag in _BLOCKS or element.tag == "br" else "") + (
                    element.text or ""
                )
        elif event == "end":
            if element is skipped:
                skipped = None
            if skipped is None:
                yield (" " if element.tag in _BLOCKS else "") + (element.tail or "")


def _plain(element: lxml.html.HtmlElement) -> str:
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: lxml.html.HtmlElement) -> Iterator[str]:
    """The text, with a space where a block begins or ends."""
    for event, each in lxml.etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            if each is not element and (each.tag in _BLOCKS or each.tag in {"br", "li"}):
                yield " "
            yield each.text or ""
        elif each is not element:
            yield (" " if each.tag in _BLOCKS or each.tag == "li" else "") + (each.tail or "")
