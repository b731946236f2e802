"""`python -m rootstock.config.embedded start|stop|status|env`: the servers alone."""

from __future__ import annotations

import argparse
import shlex
import sys

from rootstock.config.embedded.environment import environment, start_services, var_directory
from rootstock.config.embedded.postgres import postgres_status
from rootstock.config.embedded.processes import StartError
from rootstock.config.embedded.redis import redis_status


def main() -> int:
    """Run one command; the exit status of `status` is 1 when something is not running."""
    parser = argparse.ArgumentParser(
        prog="python -m rootstock.config.embedded", description=__doc__
    )
    parser.add_argument("command", choices=["start", "stop", "status", "env"])
    command = parser.parse_args().command
    var = var_directory()
    if command == "env":
        for name, value in environment(var).items():
            write(f"export {name}={shlex.quote(value)}")
        return 0
    if command == "start":
        try:
            start_services(var, guard=False)
        except StartError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    servers = {
        "PostgreSQL": postgres_status(var / "postgres"),
        "Redis": redis_status(var / "redis"),
    }
    if command == "stop":
        for server in servers.values():
            if server is not None:
                server.stop()
        return 0
    for name, server in servers.items():
        write(f"{name}: " + (f"running, process {server.pid}" if server else "not running"))
    return 0 if all(servers.values()) else 1


def write(line: str) -> None:
    """One line of output."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
