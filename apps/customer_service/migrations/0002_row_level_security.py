"""Every table of the customer service belongs to organisations; what comes before one is known is looked up."""

from __future__ import annotations

from django.db import migrations

from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

# The widget knows the public key of its channel and nothing else.
CHANNEL = """
    SELECT organisation_id, id, enabled, origins
    FROM customer_service_channel WHERE key = wanted
"""
# A page to visit again, a clock that ran out, a message whose answer was lost.
DUE = """
    SELECT organisation.id AS organisation_id,
           EXISTS (
               SELECT 1 FROM customer_service_source source
               WHERE source.organisation_id = organisation.id AND source.next_sync_at <= now()
                 AND source.removed_at IS NULL
           ) AS sync,
           EXISTS (
               SELECT 1 FROM customer_service_conversation conversation
               WHERE conversation.organisation_id = organisation.id
                 AND conversation.sla_due_at <= now()
           ) AS sla
    FROM tenancy_organisation organisation
    WHERE EXISTS (
        SELECT 1 FROM customer_service_channel channel WHERE channel.organisation_id = organisation.id
    )
"""


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0001_initial")]

    operations = [
        *[
            EnableRowLevelSecurity(f"customer_service_{table}")
            for table in (
                "actioncall",
                "agentprofile",
                "answer",
                "assistant",
                "attachment",
                "businessaction",
                "cannedreply",
                "channel",
                "conversation",
                "conversationlabel",
                "document",
                "evaluationquestion",
                "evaluationrun",
                "flow",
                "flowrun",
                "flowversion",
                "macro",
                "message",
                "messagewords",
                "minedpair",
                "passage",
                "savedview",
                "slapolicy",
                "source",
                "suggestion",
                "unansweredcluster",
                "unansweredquestion",
                "visitor",
            )
        ],
        EnableRowLevelSecurity("customer_service_conversationentry", append_only=True),
        EnableRowLevelSecurity("customer_service_release", append_only=True),
        LookupFunction(
            "service_channel_by_key",
            arguments="wanted varchar",
            returns="TABLE (organisation_id uuid, id uuid, enabled boolean, origins varchar[])",
            body=CHANNEL,
            reads=["customer_service_channel"],
        ),
        LookupFunction(
            "service_due_organisations",
            arguments="",
            returns="TABLE (organisation_id uuid, sync boolean, sla boolean)",
            body=DUE,
            reads=[
                "customer_service_channel",
                "customer_service_source",
                "customer_service_conversation",
                "tenancy_organisation",
            ],
        ),
    ]
