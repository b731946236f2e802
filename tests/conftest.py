"""Real servers for the whole session; tests run as the role of the web process, under row-level security.

`db` (pytest-django) wraps a test in a transaction. `live_db` is for tests whose processes and threads must see what is
written: it commits, and empties every table afterwards as the owner.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.utils import translation
from hypothesis import settings
from psycopg import sql

from rootstock.accounts.authentication import KEY_START, key_digest
from rootstock.accounts.models import ApiKey, User
from rootstock.common.ids import uuid7
from rootstock.config.embedded.postgres import SUPERUSER, database_url
from rootstock.tenancy.models import Membership, Organisation, Role
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope
from tests.network_guard import no_outgoing_connections
from tests.schema_cache import prepare_database

# The models of the tests are so small that a second thread only waits for the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes says how busy the machine is.
settings.register_profile("rootstock", deadline=None)
settings.load_profile("rootstock")

CLUSTER = Path(os.environ["ROOTSTOCK_TEST_SERVICES"]) / "postgres"

__all__ = ["no_outgoing_connections"]  # every test, everywhere


def pytest_unconfigure() -> None:
    """Stop the servers that the settings started; leave no process and no directory."""
    from rootstock.config.settings import test

    services = getattr(test, "services", None)
    if services is not None:
        connections.close_all()
        for alias in connections:
            if hasattr(connections[alias], "close_pool"):
                connections[alias].close_pool()
        services.stop()
        shutil.rmtree(services.variables["ROOTSTOCK_VAR"], ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Iterator[None]:
    """Migrate the session's own database as the owner; tests then use it as the web role."""
    with django_db_blocker.unblock():
        prepare_database()
        connections["owner"].close()
    yield


@pytest.fixture(autouse=True)
def _default_language() -> Iterator[None]:
    """A test that speaks Chinese does not teach it to the next one."""
    yield
    translation.deactivate()


@pytest.fixture
def live_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Committed rows that other processes see; everything is emptied afterwards."""
    with django_db_blocker.unblock():
        yield
        connections["default"].close()
        _empty_tables()


def _empty_tables() -> None:
    """Delete all rows; TRUNCATE would take most of a second, for it makes every file anew."""
    kept = {"django_migrations", "django_content_type", "auth_permission"}
    with psycopg.connect(database_url(CLUSTER, SUPERUSER)) as connection:
        # Neither triggers nor foreign keys; whoever still writes is waited for.
        connection.execute("SET session_replication_role = replica")
        sized = connection.execute(
            "SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
        )
        sizes = {name: size for name, size in sized if name not in kept}
        names = sql.SQL(", ").join(map(sql.Identifier, sizes))
        connection.execute(sql.SQL("LOCK TABLE {}").format(names))
        for name, size in sizes.items():
            if size:
                connection.execute(sql.SQL("DELETE FROM ONLY {}").format(sql.Identifier(name)))


@pytest.fixture
def make_organisation() -> Callable[..., Organisation]:
    """Makes an organisation: `make_organisation("Acme")`. Needs `db` or `live_db`."""

    def make(name: str = "Acme", **fields: Any) -> Organisation:
        organisation = Organisation(name=name, slug=f"{name.lower()}-{uuid7().hex[-8:]}", **fields)
        with organisation_scope(organisation.pk):
            organisation.save(force_insert=True)
        return organisation

    return make


@pytest.fixture
def make_user() -> Callable[..., User]:
    """Makes a member: `make_user(organisation, role="analyst")`; the password is "correct horse"."""

    def make(organisation: Organisation, role: str = Role.OWNER, email: str = "") -> User:
        user = User.objects.create_user(
            email or f"{role}-{uuid7().hex[-8:]}@example.com", "correct horse"
        )
        with organisation_scope(organisation.pk):
            Membership.objects.create(user=user, role=role)
        return user

    return make


@pytest.fixture
def make_key() -> Callable[..., str]:
    """Makes an API key and returns the token: `make_key(organisation, scopes=["finance:read"])`."""

    def make(organisation: Organisation, scopes: list[str] | None = None, **fields: Any) -> str:
        prefix, secret = uuid7().hex[-8:], uuid7().hex
        with organisation_scope(organisation.pk):
            ApiKey.objects.create(
                name="test",
                prefix=prefix,
                digest=key_digest(secret),
                scopes=[str(p) for p in Permission] if scopes is None else scopes,
                created_by="test",
                **fields,
            )
        return f"{KEY_START}{prefix}_{secret}"

    return make


@pytest.fixture
def organisation(
    request: pytest.FixtureRequest, make_organisation: Callable[..., Organisation]
) -> Organisation:
    """One organisation, committed when the test uses `live_db`, else rolled back with the test."""
    _database(request)
    return make_organisation("Acme")


@pytest.fixture
def organisation_b(
    request: pytest.FixtureRequest, make_organisation: Callable[..., Organisation]
) -> Organisation:
    """Another organisation, which must see nothing of the first."""
    _database(request)
    return make_organisation("Beta")


@pytest.fixture
def scope(organisation: Organisation) -> Iterator[Organisation]:
    """The whole test runs inside the organisation."""
    with organisation_scope(organisation.pk):
        yield organisation


@pytest.fixture
def artifacts(tmp_path: Path, settings: Any) -> Path:
    """An empty directory for model artefacts."""
    settings.ARTIFACTS = tmp_path / "artifacts"
    settings.ARTIFACTS.mkdir()
    return settings.ARTIFACTS


def _database(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("live_db" if "live_db" in request.fixturenames else "db")
