"""The board: what moves against its usual, and where the bad news of each topic lies in time.

Both are read from stored buckets, never from documents, and kept for a few seconds for all who look.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from apps.finance_sentiment.models import Entity, Portfolio, Subject, SubjectKind
from apps.finance_sentiment.selectors.calendars import organisation_zone
from apps.finance_sentiment.selectors.signals import (
    STORED_WIDTHS,
    first_document_at,
    stored_width,
)
from apps.finance_sentiment.topics import topic_label
from rootstock.tenancy.scope import current_organisation_id

logger = logging.getLogger(__name__)

# How old the counts may be, of ranges up to a day and of longer ones, which read a hundred times as much.
CACHE_SECONDS, LONG_CACHE_SECONDS = 5, 60
# A longer range would read too much.
MAX_RANGE = timedelta(days=31)
# What is usual is the mean of so many stretches of time.
_STRETCHES = 4
_WEEK = timedelta(days=7)
_MOVERS = 12
_HEAT_ROWS = 12
# Of all kinds together, no more subjects than these are compared: the busiest.
_MOST = 2000
_KINDS = (SubjectKind.TOPIC, SubjectKind.ENTITY, SubjectKind.PORTFOLIO)
_MINUTE, _HOUR = STORED_WIDTHS[-2], STORED_WIDTHS[-1]
# The columns of the heat map: the narrowest of these, in seconds, of which no more than `_COLUMNS` are needed.
_HEAT_WIDTHS = (60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800)
_COLUMNS = 32


@dataclass(frozen=True, slots=True)
class Usual:
    """What a range is compared with: `stretches` of its length, each `seconds` before the one after it; 0 if there is
    no history."""

    stretches: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Mover:
    """A subject's stories in the range and, as a mean, in the stretches that are its usual; None where there are none.

    `movement` is how far the number of stories, or its negative share, is from the usual, in standard deviations;
    `moved` is which of the two, "volume" or "share".
    """

    kind: str
    key: str
    stories: int
    negative: int
    usual_stories: float | None
    usual_negative: float | None
    movement: float
    moved: str
    label: str = ""

    @property
    def share(self) -> float:
        """The part of the stories that is negative."""
        return self.negative / self.stories if self.stories else 0.0

    @property
    def usual_share(self) -> float | None:
        """The same in the usual."""
        if not self.usual_stories or self.usual_negative is None:
            return None
        return self.usual_negative / self.usual_stories

    def as_json(self) -> dict[str, Any]:
        """Figures rounded for people."""
        usual = self.usual_share
        return {
            **asdict(self),
            "usual_stories": _rounded(self.usual_stories, 2),
            "usual_negative": _rounded(self.usual_negative, 2),
            "movement": round(self.movement, 2),
            "share": round(self.share, 4),
            "usual_share": _rounded(usual, 4),
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def board_figures(*, start: datetime, end: datetime) -> dict[str, Any]:
    """What the board shows of [start, end), as JSON types: `usual`, `movers` and `heat`, the latter two with the names
    of their subjects in the current language.

    The counts may be as old as the cache keeps them, and the edges of the range are the buckets around them.
    """
    seconds = CACHE_SECONDS if end - start <= timedelta(days=1) else LONG_CACHE_SECONDS
    start, end = _floored(start, seconds), _floored(end, seconds)
    name = (
        f"finance.board:{current_organisation_id()}:{start.timestamp():.0f}:{end.timestamp():.0f}"
    )
    found = _cached(name)
    if found is None:
        usual = usual_of(start=start, end=end)
        found = {
            "usual": asdict(usual),
            "movers": [mover.as_json() for mover in movers_find(start=start, end=end, usual=usual)],
            "heat": heat_map(start=start, end=end),
        }
        _cache(name, found, seconds)
    return _named(found)


def _floored(moment: datetime, seconds: int) -> datetime:
    return moment - timedelta(seconds=moment.second % seconds, microseconds=moment.microsecond)


def _cached(name: str) -> dict[str, Any] | None:
    try:
        text = cache.get(name)
    except (RedisError, OSError):
        logger.warning("board not read from the cache: Redis does not answer")
        return None
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def _cache(name: str, found: dict[str, Any], seconds: int) -> None:
    try:
        cache.set(name, json.dumps(found), timeout=seconds)
    except (RedisError, OSError):
        logger.warning("board not kept in the cache: Redis does not answer")


def usual_of(*, start: datetime, end: datetime) -> Usual:
    """The same hours of the weeks before, if the range is no longer than a week and there is as much history; else as
    many stretches of the same length just before as there are."""
    first = first_document_at()
    length = end - start
    if first is None or length <= timedelta(0):
        return Usual(0, 0)
    history = start - first
    weekly = length <= _WEEK <= history
    step = _WEEK if weekly else length
    return Usual(min(_STRETCHES, max(0, history // step)), int(step.total_seconds()))


def movers_find(
    *, start: datetime, end: datetime, usual: Usual, most: int = _MOVERS
) -> list[Mover]:
    """Topics, entities and portfolios of [start, end), what is furthest from its usual first.

    Whole hours are read as hours and the rest as minutes, for the range and for each stretch before it. Without
    history the order is by the number of stories.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH stretches AS (
                SELECT n, %(start)s::timestamptz - n * step AS begins, %(end)s::timestamptz - n * step AS ends
                FROM generate_series(0, %(stretches)s) AS n, make_interval(secs => %(step)s) AS step
            ),
            hours AS (
                SELECT n, begins, ends,
                       least(
                           date_trunc('hour', begins + interval '1 hour' - interval '1 microsecond', 'UTC'), ends
                       ) AS first,
                       greatest(date_trunc('hour', ends, 'UTC'), begins) AS last
                FROM stretches
            ),
            spans AS (
                SELECT n, %(hour)s AS width, first AS begins, last AS ends FROM hours WHERE first < last
                UNION ALL
                SELECT n, %(minute)s, begins, first FROM hours WHERE first <= last
                UNION ALL
                SELECT n, %(minute)s, last, ends FROM hours WHERE first <= last
                UNION ALL
                SELECT n, %(minute)s, begins, ends FROM hours WHERE first > last
            )
            SELECT kind, key,
                   coalesce(sum(stories) FILTER (WHERE n = 0), 0)::bigint,
                   coalesce(sum(stories_negative) FILTER (WHERE n = 0), 0)::bigint,
                   coalesce(sum(stories) FILTER (WHERE n > 0), 0)::bigint,
                   coalesce(sum(stories_negative) FILTER (WHERE n > 0), 0)::bigint
            FROM spans
            JOIN finance_sentiment_timebucket bucket
              ON bucket.width = spans.width AND bucket.kind = ANY(%(kinds)s)
             AND bucket.start >= spans.begins AND bucket.start < spans.ends
            GROUP BY kind, key HAVING sum(stories) > 0
            ORDER BY 3 DESC, 5 DESC, kind, key LIMIT %(most)s
            """,
            {
                "start": start,
                "end": end,
                "stretches": usual.stretches,
                "step": usual.seconds,
                "hour": _HOUR,
                "minute": _MINUTE,
                "kinds": [str(kind) for kind in _KINDS],
                "most": _MOST,
            },
        )
        found = [
            mover_of(Subject(kind, key), (stories, bad), (before, bad_before), usual.stretches)
            for kind, key, stories, bad, before, bad_before in cursor.fetchall()
        ]
    found.sort(key=lambda mover: (-mover.movement, -mover.stories, mover.kind, mover.key))
    return found[:most]


def mover_of(
    subject: Subject, now: tuple[int, int], before: tuple[int, int], stretches: int
) -> Mover:
    """A subject with (stories, negative ones) in the range, and in all the stretches before it together.

    A number of stories is taken for a Poisson count, and its negative ones for draws with the usual share, which a
    story of each sentiment is added to: a subject that was never spoken of has a third.
    """
    kind, key = subject
    stories, negative = now
    if not stretches:
        return Mover(kind, key, stories, negative, None, None, 0.0, "volume")
    usual, usual_negative = (count / stretches for count in before)
    volume = abs(stories - usual) / sqrt(usual + 1.0)
    expected = (before[1] + 1) / (before[0] + 3)
    share = abs(negative - stories * expected) / sqrt(stories * expected * (1 - expected) + 1.0)
    moved = "volume" if volume >= share else "share"
    return Mover(kind, key, stories, negative, usual, usual_negative, max(volume, share), moved)


def heat_map(*, start: datetime, end: datetime) -> dict[str, Any]:
    """Stories of the busiest topics by time: `width` in seconds, `starts`, and for each topic `stories` and `negative`
    in each of the columns. Columns lie on the clock of the organisation."""
    seconds = (end - start).total_seconds()
    width = next((width for width in _HEAT_WIDTHS if seconds / width <= _COLUMNS), _HEAT_WIDTHS[-1])
    shift = end.astimezone(organisation_zone()).utcoffset()
    offset = int(shift.total_seconds()) if shift else 0
    first = int((start.timestamp() + offset) // width) * width - offset
    columns = [*range(first, int(end.timestamp()), width)][-_COLUMNS * 4 :]
    if not columns:
        return {"width": width, "starts": [], "rows": []}
    cells = _topic_cells(columns, width, end)
    busiest = sorted(cells, key=lambda key: (-sum(n for n, _bad in cells[key].values()), key))
    return {
        "width": width,
        "starts": [datetime.fromtimestamp(at, UTC).isoformat() for at in columns],
        "rows": [
            {
                "topic": key,
                "stories": [cells[key].get(at, (0, 0))[0] for at in columns],
                "negative": [cells[key].get(at, (0, 0))[1] for at in columns],
            }
            for key in busiest[:_HEAT_ROWS]
        ],
    }


def _topic_cells(
    columns: Sequence[int], width: int, end: datetime
) -> dict[str, dict[int, tuple[int, int]]]:
    """By topic and start of a column: stories and negative ones."""
    # Columns may begin at half past, where hours are no part of them.
    stored = stored_width(width, STORED_WIDTHS) if columns[0] % _HOUR == 0 else _MINUTE
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key,
                   floor((extract(epoch FROM start) - %(first)s) / %(width)s)::bigint * %(width)s + %(first)s AS at,
                   sum(stories), sum(stories_negative)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND kind = 'topic' AND start >= %(start)s AND start < %(end)s AND stories > 0
            GROUP BY 1, 2
            """,
            {
                "first": columns[0],
                "width": width,
                "stored": stored,
                "start": datetime.fromtimestamp(columns[0], UTC),
                "end": end,
            },
        )
        cells: dict[str, dict[int, tuple[int, int]]] = {}
        for key, at, stories, negative in cursor.fetchall():
            cells.setdefault(key, {})[int(at)] = (int(stories), int(negative))
    return cells


