"""From which pages a channel may be used."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def origin_allowed(origin: str, *, host: str, origins: Iterable[str]) -> bool:
    """Whether a call with this Origin is one of the channel's, or of our own pages at `host` (the frame is one).

    A program sends none and is let through: what it may do is in its token, which no foreign page can have, as no
    cookie is ever believed here. The scheme of our own pages is not compared, since a proxy may end TLS before us.
    """
    if not origin or origin in origins:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == host
