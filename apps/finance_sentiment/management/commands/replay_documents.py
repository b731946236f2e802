"""`manage.py replay_documents FILE --speed 3600x|max`: the past once more, on its own clock."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.finance_sentiment.management.organisations import (
    add_file_arguments,
    file_rows,
    organisation_named,
    print_report,
)
from apps.finance_sentiment.selectors.signals import event_clock
from apps.finance_sentiment.services.imports import (
    ImportReport,
    batches,
    documents_import,
    good_rows,
)
from apps.finance_sentiment.services.intake import IncomingDocument
from rootstock.tenancy.scope import organisation_scope

# Documents that are due within this time of each other are stored together.
_STEP_SECONDS = 0.5
_BATCH = 500


def speed(text: str) -> float | None:
    """`3600x` as 3600.0, `max` as None."""
    if text == "max":
        return None
    try:
        factor = float(text.removesuffix("x"))
    except ValueError as error:
        raise ArgumentTypeError("a factor such as 3600x, or max") from error
    if not 0 < factor < float("inf"):
        raise ArgumentTypeError("the factor must be positive")
    return factor


class Command(BaseCommand):
    help = "Store the documents of a file as if they were published now, faster; surges are found on their own clock."

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, whose it is, and how fast."""
        add_file_arguments(parser)
        parser.add_argument(
            "--speed", type=speed, default=None, help="3600x: an hour a second; max (default)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay and report."""
        organisation = organisation_named(options["organisation"])
        report = ImportReport()
        with file_rows(organisation, options, "replay") as rows:
            for batch in paced(good_rows(rows, report), options["speed"]):
                if not report.good:
                    self._warn_of_newer(organisation.pk, batch[0].published_at)
                part = documents_import(organisation_id=organisation.pk, rows=batch)
                report.created += part.created
                report.updated += part.updated
                report.unchanged += part.unchanged
        print_report(report, self.stdout.write)
        if not report.good:
            raise CommandError("no row of the file is a document")

    def _warn_of_newer(self, organisation_id: Any, first: datetime) -> None:
        with organisation_scope(organisation_id):
            clock = event_clock(now=timezone.now())
        if clock is not None and clock.newest > first:
            self.stderr.write(
                f"The organisation has documents up to {clock.newest:%Y-%m-%d %H:%M}: older ones fill its"
                " trends but raise no alerts. Replay into an organisation of its own to see them."
            )


def paced(
    documents: Iterator[IncomingDocument], factor: float | None
) -> Iterator[list[IncomingDocument]]:
    """Batches of documents at the moment when they are due; without a factor as fast as possible."""
    if factor is None:
        yield from batches(documents, _BATCH)
        return
    begun = time.monotonic()
    first: datetime | None = None
    batch: list[IncomingDocument] = []
    due = 0.0
    for document in documents:
        first = first or document.published_at
        at = (document.published_at - first) / timedelta(seconds=factor)
        if batch and (at - due > _STEP_SECONDS or len(batch) == _BATCH):
            _sleep_until(begun + due)
            yield from batches(iter(batch), _BATCH)
            batch = []
        if not batch:
            due = max(due, at)
        batch.append(document)
    if batch:
        _sleep_until(begun + due)
        yield from batches(iter(batch), _BATCH)


def _sleep_until(moment: float) -> None:
    wait = moment - time.monotonic()
    if wait > 0:
        time.sleep(wait)
