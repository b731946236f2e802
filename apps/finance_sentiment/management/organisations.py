"""Which organisation a command works for, and how it reads a file of documents."""

from __future__ import annotations

import sys
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from apps.finance_sentiment.services.files import (
    BadRow,
    FileOptions,
    FileRefused,
    documents_read,
)
from apps.finance_sentiment.services.imports import ImportReport
from apps.finance_sentiment.services.intake import IncomingDocument
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

DEMO_SLUG = "acme-bank"
_BAD_ROWS_PRINTED = 20

Rows = Iterator[IncomingDocument | BadRow]


def organisation_named(slug: str) -> Organisation:
    """The organisation with this slug.

    Raises:
        CommandError: there is none.
    """
    rows = call_lookup("organisation_by_slug", slug)
    if not rows:
        raise CommandError(f"there is no organisation “{slug}”; name it with --organisation SLUG")
    with organisation_scope(rows[0]["id"]):
        return Organisation.objects.get(pk=rows[0]["id"])


def add_file_arguments(parser: CommandParser) -> None:
    """The arguments of every command that reads documents from a file."""
    parser.add_argument("file", type=Path, help=".csv or .jsonl, also .csv.gz and .jsonl.gz")
    parser.add_argument("--organisation", default=DEMO_SLUG, help="slug; default: %(default)s")
    parser.add_argument("--source", default="", help="source of rows that name none")
    parser.add_argument("--encoding", default="", help="when it is not UTF-8, such as gb18030")


@contextmanager
def file_rows(organisation: Organisation, options: dict[str, Any], label: str) -> Iterator[Rows]:
    """The rows of the file that the arguments name, with a progress bar over its bytes.

    Raises:
        CommandError: the file cannot be read.
    """
    path: Path = options["file"]
    settings = FileOptions(
        encoding=options["encoding"],
        source=options["source"],
        zone=zoneinfo.ZoneInfo(organisation.time_zone),
    )
    try:
        with (
            path.open("rb") as file,
            tqdm(
                total=path.stat().st_size,
                unit="B",
                unit_scale=True,
                desc=label,
                disable=None,
                file=sys.stderr,
            ) as bar,
        ):
            rows = documents_read(file, name=path.name, options=settings, now=timezone.now())
            yield _counted(rows, lambda: bar.update(file.tell() - bar.n))
    except FileRefused as error:
        raise CommandError(f"{path}: {error}") from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error


def _counted(rows: Rows, advance: Callable[[], object]) -> Rows:
    for row in rows:
        yield row
        advance()


def print_report(report: ImportReport, write: Callable[[str], object]) -> None:
    """What became of the file, bad rows by their line."""
    for row in report.bad_rows[:_BAD_ROWS_PRINTED]:
        write(f"line {row.line}: {row.reason}")
    if report.bad > _BAD_ROWS_PRINTED:
        write(f"… and {report.bad - _BAD_ROWS_PRINTED} more bad rows")
    write(
        f"{report.created} new, {report.updated} changed, {report.unchanged} unchanged,"
        f" {report.bad} bad"
    )
