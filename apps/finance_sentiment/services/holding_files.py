"""Holdings in files: who is meant by a key, a name or a symbol, and with which weight."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

from django.utils.translation import gettext as _

from apps.finance_sentiment.inference import fold_name
from apps.finance_sentiment.models import Alias, Entity, Instrument, Portfolio
from apps.finance_sentiment.services.portfolios import MOST_HOLDINGS, HoldingInput, holdings_put
from rootstock.common.actors import Actor
from rootstock.common.line_files import BadRow, FileRefused, rows_read

FIELDS: Final = ("key", "symbol", "exchange", "name", "weight")
# Several listings of one company are several rows.
_MOST_ROWS: Final = 4 * MOST_HOLDINGS
_Row = tuple[int, Mapping[str, str]]


@dataclass(slots=True)
class HoldingsReport:
    """What became of a file."""

    stored: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)


def holdings_import(
    *, portfolio: Portfolio, file: IO[bytes], name: str, actor: Actor, is_replaced: bool = False
) -> HoldingsReport:
    """Take in every row that names a known entity; the others are named by their line. Rows of one entity add up.

    `is_replaced`: the file has all of the portfolio. Then it is taken whole or not at all.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, too long.
        Problem: 422: too many entities, or a sum that is no weight.
    """
    report = HoldingsReport()
    rows = list(_rows(file, name, report))
    finder = _Finder([row for _line, row in rows])
    weights: dict[uuid.UUID, float] = {}
    for line, row in rows:
        try:
            entity, weight = finder.find(row), _weight(row["weight"])
        except ValueError as error:
            report.bad_rows.append(BadRow(line, str(error)))
        else:
            weights[entity] = weights.get(entity, 0.0) + weight
    report.bad_rows.sort(key=lambda bad: bad.line)
    if weights and not (is_replaced and report.bad_rows):
        holdings = [HoldingInput(entity, weight) for entity, weight in weights.items()]
        report.stored = holdings_put(
            portfolio=portfolio, holdings=holdings, actor=actor, is_replaced=is_replaced
        )
    return report


def _rows(file: IO[bytes], name: str, report: HoldingsReport) -> Iterable[_Row]:
    rows = rows_read(file, name=name, fields=FIELDS, needed=())
    for count, (line, raw) in enumerate(rows, 1):
        if count > _MOST_ROWS:
            raise FileRefused(_("The file has more than %(most)d rows.") % {"most": _MOST_ROWS})
        if isinstance(raw, BadRow):
            report.bad_rows.append(raw)
        else:
            yield line, {each: _text(raw.get(each)) for each in FIELDS}


def _text(value: Any) -> str:
    # What a spreadsheet would run is written with an apostrophe before it, also by our own export.
    return "" if value is None else str(value).replace("\x00", "").strip().removeprefix("'")[:200]


def _weight(text: str) -> float:
    """Raises: ValueError: it is no number above 0."""
    if not text:
        return 1.0
    try:
        weight = float(text.removesuffix("%").replace(",", ""))
    except ValueError:
        weight = 0.0
    if not 0 < weight <= 1e12:
        raise ValueError(
            _("“%(text)s” is no weight: a number above 0 is needed.") % {"text": text[:40]}
        )
    return weight


class _Finder:
    """Who is meant by the rows of a file, asked of the database at once for all of them."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        rows = list(rows)
        keys = {row["key"] for row in rows if row["key"]}
        self._keys = dict(Entity.objects.filter(key__in=keys).values_list("key", "pk"))
        symbols = {row["symbol"].upper() for row in rows if row["symbol"]}
        self._symbols: dict[str, list[tuple[str, uuid.UUID]]] = {}
        listings = Instrument.objects.filter(symbol__in=symbols)
        for symbol, exchange, entity in listings.values_list("symbol", "exchange", "entity_id"):
            self._symbols.setdefault(symbol, []).append((exchange, entity))
        names = {fold_name(row["name"])[:200] for row in rows if row["name"]}
        self._names: dict[str, set[uuid.UUID]] = {}
        for folded, entity in Alias.objects.filter(folded__in=names).values_list(
            "folded", "entity_id"
        ):
            self._names.setdefault(folded, set()).add(entity)

    def find(self, row: Mapping[str, str]) -> uuid.UUID:
        """The entity of a row: by its key, else by its symbol, else by its name.

        Raises:
            ValueError: nobody is meant, or several may be.
        """
        if row["key"]:
            return self._one(
                {self._keys[row["key"]]} if row["key"] in self._keys else set(), row["key"]
            )
        if row["symbol"]:
            exchange = row["exchange"].upper()
            found = self._symbols.get(row["symbol"].upper(), [])
            listed = {entity for at, entity in found if not exchange or at == exchange}
            return self._one(listed, f"{row['symbol']} {exchange}".strip())
        if row["name"]:
            return self._one(self._names.get(fold_name(row["name"])[:200], set()), row["name"])
        raise ValueError(_("A row needs a key, a symbol or a name."))

    @staticmethod
    def _one(found: set[uuid.UUID], text: str) -> uuid.UUID:
        if not found:
            raise ValueError(_("“%(text)s” is no entity that is followed.") % {"text": text[:80]})
        if len(found) > 1:
            raise ValueError(
                _("“%(text)s” may be several entities; give the key.") % {"text": text[:80]}
            )
        return next(iter(found))
