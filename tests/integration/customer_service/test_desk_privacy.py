"""A customer's data: exported whole, erased from every table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from apps.customer_service.models import (
    ActionCall,
    Attachment,
    BusinessAction,
    Conversation,
    Flow,
    FlowRun,
    FlowVersion,
    MinedPair,
    Suggestion,
    UnansweredCluster,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.services import privacy
from apps.customer_service.services.answering.pipeline import SUBJECT
from apps.customer_service.services.conversations import (
    conversation_hand_off,
    conversation_open,
    conversation_rate,
)
from apps.customer_service.services.messages import message_add
from apps.customer_service.services.privacy import customer_erase, customer_export
from apps.customer_service.tasks.desk import delete_files
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.models import Dataset
from rootstock.modelhub.services import NewExample, examples_add
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import source_get
from rootstock.outbox.models import IdempotencyKey, OutboxMessage
from rootstock.webhooks.models import Endpoint

# In every text that the customer left, or that was made of one.
MARK = "Zanzibarquokka"


def everything_of(visitor: Visitor, channel: Any) -> Conversation:
    """A conversation that has left a row wherever one can be left."""
    conversation = conversation_open(
        channel=channel, visitor=visitor, origin="widget", page_title=f"Page {MARK}"
    )
    asked = message_add(conversation=conversation, author="visitor", body=f"{MARK} asks")
    path = default_storage.save("service/test.txt", ContentFile(MARK.encode()))
    Attachment.objects.create(
        conversation=conversation, message=asked, name=f"{MARK}.txt", content_type="text/plain",
        size=3, digest="0", path=path,
    )  # fmt: skip
    conversation_hand_off(conversation=conversation, reason="people-asked")
    message_add(conversation=conversation, author="note", body=f"A note on {MARK}")
    conversation_rate(conversation=conversation, csat=2, comment=f"{MARK} was sad")
    Suggestion.objects.create(
        conversation=conversation, question=asked, body=f"Dear {MARK}", sent_body=f"Dear {MARK}!",
        outcome="edited",
    )  # fmt: skip
    MinedPair.objects.create(
        question=f"{MARK}?", reply="x", score=1, conversation=conversation, state="accepted",
        digest=visitor.pk.hex,
    )  # fmt: skip
    cluster = UnansweredCluster.objects.create(title=f"{MARK}?", size=1)
    UnansweredQuestion.objects.create(
        message=asked, conversation=conversation, cluster=cluster, text=f"{MARK}?", reason="x"
    )
    version = FlowVersion.objects.create(
        flow=Flow.objects.create(name=visitor.pk.hex), number=1, definition={}, actor_label="x"
    )
    run = FlowRun.objects.create(
        conversation=conversation, version=version, slots={"name": MARK}, state="done"
    )
    action = BusinessAction.objects.create(name=visitor.pk.hex, url="https://x.example")
    ActionCall.objects.create(action=action, run=run, key=visitor.pk.hex, sent={"name": MARK})
    IdempotencyKey.objects.create(
        key=visitor.pk.hex,
        request_digest=b"0",
        body=json.dumps({"visitor": str(visitor.pk), "name": MARK}).encode(),
    )
    dataset = Dataset.objects.create(name=visitor.pk.hex, task="text-classification")
    row = NewExample(text=f"{MARK} asks", label="x", subject=(SUBJECT, asked.pk))
    examples_add(dataset=dataset, examples=[row], actor=SYSTEM)
    replies = Dataset.objects.create(name=f"replies {visitor.pk.hex}", task="text-generation")
    source_pull(dataset=replies, source=source_get("service.replies"), actor=SYSTEM)
    return conversation


def tables_with(text: str) -> list[str]:
    """Every table in which the text stands in any column, as the organisation sees them."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                "SELECT has_table_privilege(current_user, %s, 'SELECT')", [f'public."{table}"']
            )
            if not cursor.fetchall()[0][0]:
                continue
            cursor.execute(
                f'SELECT count(*) FROM "{table}" t '  # noqa: S608 - names from the catalogue
                "WHERE t::text ILIKE %s OR t::text LIKE %s",
                # bytea is shown in hexadecimal
                [f"%{text}%", f"%{text.encode().hex()}%"],
            )
            if cursor.fetchall()[0][0]:
                found.append(table)
    return found


@pytest.fixture
def customer(channel: Any) -> Visitor:
    """Somebody with something in every table."""
    Endpoint.objects.create(
        url="https://x.example",
        event_types=["service.conversation.handed_off", "service.message.created"],
        secret="s",
    )
    visitor = Visitor.objects.create(
        name=f"{MARK} Smith", email=f"{MARK}@example.com", attributes={"city": MARK}
    )
    everything_of(visitor, channel)
    return visitor


def test_the_export_holds_everything(customer):
    text = json.dumps(customer_export(customer))
    for wanted in ("asks", "A note on", "was sad", "Dear", ".txt", "slots", "sent", "city"):
        assert wanted in text, wanted
    assert text.count(MARK) >= 12


def test_an_erasure_leaves_nothing_in_any_table(customer, channel, ann):
    before = set(tables_with(MARK))
    assert {
        "customer_service_visitor",
        "customer_service_message",
        "customer_service_conversationentry",
        "realtime_event",
        "webhooks_delivery",
        "outbox_idempotencykey",
        "modelhub_datasetexample",
    } <= before
    path = Attachment.objects.get().path
    gone = customer_erase(visitor=customer, actor=ann)
    assert (gone["conversations"], gone["files"], gone["unanswered_questions"]) == (1, 1, 1)
    assert gone["examples"] == 3
    assert tables_with(MARK) == []
    message = OutboxMessage.objects.get(topic=privacy.FILES_TOPIC)
    assert default_storage.exists(path), "the file goes once the erasure is certain"
    delete_files(message.payload)
    delete_files(message.payload)
    assert not default_storage.exists(path)


def test_others_keep_what_is_theirs(customer, channel, ann):
    neighbour = Visitor.objects.create(name="Neighbour")
    kept = conversation_open(channel=channel, visitor=neighbour, origin="widget")
    message_add(conversation=kept, author="visitor", body="Platypus")
    cluster = UnansweredCluster.objects.get()
    question = UnansweredQuestion.objects.create(
        conversation=kept, cluster=cluster, text="Platypus?", reason="x"
    )
    before = set(tables_with("Platypus"))
    customer_erase(visitor=customer, actor=ann)
    assert set(tables_with("Platypus")) >= before
    cluster.refresh_from_db()
    assert (cluster.title, cluster.size, question.cluster) == ("Platypus?", 1, cluster)


def test_a_foreign_conversation_is_not_reached(organisation_b, customer, ann):
    """The function of the database acts in the organisation in force only."""
    from rootstock.tenancy.rls import call_lookup

    conversation = Conversation.objects.get()
    with connection.cursor() as cursor:
        setting = "SELECT set_config('rootstock.organisation', %s, true)"
        cursor.execute(setting, [str(organisation_b.pk)])
        (row,) = call_lookup("service_events_erase", conversation.pk)
        cursor.execute(setting, [str(customer.organisation_id)])
    assert row["erased"] == 0
