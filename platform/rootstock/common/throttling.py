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


class OrganisationThrottle(BaseThrottle):
    """A fixed window in Redis. Without Redis nothing is limited: the limit protects, it is not truth."""

    remaining_seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count this request; False when the window is used up."""
        actor = getattr(request, "actor", None)
        if actor is None:
            return True
        now = time.time()
        window = int(now // WINDOW)
        self.remaining_seconds = WINDOW - now % WINDOW
        limit = settings.ROOTSTOCK_RATE_LIMIT
        key = f"rate:{actor.kind}:{actor.id}:{window}"
        try:
            cache.add(key, 0, timeout=WINDOW * 2)
            used = cache.incr(key)
        except (RedisError, ValueError, OSError):
            logger.warning("rate limit not counted: Redis does not answer")
            return True
        request._request.rate_limit = (limit, max(0, limit - used), self.remaining_seconds)  # type: ignore[attr-defined]
        return used <= limit

    def wait(self) -> float:
        """Seconds until the window ends."""
        return self.remaining_seconds
