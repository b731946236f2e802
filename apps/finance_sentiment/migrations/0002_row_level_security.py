"""Every table of the monitor belongs to organisations; the tick asks which of them have work."""

from __future__ import annotations

from django.db import migrations

from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

# An organisation is due when its detector has a bucket to close, or when documents have waited
# longer than a message takes: then the message was lost.
DUE = """
    SELECT clock.organisation_id,
           coalesce(clock.next_evaluation_at <= now(), false) AS detect,
           EXISTS (
               SELECT 1 FROM finance_sentiment_document document
               WHERE document.organisation_id = clock.organisation_id
                 AND document.status = 'pending'
                 AND document.received_at < now() - interval '5 seconds'
                 AND (document.claimed_until IS NULL OR document.claimed_until < now())
           ) AS score
    FROM finance_sentiment_monitorclock clock
"""


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0001_initial")]

    operations = [
        *[
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in (
                "document",
                "story",
                "storyband",
                "timebucket",
                "surgerule",
                "monitorclock",
                "topicmonitor",
                "alert",
            )
        ],
        EnableRowLevelSecurity("finance_sentiment_alertentry", append_only=True),
        LookupFunction(
            "finance_due_organisations",
            arguments="",
            returns="TABLE (organisation_id uuid, detect boolean, score boolean)",
            body=DUE,
            reads=["finance_sentiment_monitorclock", "finance_sentiment_document"],
        ),
        # For commands: an operator names the organisation that a file belongs to.
        LookupFunction(
            "organisation_by_slug",
            arguments="wanted varchar",
            returns="TABLE (id uuid, slug varchar, name varchar)",
            body="SELECT id, slug, name FROM tenancy_organisation WHERE slug = wanted",
            reads=["tenancy_organisation"],
        ),
    ]
