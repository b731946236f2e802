"""Is it helping? Figures of the conversations that began in a range of time, and the conversations behind each."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import (
    Aggregate,
    Avg,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
)
from django.db.models.functions import Coalesce, TruncDay, TruncHour
from django.utils import timezone

from apps.customer_service.models import (
    Conversation,
    ConversationEntry,
    Emotion,
    Message,
    UnansweredCluster,
    UnansweredQuestion,
)
from apps.customer_service.selectors.conversations import UNLISTED
from rootstock.common.ids import uuid_of

Status = Conversation.Status
# A conversation with the assistant in which nobody has written for so long has ended, though nobody said so.
QUIET = timedelta(hours=1)
CSV_COLUMNS = (
    "id", "channel", "status", "language", "intent", "emotion", "labels", "priority", "began_at",
    "handed_off_at", "first_reply_at", "resolved_at", "contained", "csat", "assignee",
)  # fmt: skip
# Up to this range figures are drawn by the hour.
HOURLY = timedelta(days=3)
TOP_INTENTS = 12
TOP_CLUSTERS = 6
# The last of the range of times that is "most": nine in ten are faster.
MOST = 0.9
_HANDED_OFF = Q(hand_off_at__isnull=False) | Q(first_reply_at__isnull=False)


class Percentile(Aggregate):
    """The value below which the share `p` of the rows lies, interpolated."""

    function = "percentile_cont"
    template = "%(function)s(%(p)s) WITHIN GROUP (ORDER BY %(expressions)s)"

    def __init__(self, expression: Any, p: float, **extra: Any) -> None:
        super().__init__(expression, p=p, output_field=DurationField(), **extra)


@dataclass(frozen=True)
class InsightQuery:
    """Conversations that began from `start` (included) to `end` (excluded), of one channel or all."""

    start: datetime
    end: datetime
    channel: uuid.UUID | None = None


def insight_conversations(
    query: InsightQuery, figure: str = "", value: str = ""
) -> QuerySet[Conversation]:
    """The conversations behind a figure; all of the range without one.

    Args:
        figure: one of FIGURES; "intent", "emotion" and "agent" with their `value`.
    """
    found = Conversation.objects.exclude(origin__in=UNLISTED).filter(
        created_at__gte=query.start, created_at__lt=query.end
    )
    if query.channel is not None:
        found = found.filter(channel_id=query.channel)
    condition = _FIGURES.get(figure)
    return found.filter(condition(value)) if condition else found


def insight_figures(query: InsightQuery) -> dict[str, Any]:
    """The numbers of the range; None where there is nothing to count."""
    everything = insight_conversations(query)
    ended = insight_conversations(query, "ended").count()
    contained = insight_conversations(query, "contained").count()
    asked = Coalesce(F("hand_off_at"), F("created_at"))
    reply = insight_conversations(query, "answered").aggregate(
        median=Percentile(_between(F("first_reply_at"), asked), 0.5),
        most=Percentile(_between(F("first_reply_at"), asked), MOST),
    )
    resolution = insight_conversations(query, "resolved").aggregate(
        median=Percentile(_between(F("resolved_at"), F("created_at")), 0.5),
        most=Percentile(_between(F("resolved_at"), F("created_at")), MOST),
    )
    rating = everything.aggregate(mean=Avg("csat"), count=Count("csat"))
    return {
        "conversations": everything.count(),
        "ended": ended,
        "contained": contained,
        "containment": contained / ended if ended else None,
        "handed_off": insight_conversations(query, "handed-off").count(),
        "first_reply_median": _seconds(reply["median"]),
        "first_reply_most": _seconds(reply["most"]),
        "resolution_median": _seconds(resolution["median"]),
        "resolution_most": _seconds(resolution["most"]),
        "csat": None if rating["mean"] is None else round(float(rating["mean"]), 2),
        "rated": rating["count"],
        "missed": insight_conversations(query, "missed").count(),
        "unanswered": insight_conversations(query, "unanswered").count(),
    }


def insight_trend(query: InsightQuery) -> list[dict[str, Any]]:
    """By hour or by day: how many began, how many went to people, and how customers felt; empty ones are included."""
    hourly = query.end - query.start <= HOURLY
    trunc = TruncHour if hourly else TruncDay
    counts: dict[str, Any] = {
        "conversations": Count("pk"),
        "handed_off": Count("pk", filter=_HANDED_OFF),
    }
    counts |= {emotion: Count("pk", filter=Q(emotion=emotion)) for emotion in Emotion.values}
    rows = {
        row["at"]: row
        for row in insight_conversations(query)
        .annotate(at=trunc("created_at"))
        .values("at")
        .annotate(**counts)
        .order_by("at")
    }
    empty = dict.fromkeys(counts, 0)
    return [
        {**empty, **rows.get(at, {}), "at": at.isoformat()} for at in _buckets(query, hourly=hourly)
    ]


def insight_intents(query: InsightQuery) -> list[dict[str, Any]]:
    """What customers wanted, the most frequent first, and how much of it the assistant settled."""
    rows = (
        insight_conversations(query)
        .exclude(intent="")
        .values("intent")
        .annotate(
            conversations=Count("pk"),
            handed_off=Count("pk", filter=_HANDED_OFF),
            csat=Avg("csat"),
        )
        .order_by("-conversations", "intent")
    )
    return [dict(row) for row in rows[:TOP_INTENTS]]


def relative_change(now: float | None, before: float | None) -> float | None:
    """By which part of itself a figure changed; None where one is missing or it was zero."""
    return (now - before) / before if now is not None and before else None


def insight_clusters(query: InsightQuery) -> list[dict[str, Any]]:
    """What customers asked for in vain and nobody has dealt with yet, the most frequent first."""
    asked = UnansweredQuestion.objects.filter(
        conversation__in=insight_conversations(query),
        cluster__state=UnansweredCluster.State.OPEN,
    )
    rows = (
        asked.values("cluster", title=F("cluster__title"))
        .annotate(questions=Count("pk"), last_asked_at=Max("created_at"))
        .order_by("-questions", "title")
    )
    return [dict(row) for row in rows[:TOP_CLUSTERS]]


def insight_agents(query: InsightQuery) -> list[dict[str, Any]]:
    """Who answered: replies, conversations and their rating, the busiest first."""
    conversations = insight_conversations(query, "answered")
    rows = (
        Message.objects.filter(
            author=Message.Author.AGENT, member__isnull=False, conversation__in=conversations
        )
        .values("member", name=F("member__user__name"), email=F("member__user__email"))
        .annotate(
            written=Count("pk"),
            conversations=Count("conversation", distinct=True),
        )
        .order_by("-written")
    )
    return [
        {
            "id": str(row["member"]),
            "name": row["name"] or row["email"],
            "replies": row["written"],
            "conversations": row["conversations"],
            "csat": insight_conversations(query, "agent", str(row["member"])).aggregate(
                mean=Avg("csat")
            )["mean"],
        }
        for row in rows
    ]


def insight_csv(query: InsightQuery) -> str:
    """A line for each conversation, nothing of what was said; times in UTC, formulas made harmless."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    rows = insight_conversations(query).select_related("channel", "assignee__user")
    for row in rows.order_by("created_at", "pk").iterator(chunk_size=1000):
        times = (row.created_at, row.hand_off_at, row.first_reply_at, row.resolved_at)
        cells = [
            str(row.pk),
            row.channel.name if row.channel else "",
            row.status,
            row.language,
            row.intent,
            row.emotion,
            " ".join(row.labels),
            row.priority,
            *(at.astimezone(UTC).isoformat() if at else "" for at in times),
            "" if row.contained is None else str(row.contained).lower(),
            "" if row.csat is None else row.csat,
            str(row.assignee.user) if row.assignee else "",
        ]
        writer.writerow([_cell(cell) for cell in cells])
    return text.getvalue()


