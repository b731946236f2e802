"""PostgreSQL and Redis for a machine that has neither, started from wheels.

They are the real servers, run as child processes over unix sockets, so the code has one path.
Nothing here needs Django: settings, scripts and tests use it before any of it is configured.
`DATABASE_URL` and `REDIS_URL` set from outside replace the embedded servers.
"""

from rootstock.config.embedded.environment import (
    Services,
    embedded_services,
    environment,
    start_services,
    var_directory,
)
from rootstock.config.embedded.postgres import PostgresServer, start_postgres
from rootstock.config.embedded.processes import StartError
from rootstock.config.embedded.redis import RedisServer, start_redis

__all__ = [
    "PostgresServer",
    "RedisServer",
    "Services",
    "StartError",
    "embedded_services",
    "environment",
    "start_postgres",
    "start_redis",
    "start_services",
    "var_directory",
]
