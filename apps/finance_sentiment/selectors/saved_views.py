"""Saved views: a person's own, and those that are shared."""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from apps.finance_sentiment.models import SavedView
from rootstock.common.actors import Actor


def saved_views(actor: Actor, *, page: str = "") -> QuerySet[SavedView]:
    """The views that somebody may open, of one page or of all, by name."""
    owner = owner_of(actor)
    seen = Q(is_shared=True) | Q(owner_id=owner) if owner else Q(is_shared=True)
    found = SavedView.objects.filter(seen).select_related("owner")
    return (found.filter(page=page) if page else found).order_by("name", "id")


def owner_of(actor: Actor) -> uuid.UUID | None:
    """Whose a view is that somebody makes: a person's; None for a key, whose views are everybody's."""
    return uuid.UUID(actor.id) if actor.kind == "user" else None
