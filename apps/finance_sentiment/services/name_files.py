"""Entities and their names in files: CSV and JSON lines, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Final

from django.db import transaction

from apps.finance_sentiment.services.entities import (
    MAX_BATCH,
    EntityRefused,
    IncomingEntity,
    TakenReport,
    entities_take,
    entity_parse,
)
from rootstock.common.actors import Actor
from rootstock.common.line_files import BadRow, rows_read

FIELDS: Final = (
    "key", "name", "name_zh", "kind", "country", "sector", "context", "aliases", "alias", "alias_kind", "language",
    "ambiguity", "valid_from", "valid_until", "symbol", "exchange", "listing", "currency", "listed_from",
    "listed_until",
)  # fmt: skip


@dataclass(slots=True)
class NamesReport:
    """What became of a file."""

    taken: TakenReport = field(default_factory=TakenReport)
    bad_rows: list[BadRow] = field(default_factory=list)


def names_import(*, file: IO[bytes], name: str, encoding: str = "", actor: Actor) -> NamesReport:
    """Take in every row that is an entity; the others are named by their line. One row may give one name or many.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, missing columns.
    """
    report = NamesReport()
    batch: list[tuple[int, IncomingEntity]] = []
    for line, raw in rows_read(file, name=name, fields=FIELDS, needed=(), encoding=encoding):
        if isinstance(raw, BadRow):
            report.bad_rows.append(raw)
            continue
        try:
            batch.append((line, entity_parse(raw)))
        except EntityRefused as error:
            report.bad_rows.append(BadRow(line, f"{error.field}: {error}".lstrip(": ")))
        if len(batch) == MAX_BATCH:
            _take(batch, report, actor)
            batch = []
    _take(batch, report, actor)
    return report


def _take(batch: Iterable[tuple[int, IncomingEntity]], report: NamesReport, actor: Actor) -> None:
    """All rows together; where one is refused, one by one, so that the others are taken."""
    rows = list(batch)
    if not rows:
        return
    try:
        with transaction.atomic():
            _add(
                report.taken,
                entities_take(entities=[entity for _line, entity in rows], actor=actor),
            )
    except EntityRefused:
        for line, entity in rows:
            try:
                with transaction.atomic():
                    _add(report.taken, entities_take(entities=[entity], actor=actor))
            except EntityRefused as error:
                report.bad_rows.append(BadRow(line, str(error)))


def _add(total: TakenReport, part: TakenReport) -> None:
    total.created += part.created
    total.known += part.known
    total.aliases += part.aliases
    total.instruments += part.instruments
    total.ids += part.ids
