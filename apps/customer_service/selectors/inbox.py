"""The list of the inbox: which conversations, in which order, and how many of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from apps.customer_service.models import (
    AgentProfile,
    CannedReply,
    Channel,
    Conversation,
    ConversationLabel,
    Emotion,
    Macro,
    Message,
    SavedView,
    Suggestion,
)
from apps.customer_service.selectors.conversations import (
    UNLISTED,
    ConversationQuery,
    conversations_find,
    inbox_row,
)
from rootstock.common.ids import uuid_of
from rootstock.tenancy.models import Membership

Status = Conversation.Status
PEOPLE = (Status.WAITING, Status.ASSIGNED)
PAGE = 50
# The console says every minute that somebody sits before it; after so long nobody does.
SEEN_WITHIN = timedelta(minutes=5)
# By name: the order of the list. What waits for nobody comes last; the id makes every order a total one.
SORTS: dict[str, list[Any]] = {
    "waiting": [F("waiting_since").asc(nulls_last=True), "-last_message_at", "pk"],
    "anger": [F("anger").desc(), F("waiting_since").asc(nulls_last=True), "pk"],
    "sla": [F("sla_due_at").asc(nulls_last=True), F("waiting_since").asc(nulls_last=True), "pk"],
    "newest": [F("last_message_at").desc(nulls_last=True), "-pk"],
}
# Which status each folder of the inbox holds.
FOLDERS: dict[str, tuple[str, ...]] = {
    "open": PEOPLE,
    "waiting": (Status.WAITING,),
    "assigned": (Status.ASSIGNED,),
    "assistant": (Status.ASSISTANT,),
    "resolved": (Status.RESOLVED,),
    "all": tuple(Status.values),
}


@dataclass(frozen=True)
class InboxQuery:
    """What the inbox shows; a value that is none of the known ones asks for nothing."""

    status: str = "open"
    # "me", "none" or a membership's id
    assignee: str = ""
    channel: str = ""
    language: str = ""
    emotion: str = ""
    label: str = ""
    # At least so urgent.
    priority: int = 0
    q: str = ""
    sort: str = "waiting"

    def as_filters(self) -> dict[str, Any]:
        """What a saved view keeps, and the page's address holds: the values that are not the usual ones."""
        usual = InboxQuery()
        return {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if getattr(self, name) != getattr(usual, name)
        }


def inbox_query(values: Mapping[str, Any]) -> InboxQuery:
    """The query that an address or a saved view asks for."""

    def given(name: str, length: int = 200) -> str:
        return str(values.get(name) or "").strip()[:length].replace("\x00", "")

    status, sort, emotion = given("status"), given("sort"), given("emotion")
    priority = given("priority", 1)
    return InboxQuery(
        status=status if status in FOLDERS else "open",
        assignee=given("assignee", 36),
        channel=given("channel", 36),
        language=given("language", 10),
        emotion=emotion if emotion in Emotion.values else "",
        label=given("label", 60),
        priority=int(priority) if priority in ("1", "2", "3") else 0,
        q=given("q"),
        sort=sort if sort in SORTS else "waiting",
    )


def inbox_find(query: InboxQuery, *, member: Membership | None) -> QuerySet[Conversation]:
    """The conversations of the inbox in the asked order; imported ones are found only by their words."""
    assignee = query.assignee
    if assignee == "me":
        assignee = str(member.pk) if member else "none"
    found = conversations_find(
        ConversationQuery(
            status=list(FOLDERS[query.status]),
            assignee=assignee if assignee == "none" else str(uuid_of(assignee) or ""),
            channel=uuid_of(query.channel),
            language=query.language,
            emotion=query.emotion,
            label=query.label,
            text=query.q,
        )
    )
    if not query.q:
        found = found.exclude(origin__in=UNLISTED)
    if query.priority:
        found = found.filter(priority__gte=query.priority)
    return found.order_by(*SORTS[query.sort])


