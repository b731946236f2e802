"""Portfolios and watch-lists: making them, and who is in them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    Entity,
    Holding,
    Monitor,
    Portfolio,
    Rule,
    SubjectKind,
    TimeBucket,
)
from apps.finance_sentiment.services.portfolio_counts import recount_start
from apps.finance_sentiment.services.stories import stories_lock
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

MOST = 200
MOST_HOLDINGS = 2000
FIELDS = ("name", "kind", "description")
_HEAVIEST = 1e12


@dataclass(frozen=True, slots=True)
class HoldingInput:
    """An entity and its weight; a watch-list takes no notice of the weight."""

    entity: uuid.UUID
    weight: float = 1.0


def portfolio_save(
    *, portfolio: Portfolio | None, actor: Actor, values: Mapping[str, Any]
) -> Portfolio:
    """Make one, or change what is given of one. What becomes a watch-list loses its weights.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    is_new = portfolio is None
    if is_new and Portfolio.objects.count() >= MOST:
        raise Problem(409, "too-many", _("There are at most %(most)d portfolios.") % {"most": MOST})
    # Nobody is in it: its past is counted.
    portfolio = portfolio or Portfolio(counted_at=timezone.now())
    for field in FIELDS:
        if field in values:
            setattr(portfolio, field, values[field])
    _check(portfolio)
    portfolio.save()
    if portfolio.kind == Portfolio.Kind.WATCH_LIST:
        portfolio.holdings.update(weight=1.0)
    _record(actor, "create" if is_new else "update", portfolio, {"fields": sorted(values)})
    return portfolio


def portfolio_delete(*, portfolio: Portfolio, actor: Actor) -> None:
    """Forget it with its counts; alerts of the past stay.

    Raises:
        Problem: 409 when a rule watches it.
    """
    watched = {"scope": SubjectKind.PORTFOLIO, "key": str(portfolio.pk)}
    rule = Rule.objects.filter(**watched).order_by("name").first()
    if rule is not None:
        raise Problem(
            409,
            "watched",
            _("The rule “%(name)s” watches it. Delete the rule, or give it another subject.")
            % {"name": rule.name},
        )
    stories_lock()
    TimeBucket.objects.filter(kind=SubjectKind.PORTFOLIO, key=str(portfolio.pk)).delete()
    _record(actor, "delete", portfolio, {})
    portfolio.delete()


def holdings_put(
    *,
    portfolio: Portfolio,
    holdings: Sequence[HoldingInput],
    actor: Actor,
    is_replaced: bool = False,
) -> int:
    """Put entities in; one that is there takes the new weight. Returns how many were given.

    `is_replaced`: these are all, whoever else is in it goes.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    weights = _weights(portfolio, holdings)
    before = set(portfolio.holdings.values_list("entity_id", flat=True))
    after = set(weights) if is_replaced else before | set(weights)
    if len(after) > MOST_HOLDINGS:
        raise invalid(
            "/holdings", _("A portfolio has at most %(most)d entities.") % {"most": MOST_HOLDINGS}
        )
    if is_replaced:
        portfolio.holdings.exclude(entity__in=list(weights)).delete()
    Holding.objects.bulk_create(
        [Holding(portfolio=portfolio, entity_id=one, weight=weights[one]) for one in weights],
        update_conflicts=True,
        unique_fields=["portfolio", "entity"],
        update_fields=["weight", "updated_at"],
    )
    _changed(portfolio, actor, is_other=before != after)
    _record(actor, "holdings", portfolio, {"given": len(weights), "members": len(after)})
    return len(weights)


def holding_remove(*, holding: Holding, actor: Actor) -> None:
    """Take an entity out."""
    portfolio = holding.portfolio
    _record(actor, "holdings", portfolio, {"removed": str(holding.entity_id)})
    holding.delete()
    _changed(portfolio, actor, is_other=True)


def members_forget(*, entity: Entity, actor: Actor) -> None:
    """Take an entity that is about to go out of every portfolio."""
    for holding in Holding.objects.filter(entity=entity).select_related("portfolio"):
        holding_remove(holding=holding, actor=actor)


def _weights(portfolio: Portfolio, holdings: Sequence[HoldingInput]) -> dict[uuid.UUID, float]:
    """The weight of every entity given.

    Raises:
        Problem: 422: not an entity, given twice, or no weight.
    """
    wanted = [one.entity for one in holdings]
    known = set(Entity.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    has_weights = portfolio.kind == Portfolio.Kind.PORTFOLIO
    weights: dict[uuid.UUID, float] = {}
    for place, one in enumerate(holdings):
        if one.entity not in known:
            raise invalid(f"/holdings/{place}/entity", _("There is no such entity."))
        if one.entity in weights:
            raise invalid(f"/holdings/{place}/entity", _("This entity is given twice."))
        if not (math.isfinite(one.weight) and 0 < one.weight <= _HEAVIEST):
            raise invalid(f"/holdings/{place}/weight", _("A weight is a number above 0."))
        weights[one.entity] = one.weight if has_weights else 1.0
    return weights


def _changed(portfolio: Portfolio, actor: Actor, *, is_other: bool) -> None:
    """Its members or weights have changed; with other members its past is another one too."""
    if is_other:
        portfolio.counted_at = None
        # What was usual of the former members says nothing of these.
        watching = Monitor.objects.filter(kind=SubjectKind.PORTFOLIO, key=str(portfolio.pk))
        watching.update(settled=None, verdict=None)
        recount_start(portfolio=portfolio, actor=actor)
    portfolio.save(update_fields=["counted_at", "updated_at"])


def _check(portfolio: Portfolio) -> None:
    portfolio.name = portfolio.name.strip()
    if not portfolio.name or len(portfolio.name) > 80:
        raise invalid("/name", _("A name has 1 to 80 characters."))
    if Portfolio.objects.filter(name=portfolio.name).exclude(pk=portfolio.pk).exists():
        raise invalid("/name", _("There is a portfolio of this name already."))
    if portfolio.kind not in Portfolio.Kind.values:
        raise invalid("/kind", _("Either “portfolio” or “watch-list”."))


def _record(actor: Actor, action: str, portfolio: Portfolio, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.portfolio.{action}",
        target=f"portfolio {portfolio.name}",
        target_id=str(portfolio.pk),
        changes=changes or None,
    )
