"""Prices of instruments by the day: taken in from programs and from files."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import IO, Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Instrument
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.line_files import BadRow, rows_read
from rootstock.tenancy.scope import current_organisation_id

FIELDS: Final = ("day", "close", "volume", "symbol", "exchange")
# As the exports of brokers and price sites call them.
ALIASES: Final = {
    "date": "day",
    "trade_date": "day",
    "日期": "day",
    "交易日期": "day",
    "close/last": "close",
    "last": "close",
    "收盘": "close",
    "收盘价": "close",
    "vol": "volume",
    "vol.": "volume",
    "成交量": "volume",
    "ticker": "symbol",
    "代码": "symbol",
}
MOST_CLOSE: Final = Decimal(10) ** 12
MOST_VOLUME: Final = 2**63 - 1
_BATCH: Final = 5000
_DAY = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2}))(?:[T ].*)?", re.ASCII)
# "1,234.50": commas that divide thousands are no decimal commas.
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)


class PriceRefused(ValueError):
    """What was given is no price; the message says why, `field` where."""

    def __init__(self, detail: str, field: str) -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True, slots=True)
class IncomingPrice:
    """What an instrument closed at on a day, in its currency, and how many pieces were traded."""

    day: date
    close: Decimal
    volume: int | None = None


@dataclass(slots=True)
class PriceReport:
    """What became of prices that were taken in."""

    created: int = 0
    changed: int = 0
    same: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts."""
        return asdict(self)


@dataclass(slots=True)
class PriceFileReport:
    """What became of a file, with its bad rows by their lines."""

    taken: PriceReport = field(default_factory=PriceReport)
    bad_rows: list[BadRow] = field(default_factory=list)


def price_parse(raw: Mapping[str, Any]) -> IncomingPrice:
    """A price of a file's row: `day` as 2026-03-04, 2026/3/4 or 20260304, `close` above 0, `volume` or nothing.

    Raises:
        PriceRefused: it names what is wrong and in which field.
    """
    return IncomingPrice(_day(raw.get("day")), _close(raw.get("close")), _volume(raw.get("volume")))


def _day(value: Any) -> date:
    text = str(value if value is not None else "").strip()
    match = _DAY.fullmatch(text)
    if match is None:
        raise PriceRefused(
            _("“%(text)s” is no day such as 2026-03-04.") % {"text": text[:40]}, "day"
        )
    year, _sign, month, day, plain_month, plain_day = match.groups()
    try:
        found = date(int(year), int(month or plain_month), int(day or plain_day))
    except ValueError as error:
        raise PriceRefused(_("There is no day “%(text)s”.") % {"text": text[:40]}, "day") from error
    if found > latest_day():
        raise PriceRefused(_("%(day)s has not come yet.") % {"day": found.isoformat()}, "day")
    return found


def latest_day() -> date:
    """The last day that has begun anywhere on Earth: later ones have no price."""
    return (timezone.now() + timedelta(hours=14)).date()


def _number(value: Any, field: str) -> Decimal:
    text = str(value if value is not None else "").strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise PriceRefused(_("“%(text)s” is no number.") % {"text": text[:40]}, field) from error
    if not number.is_finite():
        raise PriceRefused(_("“%(text)s” is no number.") % {"text": text[:40]}, field)
    return number


def _close(value: Any) -> Decimal:
    close = _number(value, "close")
    if not 0 < close < MOST_CLOSE:
        raise PriceRefused(_("A price is above 0 and below 1,000,000,000,000."), "close")
    close = close.quantize(Decimal("0.000001"))
    if not close:
        raise PriceRefused(_("A price is kept with 6 decimals: this one would be 0."), "close")
    return close


def _volume(value: Any) -> int | None:
    if value is None or str(value).strip() in ("", "-"):
        return None
    volume = _number(value, "volume")
    if not 0 <= volume <= MOST_VOLUME:
        raise PriceRefused(_("A volume is a whole number from 0."), "volume")
    return int(volume)


def prices_upsert(
    *, instrument: Instrument, prices: Iterable[IncomingPrice], actor: Actor
) -> PriceReport:
    """Store prices of one instrument; what is there for a day is replaced, and of several of a day the last counts."""
    report = PriceReport()
    _store({instrument.pk: {price.day: price for price in prices}}, report)
    audit_record(
        actor=actor,
        action="finance.prices.take",
        target="instrument",
        target_id=str(instrument.pk),
        changes=report.as_json(),
    )
    return report


