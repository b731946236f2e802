"""Sending hints to the broker, or finding at once that it is away.

Celery's own connection tries for several seconds before it gives up, which no request shall wait: what is not
sent now is sent by the sweeper.
"""

from __future__ import annotations

import logging
import os
import time
from functools import lru_cache
from typing import Any

from celery import current_app
from kombu.exceptions import ChannelError
from kombu.exceptions import OperationalError as BrokerError
from kombu.pools import connections, producers
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

BROKER_ERRORS = (BrokerError, RedisError, OSError)
# After a failure nothing is tried for so long: a request that writes many messages does not wait for each.
PAUSE_SECONDS = 1.0
FAIL_FAST = {"max_retries": 0, "socket_connect_timeout": 1.0, "socket_timeout": 2.0}

_away_until = 0.0


@lru_cache(maxsize=1)
def _broker(process: int) -> Any:
    """The connection that the pools copy; one a process, so that a fork does not share sockets."""
    return current_app.connection_for_write(transport_options=FAIL_FAST)


def send(task: str, arguments: list[str], queue: str) -> bool:
    """Queue a task; False when the broker is away."""
    global _away_until  # noqa: PLW0603 - what one thread has found out spares the others the wait
    if time.monotonic() < _away_until:
        return False
    try:
        with producers[_broker(os.getpid())].acquire(block=True) as producer:
            current_app.send_task(
                task,
                args=arguments,
                queue=queue,
                producer=producer,
                retry=False,
                ignore_result=True,
            )
    except BROKER_ERRORS as error:
        _away_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("broker away, hints are left to the sweeper: %s", error)
        return False
    return True


def queue_depth(name: str) -> int | None:
    """How many tasks wait in a queue; None when the broker is away."""
    try:
        with connections[_broker(os.getpid())].acquire(block=True) as connection:
            return int(connection.default_channel.queue_declare(name, passive=True).message_count)
    except ChannelError:
        return 0  # an empty queue does not exist in Redis
    except BROKER_ERRORS as error:
        logger.warning("broker away, nothing swept: %s", error)
        return None
