"""Portfolios and watch-lists, and how they and their members stand."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, QuerySet

from apps.finance_sentiment.models import Entity, Holding, Portfolio, SubjectKind
from apps.finance_sentiment.selectors.figures import Figures, subject_figures
from apps.finance_sentiment.selectors.signals import STORED_WIDTHS, first_document_at

_QUIET = Figures("", 0, 0, 0, 0, None, None)
# Up to here the ends of a range are looked at by the minute, beyond by the hour.
_BY_MINUTE = timedelta(days=2)


def portfolios() -> QuerySet[Portfolio]:
    """All of them by name, with the number of their `members`."""
    return Portfolio.objects.annotate(members=Count("holdings")).order_by("name", "id")


def portfolio_holdings(*, portfolio: Portfolio) -> QuerySet[Holding]:
    """Who is in it, the heaviest first."""
    return portfolio.holdings.select_related("entity").order_by("-weight", "entity__name", "id")


def portfolio_figures(*, start: datetime, end: datetime) -> dict[str, Figures]:
    """How each portfolio stands in [start, end), by its id as text; one without stories is left out."""
    found = subject_figures(
        kind=SubjectKind.PORTFOLIO, start=start, end=end, first=first_document_at()
    )
    return {one.key: one for one in found}


def quiet() -> Figures:
    """The figures of one of whom nothing was said."""
    return _QUIET


@dataclass(frozen=True, slots=True)
class Member:
    """An entity of a portfolio in a range of time; `part` is its part of all weights."""

    holding: uuid.UUID
    entity: Entity
    weight: float
    part: float
    stories: int
    negative: int
    positive: int

    @property
    def share(self) -> float:
        """The part of its stories that is negative."""
        return self.negative / self.stories if self.stories else 0.0


def portfolio_members(*, portfolio: Portfolio, start: datetime, end: datetime) -> list[Member]:
    """Who is in it with what was said of each, the heaviest first."""
    holdings = list(portfolio_holdings(portfolio=portfolio))
    total = sum(one.weight for one in holdings)
    counts = _entity_counts([str(one.entity_id) for one in holdings], start, end)
    return [
        Member(
            one.pk,
            one.entity,
            one.weight,
            one.weight / total,
            *counts.get(str(one.entity_id), (0, 0, 0)),
        )
        for one in holdings
    ]


def weighted_share(members: Sequence[Member]) -> float | None:
    """The negative share of the members of whom something was said, each with its weight; None where nothing was."""
    told = [member for member in members if member.stories]
    weight = sum(member.weight for member in told)
    return sum(member.weight * member.share for member in told) / weight if weight else None


def entities_outside(*, portfolio: Portfolio, found: QuerySet[Entity]) -> QuerySet[Entity]:
    """Those of `found` who are not in it."""
    return found.exclude(pk__in=portfolio.holdings.values("entity_id"))


def _entity_counts(
    keys: Sequence[str], start: datetime, end: datetime
) -> dict[str, tuple[int, int, int]]:
    """Stories, negative and positive ones, of entities by their ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key, sum(stories)::int, sum(stories_negative)::int, sum(stories_positive)::int
            FROM finance_sentiment_timebucket
            WHERE width = %s AND kind = 'entity' AND key = ANY(%s) AND start >= %s AND start < %s
            GROUP BY key
            """,
            [STORED_WIDTHS[1 if end - start <= _BY_MINUTE else 2], list(keys), start, end],
        )
        return {key: (stories, bad, good) for key, stories, bad, good in cursor.fetchall()}
