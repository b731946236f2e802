"""One visitor of one site: what robots.txt allows, at its pace, on its host, redirects looked at one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from django.utils.translation import gettext_noop

from apps.customer_service.services.crawling.sitemaps import same_site
from apps.customer_service.services.reading.document import MAX_BYTES
from rootstock.common.http import (
    AddressRefused,
    Answer,
    AnswerTooLarge,
    HttpError,
    fetch,
)
from rootstock.common.robots import AGENT, MOST_BYTES, Robots, robots_parse

SECONDS = 30.0
LEAST_DELAY_SECONDS = 0.5
MOST_REDIRECTS = 5
_HEADERS = {
    "User-Agent": f"{AGENT}/1.0",
    "Accept": "text/html,application/xhtml+xml,application/pdf,text/plain,text/markdown,*/*;q=0.5",
}


class NotVisited(Exception):
    """A page brought nothing; `text` and `values` say why, `gone` that there is none at the address any more."""

    def __init__(self, text: str, *, gone: bool = False, **values: str | int) -> None:
        super().__init__(text % values if values else text)
        self.text = text
        self.values = values
        self.gone = gone


@dataclass(slots=True)
class Visitor:
    """Visits pages of the site of `home`. `check` is called while it waits; what it raises ends the wait."""

    home: str
    check: Callable[[], None]
    robots: Robots
    _last: float = 0.0

    @classmethod
    def arrive(cls, home: str, check: Callable[[], None]) -> Visitor:
        """Read what the site asks of visitors.

        Raises:
            NotVisited: the site does not answer: then nothing of it may be visited for now.
        """
        visitor = cls(home, check, Robots())
        try:
            answer = visitor._fetch(
                urljoin(home, "/robots.txt"), {}, MOST_BYTES, follow=MOST_REDIRECTS
            )
        except AnswerTooLarge:
            raise NotVisited(gettext_noop("The site's robots.txt is too large.")) from None
        if answer.status >= 500:
            raise NotVisited(
                gettext_noop("The site's robots.txt could not be read (status %(status)s)."),
                status=answer.status,
            )
        if answer.status < 300:
            visitor.robots = robots_parse(answer.body.decode("utf-8", "replace"))
        return visitor

    def visit(self, address: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The page at an address; status 304 when it is as the headers say that it was.

        Raises:
            NotVisited: with the reason.
        """
        for _hop in range(MOST_REDIRECTS + 1):
            self._admit(address)
            self._pause()
            try:
                answer = self._fetch(address, headers or {}, MAX_BYTES)
            except AnswerTooLarge:
                raise NotVisited(
                    gettext_noop("It is larger than %(most)s MB."), most=MAX_BYTES // 2**20
                ) from None
            location = answer.headers.get("location")
            if answer.status not in {301, 302, 303, 307, 308} or location is None:
                return _checked(answer)
            address = urljoin(address, location)
        raise NotVisited(gettext_noop("It redirects in a circle."))

    def _admit(self, address: str) -> None:
        if not same_site(address, self.home):
            host = urlsplit(address).hostname or ""
            raise NotVisited(
                gettext_noop("It redirects to another site, %(host)s."), host=host[:200]
            )
        parts = urlsplit(address)
        if not self.robots.allows(parts.path + (f"?{parts.query}" if parts.query else "")):
            raise NotVisited(gettext_noop("The site's robots.txt does not allow a visit."))

    def _pause(self) -> None:
        due = self._last + max(LEAST_DELAY_SECONDS, self.robots.delay)
        while (left := due - time.monotonic()) > 0:
            self.check()
            time.sleep(min(0.2, left))
        self.check()

    def _fetch(
        self, address: str, headers: Mapping[str, str], most: int, follow: int = 0
    ) -> Answer:
        try:
            return fetch(
                "GET",
                address,
                headers={**_HEADERS, **headers},
                timeout=SECONDS,
                max_bytes=most,
                max_redirects=follow,
            )
        except AddressRefused as error:
            raise NotVisited(
                gettext_noop("This address cannot be visited: %(reason)s."), reason=str(error)
            ) from error
        except AnswerTooLarge:
            raise
        except HttpError as error:
            raise NotVisited(
                gettext_noop("The site does not answer: %(reason)s."), reason=str(error)
            ) from error
        finally:
            self._last = time.monotonic()


def _checked(answer: Answer) -> Answer:
    if answer.status in {404, 410}:
        raise NotVisited(
            gettext_noop("There is no page at this address (status %(status)s)."),
            gone=True,
            status=answer.status,
        )
    if answer.status in {401, 403}:
        raise NotVisited(
            gettext_noop("The site does not show this page to visitors (status %(status)s)."),
            status=answer.status,
        )
    if answer.status != 304 and not 200 <= answer.status < 300:
        raise NotVisited(
            gettext_noop("The site answers with status %(status)s."), status=answer.status
        )
    return answer
