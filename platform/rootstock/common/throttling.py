"""A limit of requests a minute for each key or person, told in the response headers."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

WINDOW = 60


def count(key: str, *, limit: int, seconds: int) -> tuple[int, float]:
    """Count one use of `key` in the current window of `seconds`.

    Returns (uses left, seconds until the window ends); the first is negative once the limit is passed. Without Redis
    nothing is limited: the limit protects, it is not truth.
    """
    now = time.time()
    window = int(now // seconds)
    name = f"rate:{key}:{window}"
    try:
        cache.add(name, 0, timeout=seconds * 2)
        used = cache.incr(name)
    except (RedisError, ValueError, OSError):
        logger.warning("rate limit not counted: Redis does not answer")
        used = 1
    return limit - used, seconds - now % seconds


class OrganisationThrottle(BaseThrottle):
    """So many requests a minute for each key or person, told in the response headers."""

    remaining_seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count this request; False when the window is used up."""
        actor = getattr(request, "actor", None)
        if actor is None:
            return True
        limit = settings.ROOTSTOCK_RATE_LIMIT
        left, self.remaining_seconds = count(
            f"{actor.kind}:{actor.id}", limit=limit, seconds=WINDOW
        )
        request._request.rate_limit = (limit, max(0, left), self.remaining_seconds)  # type: ignore[attr-defined]
        return left >= 0

    def wait(self) -> float:
        """Seconds until the window ends."""
        return self.remaining_seconds
