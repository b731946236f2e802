"""Addresses of a site's pages: from its site map, or from the links on a page."""

from __future__ import annotations

import zlib
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

MOST_BYTES = 50 * 2**20
MOST_ADDRESSES = 50_000
_NO_PAGES = (
    ".css .js .json .xml .rss .atom .png .jpg .jpeg .gif .svg .webp .ico .bmp .mp3 .mp4 .webm .avi .mov .zip .gz .rar "
    ".7z .exe .dmg .apk .woff .woff2 .ttf .doc .xls .ppt .pptx"
)
_ENDINGS = tuple(_NO_PAGES.split())


def sitemap_parse(data: bytes) -> tuple[list[str], list[str]] | None:
    """The pages and the further site maps that a site map names; None when it is none.

    It may be gzipped. One with a document type is none: there is no need for entities in it.
    """
    if data.startswith(b"\x1f\x8b"):
        unzip = zlib.decompressobj(wbits=31)
        try:
            data = unzip.decompress(data, MOST_BYTES)
        except zlib.error:
            return None
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data or b"\x00" in data[:100]:
        return None
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - without a document type there is nothing to expand
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    name = _name(root)
    if name not in {"urlset", "sitemapindex"}:
        return None
    found = [
        (each.text or "").strip()
        for entry in root
        for each in entry
        if _name(each) == "loc" and (each.text or "").strip()
    ][:MOST_ADDRESSES]
    return (found, []) if name == "urlset" else ([], found)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def page_links(text: str, base: str) -> list[str]:
    """Addresses that a page links to, absolute and without fragment, in order; none that it asks not to follow."""
    parser = _Links()
    parser.feed(text)
    base = urljoin(base, parser.base) if parser.base else base
    if parser.closed_to_robots:
        return []
    links = []
    for link in parser.links:
        try:
            links.append(urldefrag(urljoin(base, link)).url)
        except ValueError:
            continue
    return list(dict.fromkeys(links))


def is_page(address: str) -> bool:
    """Whether an address may be that of a page or document, by its ending."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and not parts.path.lower().endswith(_ENDINGS)


def same_site(address: str, home: str) -> bool:
    """Whether an address is on the host of another: the same name, with or without "www."; a port counts."""
    try:
        one, other = urlsplit(address), urlsplit(home)
        ports = (one.port, other.port)
    except ValueError:
        return False
    hosts = [(each.hostname or "").lower().removeprefix("www.") for each in (one, other)]
    return hosts[0] == hosts[1] != "" and ports[0] == ports[1]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""
        self.closed_to_robots = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href") and "nofollow" not in given.get("rel", "").lower():
            if len(self.links) < MOST_ADDRESSES:
                self.links.append(given["href"].strip())
        elif tag == "base":
            self.base = self.base or given.get("href", "")
        elif tag == "meta" and given.get("name", "").lower() == "robots":
            self.closed_to_robots |= "nofollow" in given.get("content", "").lower()
