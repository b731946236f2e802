"""Many documents at once, from a file: stored in batches, each in a transaction of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from apps.finance_sentiment.services.files import BadRow
from apps.finance_sentiment.services.intake import IncomingDocument, documents_upsert
from rootstock.tenancy.scope import organisation_scope

BATCH = 500
BAD_ROWS_KEPT = 1000


@dataclass(slots=True)
class ImportReport:
    """What became of a file. Only the first thousand bad rows are kept; `bad` counts all."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    bad: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)

    @property
    def good(self) -> int:
        """Rows that are documents."""
        return self.created + self.updated + self.unchanged


def documents_import(
    *,
    organisation_id: uuid.UUID,
    rows: Iterable[IncomingDocument | BadRow],
    on_batch: Callable[[int], None] | None = None,
) -> ImportReport:
    """Store every good row; an import that broke off is simply made again.

    `on_batch` is told how many rows were taken in since the last call.
    """
    report = ImportReport()
    for batch in batches(good_rows(rows, report), BATCH):
        with organisation_scope(organisation_id):
            result = documents_upsert(documents=batch)
        report.created += result.created
        report.updated += result.updated
        report.unchanged += result.unchanged
        if on_batch:
            on_batch(len(batch))
    return report


def good_rows(
    rows: Iterable[IncomingDocument | BadRow], report: ImportReport
) -> Iterator[IncomingDocument]:
    """The documents; bad rows go into the report."""
    for row in rows:
        if isinstance(row, BadRow):
            report.bad += 1
            if len(report.bad_rows) < BAD_ROWS_KEPT:
                report.bad_rows.append(row)
        else:
            yield row


def batches(rows: Iterable[IncomingDocument], size: int) -> Iterator[list[IncomingDocument]]:
    """Lists of up to `size` documents with distinct keys: of two with one key the later is newer."""
    batch: dict[tuple[str, str], IncomingDocument] = {}
    for row in rows:
        if row.key in batch or len(batch) == size:
            yield list(batch.values())
            batch = {}
        batch[row.key] = row
    if batch:
        yield list(batch.values())