def load_now(channel: uuid.UUID | None = None) -> dict[str, Any]:
    """What is going on at this moment."""
    found = Conversation.objects.exclude(origin__in=UNLISTED)
    if channel is not None:
        found = found.filter(channel_id=channel)
    now = timezone.now()
    row = found.aggregate(
        waiting=Count("pk", filter=Q(status=Status.WAITING)),
        assigned=Count("pk", filter=Q(status=Status.ASSIGNED)),
        assistant=Count("pk", filter=Q(status=Status.ASSISTANT, last_message_at__gte=now - QUIET)),
        overdue=Count(
            "pk",
            filter=Q(status__in=[Status.WAITING, Status.ASSIGNED], sla_missed_at__isnull=False),
        ),
        oldest=Min("waiting_since", filter=Q(status=Status.WAITING)),
        angry=Count(
            "pk", filter=Q(status__in=[Status.WAITING, Status.ASSIGNED], emotion=Emotion.ANGER)
        ),
    )
    row["longest_wait"] = (now - row["oldest"]).total_seconds() if row["oldest"] else None
    return dict(row)


def _ended(_value: str) -> Q:
    quiet = Q(status=Status.ASSISTANT, last_message_at__lt=timezone.now() - QUIET)
    return Q(status=Status.RESOLVED) | quiet


def _missed(_value: str) -> Q:
    missed = ConversationEntry.objects.filter(
        conversation=OuterRef("pk"), kind=ConversationEntry.Kind.SLA_MISSED
    )
    return Q(Exists(missed))


def _unanswered(_value: str) -> Q:
    return Q(Exists(UnansweredQuestion.objects.filter(conversation=OuterRef("pk"))))


def _of_agent(value: str) -> Q:
    wrote = Message.objects.filter(
        conversation=OuterRef("pk"), author=Message.Author.AGENT, member_id=uuid_of(value)
    )
    return Q(Exists(wrote))


_FIGURES: dict[str, Callable[[str], Q]] = {
    "ended": _ended,
    "contained": lambda value: _ended(value) & ~_HANDED_OFF & ~Q(contained=False),
    "handed-off": lambda _value: _HANDED_OFF,
    "answered": lambda _value: Q(first_reply_at__isnull=False),
    "resolved": lambda _value: Q(resolved_at__isnull=False),
    "rated": lambda _value: Q(csat__isnull=False),
    "missed": _missed,
    "unanswered": _unanswered,
    "intent": lambda value: Q(intent=value),
    "emotion": lambda value: Q(emotion=value),
    "agent": _of_agent,
}
FIGURES = tuple(_FIGURES)


def _buckets(query: InsightQuery, *, hourly: bool) -> list[datetime]:
    """The starts of all hours or days that the range touches, by the wall clock of the zone in force."""
    at = timezone.localtime(query.start).replace(minute=0, second=0, microsecond=0)
    if not hourly:
        at = at.replace(hour=0)
    found = []
    while at < query.end:
        found.append(at)
        if hourly:
            at = timezone.localtime(at.astimezone(UTC) + timedelta(hours=1))
        else:
            # Wall clock arithmetic: the next midnight also where a day has 23 or 25 hours.
            at += timedelta(days=1)
    return found


def _between(later: Any, earlier: Any) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(later - earlier, output_field=DurationField())


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else max(0.0, duration.total_seconds())


def _cell(value: str | int) -> str | int:
    """What a spreadsheet would take for a formula begins with a quote."""
    formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if formula else value
