"""Asking a publisher's server: conditional, capped in size and time, with every failure named."""

from __future__ import annotations

import email.utils
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpcore

from apps.finance_sentiment.models import Fault
from rootstock.common.http import (
    AddressRefused,
    Answer,
    AnswerTooLarge,
    HttpError,
    NotSent,
    fetch,
)
from rootstock.common.robots import AGENT, MOST_BYTES, robots_parse

# For everything that one poll asks for, articles included.
MOST_SECONDS = 60.0
# For one answer.
ANSWER_SECONDS = 20.0
FEED_BYTES = 8 * 2**20
PAGE_BYTES = 3 * 2**20
MOST_REDIRECTS = 5
LONGEST_RETRY = timedelta(days=1)
_PERMANENT = {301, 308}
_REDIRECTS = {301, 302, 303, 307, 308}


class Failed(Exception):
    """A request brought nothing to read; `retry_at` is when the server wants to be asked again."""

    def __init__(
        self,
        fault: Fault,
        detail: str,
        *,
        status: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(detail)
        self.fault = fault
        self.status = status
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Page:
    """What came back. `moved_to` is the new address of what has moved for good."""

    status: int
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    moved_to: str = ""

    @property
    def is_unchanged(self) -> bool:
        """The server says that it is as it was."""
        return self.status == 304


class Visit:
    """The requests of one poll, which share its time."""

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._until = time.monotonic() + seconds
        self._robots: dict[str, bool] = {}

    @property
    def seconds_left(self) -> float:
        """Of the time of the whole poll."""
        return self._until - time.monotonic()

    def get(
        self,
        url: str,
        *,
        accept: str,
        most_bytes: int,
        etag: str = "",
        last_modified: str = "",
    ) -> Page:
        """What is at an address, redirects followed one by one.

        Raises:
            Failed: with the fault.
        """
        headers = {"User-Agent": f"{AGENT}/1.0", "Accept": accept}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        until = time.monotonic() + min(ANSWER_SECONDS, self.seconds_left)
        moved_to, for_good = "", True
        for _hop in range(MOST_REDIRECTS + 1):
            answer = self._once(url, headers, most_bytes, until)
            location = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not location:
                return _checked(answer, moved_to)
            for_good = for_good and answer.status in _PERMANENT
            url = urllib.parse.urljoin(url, location)
            moved_to = url if for_good else moved_to
        raise Failed(Fault.REDIRECTS, f"more than {MOST_REDIRECTS} redirects")

    def allowed(self, url: str) -> bool:
        """Whether robots.txt lets us read a page. One that cannot be read because of the server's error does not.

        Raises:
            Failed: the server cannot be asked.
        """
        parts = urllib.parse.urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        robots = urllib.parse.urlunsplit((parts.scheme, parts.netloc, "/robots.txt", "", ""))
        key = f"{robots} {path}"
        if key not in self._robots:
            try:
                page = self.get(robots, accept="text/plain,*/*;q=0.5", most_bytes=MOST_BYTES)
                rules = robots_parse(page.body.decode("utf-8", "replace"))
                self._robots[key] = rules.allows(path)
            except Failed as error:
                if error.status is None or error.status >= 500:
                    raise
                self._robots[key] = True
        return self._robots[key]

    def _once(self, url: str, headers: Mapping[str, str], most_bytes: int, until: float) -> Answer:
        left = until - time.monotonic()
        if left <= 0:
            raise Failed(Fault.TIMEOUT, "out of time")
        try:
            return fetch("GET", url, headers=headers, timeout=left, max_bytes=most_bytes)
        except AddressRefused as error:
            raise Failed(Fault.ADDRESS, str(error)) from error
        except AnswerTooLarge as error:
            raise Failed(Fault.TOO_LARGE, str(error)) from error
        except NotSent as error:
            raise Failed(Fault.UNREACHABLE, str(error)) from error
        except HttpError as error:
            raise Failed(_fault_of(error), str(error)) from error


def _fault_of(error: HttpError) -> Fault:
    if isinstance(error.__cause__, httpcore.TimeoutException):
        return Fault.TIMEOUT
    text = str(error)
    if "gzip" in text or "encoded as" in text:
        return Fault.COMPRESSION
    return Fault.PROTOCOL


def _checked(answer: Answer, moved_to: str) -> Page:
    """The answer, if there is something to read.

    Raises:
        Failed: its status says that there is not.
    """
    status = answer.status
    if status == 304 or 200 <= status < 300:
        return Page(status, answer.url, answer.body, answer.headers, moved_to)
    fault = {
        401: Fault.REFUSED,
        403: Fault.REFUSED,
        451: Fault.REFUSED,
        404: Fault.MISSING,
        410: Fault.GONE,
        429: Fault.BUSY,
    }.get(status, Fault.SERVER if status >= 500 else Fault.STATUS)
    retry_at = _retry_at(answer.headers.get("retry-after", "")) if status in {429, 503} else None
    raise Failed(fault, f"the server answered {status}", status=status, retry_at=retry_at)


def _retry_at(value: str) -> datetime | None:
    """When to ask again, by the header: seconds or a date; never later than a day."""
    now = datetime.now(UTC)
    value = value.strip()
    if value.isdecimal() and len(value) < 10:
        wanted = now + timedelta(seconds=int(value))
    else:
        try:
            wanted = email.utils.parsedate_to_datetime(value).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(wanted, now), now + LONGEST_RETRY)
