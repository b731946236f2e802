"""The embedded servers come up whatever was left behind, and leave nothing behind themselves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from rootstock.config.embedded import (
    PostgresServer,
    StartError,
    embedded_services,
    environment,
    start_postgres,
    start_redis,
    start_services,
)
from rootstock.config.embedded.processes import make_private, socket_directory
from tests.unit.config.waiting import ended, until

ROOT = Path(__file__).resolve().parents[3]
STARTER = """
import sys, time
from pathlib import Path
from rootstock.config.embedded import start_services
services = start_services(Path(sys.argv[1]), {}, durable=False)
print(services.postgres.pid, services.redis.pid, flush=True)
time.sleep(600)
"""


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def server(directory: Path) -> Iterator[PostgresServer]:
    server = start_postgres(directory / "pg", durable=False)
    yield server
    server.stop()


def test_roles_can_do_what_they_need_and_no_more(server: PostgresServer) -> None:
    roles = query(
        server.owner_url,
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles "
        "WHERE rolname LIKE 'rootstock%' ORDER BY 1",
    )
    assert roles == [
        ("rootstock_app", False, False, False, True),
        ("rootstock_lookup", False, False, False, False),
        ("rootstock_owner", False, False, True, True),
    ]
    assert query(server.owner_url, "SELECT pg_has_role('rootstock_lookup', 'MEMBER')") == [(True,)]
    assert query(server.app_url, "SELECT pg_has_role('rootstock_lookup', 'MEMBER')") == [(False,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(server.app_url, "CREATE TABLE public.mine (id int)")


def test_vector_extension_is_there_also_in_new_databases(server: PostgresServer) -> None:
    distance = "SELECT '[1,2]'::vector <-> '[1,4]'::vector"
    assert query(server.app_url, distance) == [(2.0,)]
    with psycopg.connect(server.owner_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
    with psycopg.connect(server.app_url, dbname="another") as connection:
        assert connection.execute(distance).fetchall() == [(2.0,)]


def test_nobody_gets_in_without_the_password(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.app_url, password="guessed")


def test_starting_twice_uses_the_running_server(server: PostgresServer) -> None:
    assert start_postgres(server.directory).pid == server.pid


def test_stop_leaves_no_process_and_no_socket(directory: Path) -> None:
    with embedded_services(directory) as services:
        assert services.postgres is not None
        assert services.redis is not None
        pids = [services.postgres.pid, services.redis.pid]
        sockets = [socket_directory(directory / name) for name in ("postgres", "redis")]
        assert all(path.is_dir() for path in sockets)
    assert all(ended(pid) for pid in pids)
    assert not any(path.exists() for path in sockets)
    assert not (directory / "postgres" / "data" / "postmaster.pid").exists()


def test_a_pid_file_with_the_number_of_another_program_is_no_obstacle(directory: Path) -> None:
    start_postgres(directory / "pg", durable=False).stop()
    pid_file = directory / "pg" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{directory}/pg/data\n1\n5432\n/tmp\n\n  1 2\nready\n")
    server = start_postgres(directory / "pg", durable=False)
    assert server.is_running()
    server.stop()


def test_committed_rows_survive_a_killed_server(directory: Path) -> None:
    server = start_postgres(directory / "pg")
    with psycopg.connect(server.owner_url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    os.kill(server.pid, signal.SIGKILL)
    assert until(lambda: not server.is_running())
    again = start_postgres(directory / "pg")
    assert again.pid != server.pid
    assert query(again.owner_url, "SELECT id FROM kept") == [(42,)]
    again.stop()


def test_kill_9_of_the_parent_stops_both_servers(directory: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
    )  # fmt: skip
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    assert until(lambda: all(ended(pid) for pid in pids))
    with embedded_services(directory) as services:
        assert query(services.variables["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_a_deep_path_with_spaces_and_chinese(directory: Path) -> None:
    deep = directory / "a folder" / "文件夹" / ("long" * 30)
    with embedded_services(deep) as services:
        assert query(services.variables["DATABASE_URL"], "SELECT 1") == [(1,)]
        assert redis.Redis.from_url(services.variables["REDIS_URL"]).ping()
        address = services.variables["ROOTSTOCK_INFERENCE_ADDRESS"]
        assert len(address.removeprefix("unix://")) <= 107
        temporary = [socket_directory(deep / name) for name in (".", "postgres", "redis")]
    assert not any(path.exists() for path in temporary)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_in_a_private_home_nothing_is_opened_up(directory: Path) -> None:
    private = directory / "private"
    private.mkdir(mode=0o700)
    server = start_postgres(private / "pg", durable=False)
    assert psutil.Process(server.pid).uids().real != 0
    assert query(server.app_url, "SELECT 1") == [(1,)]
    server.stop()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_redis_never_evicts_and_starts_over_a_stale_socket(directory: Path) -> None:
    server = start_redis(directory / "redis")
    client = redis.Redis.from_url(server.url)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    client.set("lost", "1")
    os.kill(server.pid, signal.SIGKILL)
    assert until(lambda: not server.is_running())
    again = start_redis(directory / "redis")
    assert redis.Redis.from_url(again.url).get("lost") is None
    again.stop()


def test_environment_is_the_same_before_and_after_the_start(directory: Path) -> None:
    before = environment(directory, {})
    with embedded_services(directory) as services:
        assert services.variables == before
        assert query(before["DATABASE_OWNER_URL"], "SELECT current_user") == [("rootstock_owner",)]
    assert environment(directory, {}) == before


def test_secrets_are_made_once_and_are_private(directory: Path) -> None:
    first = environment(directory, {})
    assert len(first["ROOTSTOCK_SECRET_KEY"]) >= 40
    assert first["ROOTSTOCK_SECRET_KEY"] != first["ROOTSTOCK_INFERENCE_TOKEN"]
    for path in (directory / "secrets.json", directory / "postgres" / "passwords.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_set_from_outside_replaces_the_servers(directory: Path) -> None:
    outside = {
        "DATABASE_URL": "postgresql://somebody@elsewhere/rootstock",
        "REDIS_URL": "redis://elsewhere/0",
        "ROOTSTOCK_SECRET_KEY": "given",
    }
    services = start_services(directory, outside)
    assert services.postgres is None
    assert services.redis is None
    assert (
        services.variables.get("DATABASE_URL", outside["DATABASE_URL"]) == outside["DATABASE_URL"]
    )
    assert services.variables["ROOTSTOCK_SECRET_KEY"] == "given"
    assert "DATABASE_OWNER_URL" not in services.variables
    assert not (directory / "postgres").exists()
    services.stop()


def test_a_data_directory_of_another_version_is_refused_with_words(directory: Path) -> None:
    start_postgres(directory / "pg", durable=False).stop()
    (directory / "pg" / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(StartError, match=r"made by PostgreSQL 15, the installed one is 18"):
        start_postgres(directory / "pg")


def test_a_server_that_cannot_start_shows_its_log(directory: Path) -> None:
    start_postgres(directory / "pg", durable=False).stop()
    (directory / "pg" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StartError, match="no_such_setting"):
        start_postgres(directory / "pg")


def test_a_socket_directory_laid_by_somebody_else_is_refused(directory: Path) -> None:
    (directory / "link").symlink_to(directory)
    with pytest.raises(StartError, match="belongs to somebody else"):
        make_private(directory / "link")
