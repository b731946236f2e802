"""`script/demo` and `script/server`: from a checkout to running processes, phase by phase."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from rootstock.config.embedded import Services, StartError, start_services, var_directory
from rootstock.launch import frontend, messages
from rootstock.launch.bootstrap import ROOT
from rootstock.launch.phases import Phase, Phases, write
from rootstock.launch.programs import demo_shop, demo_stream, programs, python, reachable
from rootstock.launch.supervisor import RunFile, Supervisor, clean_stale_run

FIRST_PORT = 8000
FIRST_SHOP_PORT = 8200
PORTS_TRIED = 100
READY_SECONDS = 180.0


class StopRequested(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal; not an error, so nothing catches it by accident."""


def main() -> int:
    """Run until asked to stop; 1 with a message when something cannot be started."""
    parser = argparse.ArgumentParser(prog="script/server", description=__doc__)
    parser.add_argument(
        "--demo", action="store_true", help="with demo data, demo models and a stream of headlines"
    )
    demo = parser.parse_args().demo
    var = var_directory()
    var.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, request_stop)
    # The lock is the kernel's: it goes with the process, however that ends.
    descriptor = os.open(var, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        running = RunFile(var / "supervisor.json").read() or {}
        write(
            f"Rootstock already runs here: {running.get('url', 'it is just starting')} "
            f"(process {running.get('pid', 'unknown')}, in {var})"
        )
        return 1
    return Start(var, demo=demo).run()


class Start:
    """One run of an installation."""

    def __init__(self, var: Path, *, demo: bool) -> None:
        self.var = var
        self.demo = demo
        self.logs = var / "log"
        self.run_file = RunFile(var / "supervisor.json")
        self.services: Services | None = None
        self.supervisor: Supervisor | None = None
        self.environment: dict[str, str] = {}

    def run(self) -> int:
        """Start, look after, stop; the exit status."""
        status = 0
        try:
            self.start()
            if self.supervisor is not None:
                self.supervisor.run()
        except StopRequested:
            write("\nStopping …")
        except (StartError, frontend.BuildError) as error:
            write(f"\n{error}")
            status = 1
        finally:
            self.stop()
        write("Stopped." if status == 0 else "Nothing is left running.")
        return status

    def start(self) -> None:
        """All phases, up to the address on the screen."""
        self.logs.mkdir(exist_ok=True)
        phases = Phases(self.var / "startup.json")
        if clean_stale_run(self.run_file):
            write("  The run before was killed; what it left has been cleaned up.")
        host = os.environ.get("ROOTSTOCK_HOST") or "127.0.0.1"
        port = choose_port(host, os.environ.get("ROOTSTOCK_PORT"))
        url = f"http://{reachable(host)}:{port}"
        self.check_settings()
        with phases.phase("PostgreSQL and Redis") as phase:
            self.services = start_services(self.var)
            phase.result = self.which_services()
        self.environment = self.child_environment(host, port)
        Path(self.environment["ROOTSTOCK_ARTIFACTS"]).mkdir(parents=True, exist_ok=True)
        with phases.phase("Front end") as phase:
            phase.result = frontend.build(self.logs / "setup.log")
            if messages.outdated():
                self.manage(phase, "messages", "--compile")
                messages.mark_compiled()
        with phases.phase("Database") as phase:
            self.manage(phase, "migrate", "--database", "owner", "--no-input")
        if self.production:
            with phases.phase("Static files") as phase:
                self.manage(phase, "collectstatic", "--no-input", "--verbosity=0")
        about = {"pid": os.getpid(), "url": url, "started": time.time()}
        supervisor = Supervisor(
            self.environment, self.logs, self.run_file, about, self.revive_services
        )
        self.supervisor = supervisor
        supervisor.start(programs(self.environment, host=host, port=port))
        shop = first_free("127.0.0.1", FIRST_SHOP_PORT) if self.demo else 0
        if self.demo:
            with phases.phase("Demo data and models") as phase:
                self.manage(phase, "demo_setup")
                self.manage(phase, "demo_channel", "--origin", f"http://127.0.0.1:{shop}")
                self.manage(phase, "demo_service_setup")
        with phases.phase("Processes") as phase:
            supervisor.wait_until_ready(
                READY_SECONDS, lambda names: phase.note("waiting for " + ", ".join(names))
            )
            if self.demo:
                secrets = self.var / "demo-secrets.json"
                supervisor.start([demo_stream(), demo_shop(shop, widget=url, secrets=secrets)])
        phases.finish()
        self.announce(url, phases.total(), shop)

    def stop(self) -> None:
        """Stop everything that was started; a second Ctrl-C meanwhile does not leave half of it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if self.supervisor is not None:
            self.supervisor.stop()
        if self.services is not None:
            self.services.stop()
        self.run_file.remove()

    @property
    def production(self) -> bool:
        """Whether the settings for production are used."""
        return os.environ.get("DJANGO_SETTINGS_MODULE") == "rootstock.config.settings.production"

    def check_settings(self) -> None:
        """Say at once what would fail only after a minute of starting."""
        if self.production and not os.environ.get("ROOTSTOCK_ALLOWED_HOSTS"):
            raise StartError(
                "ROOTSTOCK_ALLOWED_HOSTS must name the host names under which this server is "
                "reached, for example ROOTSTOCK_ALLOWED_HOSTS=rootstock.example.org; "
                "see docs/operations.md"
            )

    def child_environment(self, host: str, port: int) -> dict[str, str]:
        """Of every process: ours, the shared variables, and where our code is."""
        variables = self.services.variables if self.services else {}
        # Flows of the demonstration call the shop, which is on this machine.
        own = {"ROOTSTOCK_HTTP_ALLOW_PRIVATE": "127.0.0.1/32"} if self.demo else {}
        return {
            **own,
            **os.environ,
            **variables,
            "ROOTSTOCK_HOST": host,
            "ROOTSTOCK_PORT": str(port),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
            "PYTHONUNBUFFERED": "1",
        }

    def which_services(self) -> str:
        """For the screen: whose servers are used."""
        if self.services is None:
            return ""
        parts = []
        if self.services.postgres is None:
            parts.append("DATABASE_URL")
        if self.services.redis is None:
            parts.append("REDIS_URL")
        return "using " + " and ".join(parts) if parts else ""

    def revive_services(self) -> list[str]:
        """Start embedded servers that have died; their addresses stay the same."""
        services = self.services
        if services is None:
            return []
        dead = [
            name
            for name, server in (("PostgreSQL", services.postgres), ("Redis", services.redis))
            if server is not None and not server.is_running()
        ]
        if dead:
            self.services = start_services(self.var)
        return dead

    def manage(self, phase: Phase, *arguments: str) -> None:
        """Run a management command; its lines are shown as they come and kept in setup.log.

        Raises:
            StartError: it failed; with the end of what it wrote.
        """
        log = self.logs / "setup.log"
        last: list[str] = []
        with (
            log.open("a") as output,
            subprocess.Popen(  # noqa: S603 - our own arguments
                python("manage.py", *arguments),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                for line in phase.lines(process.stdout) if process.stdout else ():
                    output.write(line + "\n")
                    last = [*last[-14:], line]
                    phase.note(line.strip())
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            end = "\n".join(f"    {line}" for line in last)
            raise StartError(f"manage.py {arguments[0]} failed (whole log: {log}):\n{end}")

    def announce(self, url: str, seconds: float, shop: int) -> None:
        """The address and, for the demo, how to sign in and where the shop is; also as var/demo.json."""
        write(f"\n  Ready after {seconds:.1f} s\n\n    {url}")
        if self.demo:
            site = f"http://127.0.0.1:{shop}"
            account = self.demo_account(url, site)
            write(f"    {account.get('email', '')}    password {account.get('password', '')}")
            write(f"\n    {site}    a shop with the widget in its pages")
        write(f"\n  Logs are in {self.logs}. Ctrl-C stops everything.\n")

    def demo_account(self, url: str, shop: str) -> Mapping[str, str]:
        """What demo_setup wrote, with the addresses of this run."""
        path = self.var / "demo.json"
        account: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        content = json.dumps({**account, "url": url, "shop": shop})
        new = path.with_suffix(".new")
        with suppress(FileNotFoundError):
            new.unlink()
        with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(content + "\n")
        new.replace(path)
        return account


def request_stop(number: int, frame: FrameType | None) -> NoReturn:
    """Signal handler: leave whatever is being done."""
    raise StopRequested(number)


def choose_port(host: str, wanted: str | None) -> int:
    """The port that was asked for, else the first free one from 8000 on.

    Raises:
        StartError: the port that was asked for is taken, or is no port.
    """
    if wanted:
        if not wanted.isdigit() or not 0 < int(wanted) < 65536:
            raise StartError(f"ROOTSTOCK_PORT is {wanted!r}; it must be a number from 1 to 65535")
        if not is_free(host, int(wanted)):
            raise StartError(
                f"Port {wanted} is taken by {holder(int(wanted))}. Stop that, choose another with "
                "ROOTSTOCK_PORT, or leave ROOTSTOCK_PORT unset to have a free one chosen"
            )
        return int(wanted)
    port = first_free(host, FIRST_PORT)
    if port != FIRST_PORT:
        write(f"  Port {FIRST_PORT} is taken by {holder(FIRST_PORT)}; using {port}.")
    return port


def first_free(host: str, first: int) -> int:
    """The first port from `first` on at which a server could listen.

    Raises:
        StartError: none of a hundred is free.
    """
    for port in range(first, first + PORTS_TRIED):
        if is_free(host, port):
            return port
    raise StartError(f"No port from {first} to {port} is free; choose one with ROOTSTOCK_PORT")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    with suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                if connection.pid is None:
                    break
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another program"


if __name__ == "__main__":
    sys.exit(main())
