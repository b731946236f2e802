"""Who gets a waiting conversation: whoever is there, has room, speaks the language and has waited longest.

Waiting conversations are taken with `FOR UPDATE SKIP LOCKED`, so that two workers never hold the same one, and the
profiles of the agents with `FOR UPDATE`, so that the second worker counts what the first has assigned. The order of
locks is conversation, profiles, event log.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.customer_service.models import AgentProfile, Conversation
from apps.customer_service.selectors.inbox import SEEN_WITHIN
from apps.customer_service.services.conversations import ASSIGN_TOPIC, conversation_assign
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.problems import invalid
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission

LARGEST_CAPACITY = 100
BATCH = 500
_LOOK_AGAIN = timedelta(seconds=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


def profile_get(member: Membership) -> AgentProfile:
    """The member's profile, made with its defaults when there is none."""
    profile, _created = AgentProfile.objects.get_or_create(member=member)
    return profile


def profile_update(
    *, profile: AgentProfile, capacity: int, skills: Iterable[str], actor: Actor
) -> AgentProfile:
    """Say how many conversations somebody has at a time, and what they are good at.

    Raises:
        Problem: 422 for a capacity below 0 or above 100.
    """
    if not 0 <= capacity <= LARGEST_CAPACITY:
        detail = _("From 0 to %(n)d conversations.") % {"n": LARGEST_CAPACITY}
        raise invalid("/capacity", detail)
    before = {"capacity": profile.capacity, "skills": profile.skills}
    profile.capacity = capacity
    profile.skills = sorted({skill.strip()[:130] for skill in skills if skill.strip()})
    profile.save()
    audit_record(
        actor=actor,
        action="service.agent.update",
        target=str(profile.member.user),
        target_id=str(profile.member_id),
        changes={
            "capacity": [before["capacity"], capacity],
            "skills": [before["skills"], profile.skills],
        },
    )
    queue_drain()
    return profile


def presence_set(*, member: Membership, presence: str) -> AgentProfile:
    """Come, be busy, or go. Whoever comes gets what waits."""
    profile = profile_get(member)
    came = presence == AgentProfile.Presence.ONLINE and not is_there(profile, timezone.now())
    profile.presence = presence
    profile.seen_at = timezone.now()
    profile.save(update_fields=["presence", "seen_at", "updated_at"])
    if came:
        queue_drain()
    return profile


def presence_keep(*, member: Membership) -> AgentProfile:
    """Somebody still sits before the console; who comes back after a pause gets what waits."""
    return presence_set(member=member, presence=profile_get(member).presence)


def is_there(profile: AgentProfile, now: datetime) -> bool:
    """Whether new conversations may go to them."""
    return (
        profile.presence == AgentProfile.Presence.ONLINE
        and profile.seen_at is not None
        and profile.seen_at > now - SEEN_WITHIN
    )


def queue_drain() -> None:
    """Soon look whether somebody has room for what waits.

    Not coalesced: writers of one key would wait for each other while they hold conversations.
    """
    outbox_write(ASSIGN_TOPIC, {})


def queue_assign() -> int:
    """Give waiting conversations to agents with room, the most urgent and then the longest waiting first.

    Returns:
        How many were assigned.
    """
    waiting = Conversation.objects.filter(status=Conversation.Status.WAITING, assignee__isnull=True)
    # Sorted by what is never null, so that two workers go through it in the same order.
    queue = waiting.order_by("-priority", "waiting_since", "pk")
    agents: list[AgentProfile] | None = None
    loads: Counter[uuid.UUID] = Counter()
    assigned = refused = 0
    for conversation in queue.select_for_update(skip_locked=True)[:BATCH]:
        if agents is None:
            agents, loads = _agents_locked(), agent_loads()
        agent = agent_choose(conversation, agents, loads)
        if agent is None:
            refused += 1
            continue
        _give(conversation, agent)
        loads[agent.member_id] += 1
        assigned += 1
    if agents is None:
        agents, loads = _agents(), agent_loads()
    # One that was being written to a moment ago was skipped and must not wait for the next occasion.
    if any(_room(agent, loads) for agent in agents) and waiting.count() > refused:
        outbox_write(
            ASSIGN_TOPIC, {}, available_at=timezone.now() + _LOOK_AGAIN, coalesce_key="again"
        )
    return assigned


def conversation_reassign(*, conversation: Conversation) -> bool:
    """Give a conversation (locked by the caller) to another agent who has room; False when there is none."""
    agents = [a for a in _agents_locked() if a.member_id != conversation.assignee_id]
    agent = agent_choose(conversation, agents, agent_loads())
    if agent is None:
        return False
    _give(conversation, agent)
    return True


def agent_choose(
    conversation: Conversation, agents: Iterable[AgentProfile], loads: Mapping[uuid.UUID, int]
) -> AgentProfile | None:
    """Whose turn it is.

    A language is a must while somebody who is there speaks it: the conversation then waits for them. Of those with
    room, who knows the intent comes first, then the smallest share of the capacity, then whose last turn is longest
    ago. A profile without languages speaks all.
    """
    there = list(agents)
    speakers = [agent for agent in there if _speaks(agent, conversation.language)]
    free = [agent for agent in speakers or there if _room(agent, loads)]
    return min(
        free,
        key=lambda agent: (
            f"intent:{conversation.intent}" not in agent.skills,
            loads[agent.member_id] / agent.capacity,
            agent.assigned_at or _NEVER,
        ),
        default=None,
    )


def agent_loads() -> Counter[uuid.UUID]:
    """How many conversations each member has now."""
    rows = (
        Conversation.objects.filter(status=Conversation.Status.ASSIGNED, assignee__isnull=False)
        .values_list("assignee_id")
        .annotate(count=Count("pk"))
    )
    return Counter(dict(rows))


def members_answering() -> QuerySet[Membership]:
    """Members whose role lets them answer conversations."""
    roles = [
        role for role, granted in ROLE_PERMISSIONS.items() if Permission.SERVICE_REPLY in granted
    ]
    return Membership.objects.filter(role__in=roles).select_related("user").order_by("user__name")


def _agents() -> list[AgentProfile]:
    now = timezone.now()
    profiles = AgentProfile.objects.select_related("member__user").filter(
        presence=AgentProfile.Presence.ONLINE, member__in=members_answering()
    )
    return [profile for profile in profiles.order_by("pk") if is_there(profile, now)]


def _agents_locked() -> list[AgentProfile]:
    """Those who are there, their rows locked so that nobody else counts their load at the same time."""
    ids = [profile.pk for profile in _agents()]
    list(AgentProfile.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    return [profile for profile in _agents() if profile.pk in ids]


def _give(conversation: Conversation, agent: AgentProfile) -> None:
    conversation_assign(conversation=conversation, member=agent.member, actor=SYSTEM)
    agent.assigned_at = timezone.now()
    agent.save(update_fields=["assigned_at", "updated_at"])


def _room(agent: AgentProfile, loads: Mapping[uuid.UUID, int]) -> bool:
    return loads.get(agent.member_id, 0) < agent.capacity


def _speaks(agent: AgentProfile, language: str) -> bool:
    languages = [skill for skill in agent.skills if ":" not in skill]
    return not languages or not language or language in languages
