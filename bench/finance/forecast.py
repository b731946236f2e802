"""Forecasts of nine real series against the repetition of the season, and the direction of prices from tweets.

Series: daily tweets on five companies and the daily share of bad words among them (stocknet, 2014-2015), hourly
mentions of three companies (NAB). Every forecast is of a whole season ahead, from every origin of the second half.
Direction is StockNet's question (Xu & Cohen, ACL 2018): days of its test part (October to December 2015) whose price
moved by at most -0.5 % or more than 0.55 %, up or down? Asked of a logistic regression on earlier returns and tweets.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter, defaultdict
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np

from bench.finance.nab import streams
from bench.harness import Column, Progress, Row
from bench.training.data import data_directory
from ml_core.forecasting import FORECASTERS, direction_backtest, forecast

COLUMNS = (
    Column("series", "series"),
    Column("model", "model"),
    Column("values", "values", ",d"),
    Column("mase", "MASE", ".3f"),
    Column("naive_mase", "seasonal naive's", ".3f"),
    Column("skill", "skill", "+.1%"),
    Column("coverage", "inside the 80 % interval", ".1%"),
    Column("accuracy", "accuracy", ".1%"),
    Column("low", "95 % from", ".1%"),
    Column("high", "to", ".1%"),
    Column("mcc", "MCC", ".3f"),
    Column("majority", "always the same", ".1%"),
)
NOTES = (
    "Forecast: aims are a MASE below the seasonal naive's on at least 3 series and 75-85 % inside the 80 % interval.",
    "Published accuracy of StockNet on its test part: 58.2 % (MCC .081), with prices and tweets of 88 stocks.",
)
_DAILY = ("AAPL", "FB", "GOOG", "AMZN", "T")
_HOURLY = ("AAPL", "AMZN", "GOOG")
_FIRST, _LAST = date(2014, 1, 1), date(2015, 12, 31)
_TEST = date(2015, 10, 1)
_BAD_WORDS = (
    "down fall falls fell drop drops loss losses miss misses weak cut cuts lawsuit fraud risk short "
    "sell bearish decline declines worst downgrade downgraded concern concerns fear fears slump "
    "plunge warning bad lower"
)
_BAD = frozenset(_BAD_WORDS.split())
_GOOD_WORDS = (
    "up rise rises rose gain gains beat beats strong buy bullish growth best upgrade upgraded record "
    "high higher surge rally profit good positive outperform long"
)
_GOOD = frozenset(_GOOD_WORDS.split())


@cache
def _stocknet() -> tuple[
    dict[str, dict[date, list[list[str]]]], dict[str, list[tuple[date, float]]]
]:
    """Tweets as words by ticker and day, and daily returns by ticker, oldest first."""
    tweets: dict[str, dict[date, list[list[str]]]] = defaultdict(dict)
    prices: dict[str, list[tuple[date, float]]] = {}
    with tarfile.open(data_directory() / "stocknet/stocknet_preprocessed.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            if found := re.search(r"tweet/preprocessed/([^/]+)/(\d{4}-\d\d-\d\d)$", member.name):
                rows = [json.loads(line)["text"] for line in file.read().splitlines()]
                tweets[found[1]][date.fromisoformat(found[2])] = rows
            elif found := re.search(r"price/preprocessed/([^/]+)\.txt$", member.name):
                lines = [line.split("\t") for line in file.read().decode().splitlines()]
                prices[found[1]] = sorted(
                    (date.fromisoformat(line[0]), float(line[1])) for line in lines
                )
    return tweets, prices


def _days() -> list[date]:
    return [_FIRST + timedelta(days=n) for n in range((_LAST - _FIRST).days + 1)]


@cache
def series() -> dict[str, dict[str, Any]]:
    """Name → values, season and kind of each of the nine series."""
    tweets, _prices = _stocknet()
    found: dict[str, dict[str, Any]] = {}
    for ticker in _DAILY:
        values = [float(len(tweets[ticker].get(day, ()))) for day in _days()]
        found[f"tweets a day, {ticker}"] = {"values": values, "season": 7}
    bad, all_ = Counter[date](), Counter[date]()
    for days in tweets.values():
        for day, texts in days.items():
            all_[day] += len(texts)
            bad[day] += sum(bool(_BAD & set(words)) for words in texts)
    shares = [(bad[day] + 1) / (all_[day] + 10) for day in _days()]
    found["share of bad words a day"] = {"values": shares, "season": 7, "bounds": (0.0, 1.0)}
    for stream in streams():
        if stream.name in _HOURLY:
            hours = [
                float(sum(stream.counts[at : at + 12]))
                for at in range(0, len(stream.counts) - 11, 12)
            ]
            found[f"mentions an hour, {stream.name}"] = {"values": hours, "season": 24}
    return found


def configurations() -> list[dict[str, Any]]:
    """Every model on every series, and the direction with and without what is said."""
    return [
        *(
            {"part": "forecast", "model": model}
            for model in FORECASTERS
            if model != "seasonal-naive"
        ),
        *({"part": "forecast", "direction": way} for way in ("prices", "prices and tweets")),
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """A row a series, or the direction's."""
    if "direction" in configuration:
        return [_direction(configuration["direction"])]
    rows = []
    for name, of in series().items():
        progress(f"{configuration['model']}: {name}")
        values = of["values"]
        made = forecast(
            values,
            season=of["season"],
            horizon=of["season"],
            model=configuration["model"],
            counts="bounds" not in of,
            bounds=of.get("bounds"),
            origins=len(values) // 2,
        )
        test = made.backtest
        rows.append(
            {
                "part": "forecast",
                "series": name,
                "model": configuration["model"],
                "values": test.values,
                "mase": test.mase,
                "naive_mase": test.naive_mase,
                "skill": test.skill,
                "coverage": test.coverage,
            }
        )
    return rows


def _direction(way: str) -> Row:
    tweets, prices = _stocknet()
    features, rises, times = [], [], []
    for ticker, days in prices.items():
        returns = [(day, move) for day, move in days if _FIRST <= day <= _LAST]
        for place in range(5, len(returns)):
            day, move = returns[place]
            if -0.005 < move <= 0.0055:
                continue
            past = [value for _day, value in returns[place - 5 : place]]
            said = _said(tweets.get(ticker, {}), returns[place - 1][0], day)
            features.append([*past, sum(past), *(said if "tweets" in way else [])])
            rises.append(move > 0)
            times.append(day.toordinal())
    found = direction_backtest(
        np.array(features), np.array(rises), np.array(times), start=_TEST.toordinal(), penalty=30.0
    )
    return {
        "part": "forecast",
        "series": "direction of 88 prices",
        "model": f"logistic, {way}",
        "values": found.rows,
        "accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
        "mcc": found.mcc,
        "majority": found.majority,
    }


def _said(tweets: dict[date, list[list[str]]], since: date, until: date) -> list[float]:
    """What was said from the day of the last known price to the day before the one that is asked."""
    texts = [
        text
        for n in range((until - since).days)
        for text in tweets.get(since + timedelta(days=n), ())
    ]
    good = sum(bool(_GOOD & set(words)) for words in texts)
    bad = sum(bool(_BAD & set(words)) for words in texts)
    return [float(np.log1p(len(texts))), (good - bad) / (len(texts) + 5.0), float(np.log1p(bad))]