def prices_import(
    *,
    file: IO[bytes],
    name: str,
    actor: Actor,
    instrument: Instrument | None = None,
    encoding: str = "",
) -> PriceFileReport:
    """Take in every row that is a price; the others are named by their line.

    A row with a `symbol`, and an `exchange` where several have that symbol, is of that instrument, any other one of
    `instrument`.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, missing columns.
    """
    report = PriceFileReport()
    listed = _Listed(instrument)
    batch: dict[uuid.UUID, dict[date, IncomingPrice]] = {}
    waiting = 0
    rows = rows_read(
        file, name=name, fields=FIELDS, needed=("day", "close"), aliases=ALIASES, encoding=encoding
    )
    for line, raw in rows:
        if isinstance(raw, BadRow):
            report.bad_rows.append(raw)
            continue
        try:
            whose, price = listed.of(raw), price_parse(raw)
        except PriceRefused as error:
            report.bad_rows.append(BadRow(line, str(error), error.field))
            continue
        batch.setdefault(whose, {})[price.day] = price
        waiting += 1
        if waiting == _BATCH:
            _store(batch, report.taken)
            batch, waiting = {}, 0
    _store(batch, report.taken)
    audit_record(
        actor=actor,
        action="finance.prices.import",
        target="instrument",
        target_id=str(instrument.pk) if instrument else "",
        changes={**report.taken.as_json(), "bad": len(report.bad_rows), "file": name[:200]},
    )
    return report


class _Listed:
    """The instruments that rows name."""

    def __init__(self, default: Instrument | None) -> None:
        self._default = default
        self._known: dict[str, list[tuple[str, uuid.UUID]]] = {}

    def of(self, raw: Mapping[str, Any]) -> uuid.UUID:
        symbol = str(raw.get("symbol") or "").strip()
        exchange = str(raw.get("exchange") or "").strip().upper()
        if not symbol:
            if self._default is None:
                raise PriceRefused(_("The row names no symbol."), "symbol")
            return self._default.pk
        found = [
            pk for market, pk in self._with(symbol) if not exchange or market.upper() == exchange
        ]
        if not found:
            raise PriceRefused(
                _("No entity is listed as “%(symbol)s”.")
                % {"symbol": f"{exchange}:{symbol}"[:40].lstrip(":")},
                "symbol",
            )
        if len(found) > 1:
            raise PriceRefused(
                _("“%(symbol)s” is listed on several exchanges: name one.")
                % {"symbol": symbol[:40]},
                "exchange",
            )
        return found[0]

    def _with(self, symbol: str) -> list[tuple[str, uuid.UUID]]:
        key = symbol.casefold()
        if key not in self._known:
            self._known[key] = list(
                Instrument.objects.filter(symbol__iexact=symbol[:20]).values_list("exchange", "pk")
                if len(symbol) <= 20
                else ()
            )
        return self._known[key]


def _store(prices: Mapping[uuid.UUID, Mapping[date, IncomingPrice]], report: PriceReport) -> None:
    rows = [(pk, price) for pk, by_day in prices.items() for price in by_day.values()]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO finance_sentiment_price AS old (organisation_id, instrument_id, day, close, volume)
            SELECT %(organisation)s, given.*
            FROM unnest(%(instruments)s::uuid[], %(days)s::date[], %(closes)s::numeric[], %(volumes)s::bigint[])
              AS given (instrument, day, close, volume)
            ORDER BY 2, 3
            ON CONFLICT (instrument_id, day) DO UPDATE SET (close, volume) = (excluded.close, excluded.volume)
            WHERE (old.close, old.volume) IS DISTINCT FROM (excluded.close, excluded.volume)
            RETURNING xmax = 0
            """,
            {
                "organisation": current_organisation_id(),
                "instruments": [pk for pk, _price in rows],
                "days": [price.day for _pk, price in rows],
                "closes": [price.close for _pk, price in rows],
                "volumes": [price.volume for _pk, price in rows],
            },
        )
        written = [is_new for (is_new,) in cursor.fetchall()]
    report.created += sum(written)
    report.changed += len(written) - sum(written)
    report.same += len(rows) - len(written)
