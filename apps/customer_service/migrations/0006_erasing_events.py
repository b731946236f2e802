"""Erasing a customer reaches the event log and the conversation's log, which the web role can only add to."""

from __future__ import annotations

from django.db import migrations

from rootstock.tenancy.rls import LookupFunction

# Only of the organisation in force, and only of one conversation: the stream of its visitor goes, its lines in the
# inbox are emptied so that their numbers stay without a gap.
ERASE = """
    WITH visitors AS (
        DELETE FROM realtime_event
        WHERE organisation_id = nullif(current_setting('rootstock.organisation', true), '')::uuid
          AND stream = 'service.c.' || replace(conversation::text, '-', '')
        RETURNING 1
    ), lines AS (
        UPDATE realtime_event SET payload = jsonb_build_object('id', conversation::text, 'erased', true)
        WHERE organisation_id = nullif(current_setting('rootstock.organisation', true), '')::uuid
          AND stream = 'service.inbox' AND payload->>'id' = conversation::text
        RETURNING 1
    ), log AS (
        DELETE FROM customer_service_conversationentry
        WHERE organisation_id = nullif(current_setting('rootstock.organisation', true), '')::uuid AND conversation_id = conversation
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM visitors) + (SELECT count(*) FROM lines) + (SELECT count(*) FROM log)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customer_service", "0003_message_attempt"),
        ("realtime", "0001_initial"),
    ]

    operations = [
        LookupFunction(
            "service_events_erase",
            arguments="conversation uuid",
            returns="TABLE (erased bigint)",
            body=ERASE,
            writes=["realtime_event", "customer_service_conversationentry"],
        ),
    ]
