"""The variables that every process of one installation shares, and the servers behind them.

| variable | default |
|---|---|
| `ROOTSTOCK_VAR` | `var/` of the checkout |
| `DATABASE_URL`, `DATABASE_OWNER_URL` | the embedded PostgreSQL |
| `REDIS_URL` | the embedded Redis |
| `ROOTSTOCK_SECRET_KEY`, `ROOTSTOCK_INFERENCE_TOKEN` | made once, kept in `var/secrets.json` |
| `ROOTSTOCK_INFERENCE_ADDRESS` | a unix socket below `var/run` |
| `ROOTSTOCK_ARTIFACTS` | `var/artifacts` |

What is set from outside is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rootstock.config.embedded.postgres import (
    APP,
    OWNER,
    PostgresServer,
    database_url,
    start_postgres,
)
from rootstock.config.embedded.processes import (
    make_private,
    remove_socket_directory,
    socket_directory,
    stored_secrets,
)
from rootstock.config.embedded.redis import RedisServer, redis_url, start_redis

ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Services:
    """The embedded servers that run (None: replaced from outside) and how to reach everything."""

    variables: dict[str, str]
    postgres: PostgresServer | None
    redis: RedisServer | None

    def stop(self) -> None:
        """Stop what is embedded."""
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None:
            self.postgres.stop()
        remove_socket_directory(socket_directory(Path(self.variables["ROOTSTOCK_VAR"])))


def var_directory(outside: Mapping[str, str] = os.environ) -> Path:
    """Where everything that is written at run time goes."""
    return Path(outside.get("ROOTSTOCK_VAR") or ROOT / "var").absolute()


def environment(var: Path | None = None, outside: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All shared variables, whether the servers run or not: what `outside` sets, else our defaults.

    Starts nothing. The first call makes `var` and the secrets in it.
    """
    var = var or var_directory(outside)
    var.mkdir(parents=True, exist_ok=True)
    variables = {
        "ROOTSTOCK_VAR": str(var),
        "ROOTSTOCK_ARTIFACTS": str(var / "artifacts"),
        "ROOTSTOCK_INFERENCE_ADDRESS": f"unix://{socket_directory(var)}/inference.sock",
    }
    if not outside.get("DATABASE_URL"):
        variables["DATABASE_URL"] = database_url(var / "postgres", APP)
        variables["DATABASE_OWNER_URL"] = database_url(var / "postgres", OWNER)
    if not outside.get("REDIS_URL"):
        variables["REDIS_URL"] = redis_url(var / "redis")
    names = ("ROOTSTOCK_SECRET_KEY", "ROOTSTOCK_INFERENCE_TOKEN")
    if not all(outside.get(name) for name in names):
        variables |= stored_secrets(var / "secrets.json", names)
    # With somebody's own DATABASE_URL, an unset DATABASE_OWNER_URL stays unset: we cannot know it.
    return {name: outside.get(name) or value for name, value in variables.items()}


def start_services(
    var: Path | None = None,
    outside: Mapping[str, str] = os.environ,
    *,
    durable: bool = True,
    guard: bool = True,
) -> Services:
    """Start the embedded servers that `outside` does not replace; those running already are used.

    Raises:
        StartError: with the server, the reason and the end of its log.
    """
    var = (var or var_directory(outside)).absolute()
    variables = environment(var, outside)
    logs = var / "log"
    logs.mkdir(exist_ok=True)
    make_private(socket_directory(var))
    postgres = redis = None
    if not outside.get("DATABASE_URL"):
        postgres = start_postgres(
            var / "postgres", durable=durable, guard=guard, log=logs / "postgres.log"
        )
    if not outside.get("REDIS_URL"):
        redis = start_redis(var / "redis", guard=guard, log=logs / "redis.log")
    return Services(variables, postgres, redis)


@contextmanager
def embedded_services(directory: Path, *, durable: bool = False) -> Iterator[Services]:
    """Both servers of their own in `directory` for the length of a `with`, whatever is set outside.

    For tests: quick instead of crash-proof. They are gone afterwards, also after a kill -9.
    """
    services = start_services(directory, {}, durable=durable)
    try:
        yield services
    finally:
        services.stop()