def inbox_rows(conversations: Iterable[Conversation]) -> list[dict[str, Any]]:
    """Conversations as lines of the inbox; the last messages of all of them are read at once."""
    found = list(conversations)
    last = {
        message.conversation_id: message
        for message in Message.objects.filter(conversation__in=found)
        .exclude(author=Message.Author.NOTE)
        .order_by("conversation", "-sequence")
        .distinct("conversation")
    }
    return [inbox_row(row, last.get(row.pk)) for row in found]


def inbox_counts(member: Membership | None) -> dict[str, int]:
    """How many conversations are mine, wait for somebody, are with people, are with the assistant."""
    counts = Conversation.objects.exclude(origin__in=UNLISTED).aggregate(
        mine=Count("pk", filter=Q(status=Status.ASSIGNED, assignee=member)),
        waiting=Count("pk", filter=Q(status=Status.WAITING)),
        open=Count("pk", filter=Q(status__in=PEOPLE)),
        assistant=Count("pk", filter=Q(status=Status.ASSISTANT)),
        overdue=Count("pk", filter=Q(status__in=PEOPLE, sla_missed_at__isnull=False)),
    )
    if member is None:
        counts["mine"] = 0
    return dict(counts)


def saved_views(member: Membership | None) -> list[SavedView]:
    """The member's own views and everybody's, by name."""
    mine = Q(member=member) if member is not None else Q(pk__in=[])
    return list(SavedView.objects.filter(mine | Q(member=None)).order_by("name"))


def suggestion_current(conversation: Conversation) -> Suggestion | None:
    """The proposed reply to the visitor's last message, while nobody has settled it."""
    suggestion = (
        Suggestion.objects.filter(conversation=conversation)
        .select_related("question")
        .order_by("-created_at")
        .first()
    )
    if suggestion is None or suggestion.outcome != Suggestion.Outcome.SHOWN:
        return None
    newer = conversation.messages.filter(
        sequence__gt=suggestion.question.sequence, author__in=["visitor", "agent"]
    )
    return None if newer.exists() else suggestion


def desk_lists(member: Membership | None) -> dict[str, Any]:
    """What an agent chooses from: channels, labels, canned replies, macros, views."""
    return {
        "channels": [
            {"id": str(row.pk), "name": row.name} for row in Channel.objects.order_by("name")
        ],
        "labels": list(ConversationLabel.objects.order_by("name").values("name", "colour")),
        "canned": list(CannedReply.objects.order_by("short").values("short", "bodies")),
        "macros": [
            {"id": str(row.pk), "name": row.name, "steps": row.steps}
            for row in Macro.objects.order_by("name")
        ],
        "views": [
            {
                "id": str(row.pk),
                "name": row.name,
                "filters": row.filters,
                "shared": row.member_id is None,
            }
            for row in saved_views(member)
        ],
    }


def agent_rows(members: QuerySet[Membership]) -> list[dict[str, Any]]:
    """Who answers: presence, capacity, skills and what they have now, by name. Who has left the console is offline."""
    profiles = {row.member_id: row for row in AgentProfile.objects.filter(member__in=members)}
    loads = dict(
        Conversation.objects.filter(status=Status.ASSIGNED)
        .values_list("assignee_id")
        .annotate(count=Count("pk"))
    )
    rows = []
    since = timezone.now() - SEEN_WITHIN
    for member in members:
        profile = profiles.get(member.pk) or AgentProfile(member=member)
        there = profile.seen_at is not None and profile.seen_at > since
        rows.append(
            {
                "id": str(member.pk),
                "name": str(member.user),
                "presence": profile.presence if there else AgentProfile.Presence.OFFLINE,
                "seen_at": profile.seen_at.isoformat() if profile.seen_at else None,
                "capacity": profile.capacity,
                "skills": profile.skills,
                "load": loads.get(member.pk, 0),
            }
        )
    return rows
