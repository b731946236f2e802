"""Clusters of unanswered questions: what to teach next, and what people said to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import Http404
from django.utils import timezone

from apps.customer_service.inference.text import language_of, masked
from apps.customer_service.inference.words import words_of
from apps.customer_service.models import Message, UnansweredCluster, UnansweredQuestion

# What counts as lately.
RECENT: Final = timedelta(days=7)
_SAMPLES: Final = 3
# Conversations of which the replies are looked at, and how long one may be.
_LOOKED_AT: Final = 50
_LONGEST: Final = 4000
_SHORTEST: Final = 10
# Share of words in common from which two clusters may be the same.
_ALIKE: Final = 0.2
State = UnansweredCluster.State


def cluster_list(
    *, state: str = State.OPEN, language: str = "", search: str = ""
) -> QuerySet[UnansweredCluster]:
    """Clusters with `recent`, the customers of the last days; those that most customers asked first."""
    since = timezone.now() - RECENT
    customer = Coalesce("questions__conversation__visitor", "questions__pk")
    rows = UnansweredCluster.objects.filter(state=state).annotate(
        recent=Count(customer, distinct=True, filter=Q(questions__created_at__gte=since))
    )
    if language:
        rows = rows.filter(language=language)
    if search:
        asked = UnansweredQuestion.objects.filter(text__icontains=search)
        rows = rows.filter(Q(title__icontains=search) | Q(pk__in=asked.values("cluster")))
    return rows.select_related("answer").order_by("-size", "-last_asked_at", "-pk")


def cluster_get(cluster_id: uuid.UUID | str) -> UnansweredCluster:
    """One cluster.

    Raises:
        Http404: there is no such cluster; it may have been joined with another.
    """
    cluster = UnansweredCluster.objects.select_related("answer").filter(pk=cluster_id).first()
    if cluster is None:
        raise Http404("no such cluster")
    return cluster


def cluster_counts() -> dict[str, int]:
    """How many there are in each state, and "waiting": questions that are in none yet."""
    rows = UnansweredCluster.objects.order_by().values("state").annotate(n=Count("pk"))
    counts = {str(state): 0 for state in State.values} | {row["state"]: row["n"] for row in rows}
    counts["waiting"] = UnansweredQuestion.objects.filter(cluster=None).count()
    return counts


def cluster_questions(cluster: UnansweredCluster) -> QuerySet[UnansweredQuestion]:
    """The questions of a cluster, the newest first."""
    return cluster.questions.select_related("conversation", "message").order_by("-pk")


def samples(clusters: Iterable[UnansweredCluster]) -> Mapping[uuid.UUID, list[str]]:
    """A few other ways in which each was asked."""
    found: dict[uuid.UUID, list[str]] = {cluster.pk: [] for cluster in clusters}
    titles = {cluster.pk: cluster.title for cluster in clusters}
    rows = UnansweredQuestion.objects.filter(cluster__in=found).order_by("-pk")
    for cluster_id, text in rows.values_list("cluster", "text"):
        shown = found[cluster_id]
        if len(shown) < _SAMPLES and text not in (titles[cluster_id], *shown):
            shown.append(text)
    return found


def cluster_near(cluster: UnansweredCluster, *, most: int = 5) -> list[UnansweredCluster]:
    """Other open clusters with the most words in common: candidates for a merger."""
    wanted = _stems(cluster.title)
    scored = []
    for other in cluster_list(language=cluster.language).exclude(pk=cluster.pk)[:300]:
        words = _stems(other.title)
        common = len(wanted & words) / max(1, len(wanted | words))
        if common >= _ALIKE:
            scored.append((common, other))
    scored.sort(key=lambda pair: (-pair[0], -pair[1].size, pair[1].pk))
    return [other for _common, other in scored[:most]]


def reply_proposed(cluster: UnansweredCluster) -> dict[str, Any] | None:
    """What a person answered in one of the conversations, as the text to begin with: {"body", "language",
    "conversation"}; None where nobody did.

    The best is of a conversation that was rated well or resolved, and shares most words with the other replies.
    """
    rows = cluster.questions.exclude(message=None).select_related("message", "conversation")
    found = []
    for question in rows.order_by("-pk")[:_LOOKED_AT]:
        body = _reply_to(question)
        if question.conversation is not None and len(body) >= _SHORTEST:
            found.append((question.conversation, body))
    words = [set(words_of(body)) for _conversation, body in found]
    best, best_rank = None, (-1.0, -1.0, 0)
    for number, (conversation, body) in enumerate(found):
        others = [each for place, each in enumerate(words) if place != number]
        shared = sum(
            len(words[number] & each) / max(1, len(words[number] | each)) for each in others
        )
        good = 2.0 if (conversation.csat or 0) >= 4 else 1.0 if conversation.resolved_at else 0.0
        rank = (good if (conversation.csat or 3) >= 3 else -0.5, shared, -number)
        if rank > best_rank:
            language = language_of(body, hint=cluster.language)
            best = {"body": body, "language": language, "conversation": str(conversation.pk)}
            best_rank = rank
    return best


def _stems(text: str) -> set[str]:
    """The words of a text by their first letters, which their forms share; short ones say nothing in English."""
    return {word[:4] for word in words_of(text) if len(word) > 3 or not word.isascii()}


def _reply_to(question: UnansweredQuestion) -> str:
    """What a person said after a question until the customer's next one, without personal data."""
    message = question.message
    if message is None or question.conversation is None:
        return ""
    told: list[str] = []
    said = Message.objects.filter(
        conversation=question.conversation_id,
        sequence__gt=message.sequence,
        author__in=[Message.Author.VISITOR, Message.Author.AGENT],
    )
    for author, body in said.order_by("sequence").values_list("author", "body")[:20]:
        if author == Message.Author.AGENT:
            told.append(body.strip())
        elif told:
            break
    text = "\n\n".join(told)[:_LONGEST]
    visitor = question.conversation.visitor
    if visitor.name:
        text = text.replace(visitor.name, "").replace("  ", " ")
    return masked(text)[0].strip()