def _named(found: dict[str, Any]) -> dict[str, Any]:
    """The figures with names; what is gone meanwhile is left out."""
    names = _names(found["movers"])
    movers = [
        {**mover, "label": label}
        for mover in found["movers"]
        if (label := names.get((mover["kind"], mover["key"])))
    ]
    rows = [{**row, "label": topic_label(row["topic"])} for row in found["heat"]["rows"]]
    return {**found, "movers": movers, "heat": {**found["heat"], "rows": rows}}


def _names(movers: Sequence[dict[str, Any]]) -> dict[tuple[str, str], str]:
    names: dict[tuple[str, str], str] = {}
    for kind, model in ((SubjectKind.ENTITY, Entity), (SubjectKind.PORTFOLIO, Portfolio)):
        wanted = [key for key in (m["key"] for m in movers if m["kind"] == kind) if _is_id(key)]
        for pk, label in model._default_manager.filter(pk__in=wanted).values_list("pk", "name"):
            names[kind, str(pk)] = label
    for mover in movers:
        if mover["kind"] == SubjectKind.TOPIC:
            names[mover["kind"], mover["key"]] = topic_label(mover["key"])
    return names


def _is_id(key: str) -> bool:
    try:
        uuid.UUID(key)
    except ValueError:
        return False
    return True
