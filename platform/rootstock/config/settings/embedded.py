"""One machine, nothing to install: PostgreSQL and Redis come from wheels unless URLs name others."""

from __future__ import annotations

import os

from rootstock.config.embedded import environment

# Fills DATABASE_URL, REDIS_URL, the secret key … where they are not set; starts no server by itself.
os.environ.update(environment())

from rootstock.config.settings.base import *  # noqa: F403
