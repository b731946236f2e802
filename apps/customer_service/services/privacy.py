"""What is kept of a customer: given to them as a file, or erased so that nothing of it is left.

An export holds everything that an erasure removes. The log of a conversation and the audit log stay: they say who did
what and when, and nothing that a customer said. Rows of data sets go, too; a snapshot that a model was taught by stays
what it was, with personal data masked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import F, Func, IntegerField, Q, Value
from django.utils import timezone

from apps.customer_service.models import (
    ActionCall,
    Attachment,
    Conversation,
    FlowRun,
    Message,
    MinedPair,
    Suggestion,
    UnansweredCluster,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.services.answering.pipeline import SUBJECT
from apps.customer_service.services.learning.candidates import PAIR_SUBJECT
from apps.customer_service.services.learning.unanswered import clusters_count
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.modelhub.services import examples_forget
from rootstock.outbox.models import IdempotencyKey
from rootstock.outbox.services import outbox_write
from rootstock.realtime.models import Stream
from rootstock.realtime.services import event_append
from rootstock.tenancy.rls import call_lookup
from rootstock.webhooks.models import Delivery

FILES_TOPIC = "service.files.delete"


def customer_export(visitor: Visitor) -> dict[str, Any]:
    """Everything kept of a customer, as JSON."""
    conversations = Conversation.objects.filter(visitor=visitor).select_related("channel")
    return {
        "exported_at": timezone.now().isoformat(),
        "customer": {
            "id": str(visitor.pk),
            "external_id": visitor.external_id,
            "name": visitor.name,
            "email": visitor.email,
            "attributes": visitor.attributes,
            "verified": visitor.verified,
            "language": visitor.language,
            "first_seen_at": visitor.created_at.isoformat(),
            "last_seen_at": _iso(visitor.last_seen_at),
        },
        "conversations": [_conversation(row) for row in conversations.order_by("created_at")],
    }


def customer_erase(*, visitor: Visitor, actor: Actor) -> dict[str, int]:
    """Remove a customer and everything they said or that was made of it; how many rows of what went.

    Files go by an outbox message of the same transaction. Events that were sent are emptied, so that a page that
    replays them shows nothing.
    """
    # Whoever writes to one of them at this moment is waited for.
    conversations = list(
        Conversation.objects.select_for_update().filter(visitor=visitor).order_by("pk")
    )
    ids = [conversation.pk for conversation in conversations]
    paths = list(
        Attachment.objects.filter(conversation__in=ids).values_list("path", flat=True).distinct()
    )
    messages = list(Message.objects.filter(conversation__in=ids).values_list("pk", flat=True))
    pairs = list(MinedPair.objects.filter(conversation__in=ids).values_list("pk", flat=True))
    gone = {
        "conversations": len(ids),
        "messages": len(messages),
        "files": len(paths),
        "unanswered_questions": _unanswered_erase(ids),
        "action_calls": ActionCall.objects.filter(run__conversation__in=ids).delete()[0],
        "examples": examples_forget(subject_type=SUBJECT, subject_ids=messages)
        + examples_forget(subject_type=PAIR_SUBJECT, subject_ids=pairs),
    }
    visitor_id = visitor.pk
    visitor.delete()
    traces = [str(visitor_id), *map(str, ids)]
    _copies_erase(traces)
    if paths:
        outbox_write(FILES_TOPIC, {"paths": paths})
    audit_record(
        actor=actor,
        action="service.customer.erase",
        target="customer",
        target_id=str(visitor_id),
        changes=gone,
    )
    Stream.objects.filter(name__in=[f"service.c.{one.hex}" for one in ids]).delete()
    for one in ids:
        call_lookup("service_events_erase", one)
        event_append("service.inbox", "conversation.erased", {"id": str(one)})
    return gone


def _unanswered_erase(conversations: Sequence[Any]) -> int:
    """Remove the questions; a cluster that was called by one of them gets another name, an empty one goes."""
    questions = UnansweredQuestion.objects.filter(
        Q(conversation__in=conversations) | Q(message__conversation__in=conversations)
    )
    texts = dict(questions.values_list("pk", "text"))
    clusters = list(UnansweredCluster.objects.filter(questions__in=questions).distinct())
    questions.delete()
    for cluster in clusters:
        if cluster.title in {text[:300] for text in texts.values()}:
            newest = cluster.questions.order_by("-created_at").first()
            named = newest.text if newest else cluster.answer.title if cluster.answer else "…"
            cluster.title = named[:300]
        # The mean of vectors of which some are gone; it is made anew with the next questions.
        cluster.centroid, cluster.model_digest = [], ""
        cluster.save()
    clusters_count([cluster.pk for cluster in clusters])
    return len(texts)


def _copies_erase(traces: Sequence[str]) -> None:
    """Empty what other parts of the platform keep of it for a time: stored answers, messages to webhooks."""
    for trace in traces:
        place = Func(
            Value(trace.encode()),
            F("body"),
            template="position(%(expressions)s)",
            arg_joiner=" in ",
            output_field=IntegerField(),
        )
        IdempotencyKey.objects.annotate(place=place).filter(place__gt=0).delete()
        Delivery.objects.filter(event_type__startswith="service.", body__contains=trace).update(
            body=json.dumps({"data": {"erased": True}})
        )


def _conversation(conversation: Conversation) -> dict[str, Any]:
    messages = conversation.messages.prefetch_related("attachments").order_by("sequence")
    return {
        "id": str(conversation.pk),
        "channel": conversation.channel.name if conversation.channel else None,
        "status": conversation.status,
        "language": conversation.language,
        "page": {"title": conversation.page_title, "url": conversation.page_url},
        "labels": conversation.labels,
        "intent": conversation.intent,
        "emotion": conversation.emotion,
        "summary": conversation.summary,
        "began_at": conversation.created_at.isoformat(),
        "resolved_at": _iso(conversation.resolved_at),
        "rating": {"score": conversation.csat, "comment": conversation.csat_comment},
        "messages": [_message(message) for message in messages],
        "flows": [
            {"began_at": run.created_at.isoformat(), "state": run.state, "slots": run.slots}
            for run in FlowRun.objects.filter(conversation=conversation).order_by("created_at")
        ],
        "actions": [
            {
                "action": call.action.name,
                "state": call.state,
                "sent": call.sent,
                "received": call.received,
            }
            for call in ActionCall.objects.filter(run__conversation=conversation)
            .select_related("action")
            .order_by("created_at")
        ],
        "suggestions": list(
            Suggestion.objects.filter(conversation=conversation)
            .order_by("created_at")
            .values("body", "sent_body", "outcome")
        ),
        "unanswered": list(
            UnansweredQuestion.objects.filter(
                Q(conversation=conversation) | Q(message__conversation=conversation)
            ).values_list("text", flat=True)
        ),
        "mined_pairs": list(
            MinedPair.objects.filter(conversation=conversation).values("question", "reply", "state")
        ),
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "number": message.sequence,
        "author": message.author,
        "text": message.body,
        "at": message.created_at.isoformat(),
        "rating": {"thumb": message.thumb, "comment": message.thumb_comment},
        "understood": message.trace if message.author == Message.Author.VISITOR else {},
        "files": [
            {"name": file.name, "type": file.content_type, "size": file.size}
            for file in message.attachments.all()
        ],
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
