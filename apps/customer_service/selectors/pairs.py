"""Pairs found in dialogues."""

from __future__ import annotations

import uuid

from django.db.models import Count, Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from apps.customer_service.models import Answer, MinedPair


def pairs(*, state: str = "", language: str = "", search: str = "") -> QuerySet[MinedPair]:
    """Those of a state, a language, with a text in question or reply; no order."""
    rows = MinedPair.objects.select_related("answer")
    if state:
        rows = rows.filter(state=state)
    if language:
        rows = rows.filter(language=language)
    if search:
        found = Q(question__icontains=search) | Q(reply__icontains=search)
        rows = rows.filter(found | Q(intent__icontains=search))
    return rows


def pair_counts() -> dict[str, int]:
    """How many there are in each state."""
    rows = MinedPair.objects.values_list("state").annotate(count=Count("pk"))
    return dict.fromkeys(MinedPair.State.values, 0) | dict(rows.order_by())


def pair_get(pair_id: uuid.UUID) -> MinedPair:
    """One pair.

    Raises:
        Http404: there is none.
    """
    pair = MinedPair.objects.select_related("answer").filter(pk=pair_id).first()
    if pair is None:
        raise Http404(_("There is no such pair."))
    return pair


def answer_joined(pair: MinedPair) -> Answer | None:
    """The prepared answer that a pair would join."""
    if not pair.intent:
        return None
    return Answer.objects.filter(intent=pair.intent, removed_at=None).first()


def intents_known() -> list[str]:
    """Of the prepared answers, by name."""
    rows = Answer.objects.filter(removed_at=None).order_by("intent")
    return list(rows.values_list("intent", flat=True))
