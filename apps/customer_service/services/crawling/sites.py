"""Which pages a site has: by its site map, or else by following links from the page that was given."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import urldefrag, urljoin, urlsplit

from apps.customer_service.services.crawling.sitemaps import (
    is_page,
    page_links,
    same_site,
    sitemap_parse,
)
from apps.customer_service.services.crawling.visiting import NotVisited, Visitor

_MOST_SITEMAPS = 20


class Frontier:
    """Addresses to visit, each once, at most `limit`; `cut` tells whether there were more."""

    def __init__(self, visitor: Visitor, limit: int) -> None:
        self._visitor = visitor
        self._limit = limit
        self._seen: set[str] = set()
        self._waiting: deque[str] = deque()
        self._prefix = ""
        self.cut = False

    def __iter__(self) -> Iterator[str]:
        while self._waiting:
            yield self._waiting.popleft()

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, addresses: Iterable[str]) -> None:
        """Note addresses that are pages of the site."""
        for given in addresses:
            address = urldefrag(given).url
            if address in self._seen or not is_page(address):
                continue
            if not same_site(address, self._visitor.home) or len(address) > 2000:
                continue
            if len(self._seen) >= self._limit:
                self.cut = True
                return
            self._seen.add(address)
            self._waiting.append(address)

    def begin(self) -> None:
        """Find the site map: at the address itself, where robots.txt says, or at its usual place.

        Without one the page is the first, and `follow` adds what it links to below its folder.

        Raises:
            NotVisited: there is nothing at the address.
        """
        home = self._visitor.home
        answer = self._visitor.visit(home)
        if self._take(answer.body, _MOST_SITEMAPS):
            return
        places = [*self._visitor.robots.sitemaps, urljoin(home, "/sitemap.xml")]
        for place in dict.fromkeys(places):
            try:
                if same_site(place, home) and self._take(
                    self._visitor.visit(place).body, _MOST_SITEMAPS
                ):
                    break
            except NotVisited:
                continue
        folder = home[: home.rindex("/") + 1] if urlsplit(home).path else f"{home}/"
        if self._seen:
            self._keep_below(folder)
        if not self._seen:
            self._prefix = folder
            self.add([home])

    def follow(self, body: bytes, address: str) -> None:
        """Note what a page links to, when the site has no map."""
        if self._prefix:
            links = page_links(body[: 5 * 2**20].decode("utf-8", "replace"), address)
            self.add(link for link in links if link.startswith(self._prefix))

    def _take(self, body: bytes, left: int) -> bool:
        found = sitemap_parse(body)
        if found is None:
            return False
        pages, maps = found
        self.add(pages)
        for place in maps[:left]:
            if not same_site(place, self._visitor.home) or self.cut:
                continue
            try:
                self._take(self._visitor.visit(place).body, 0)
            except NotVisited:
                continue
        return True

    def _keep_below(self, folder: str) -> None:
        """Of a site map that was not asked for by its address, only what is below the page that was."""
        kept = [each for each in self._waiting if each.startswith(folder)]
        self._waiting, self._seen = deque(kept), set(kept)
