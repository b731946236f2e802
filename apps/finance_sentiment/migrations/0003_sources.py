"""Sources, how polling of each stands, what they sent and what was refused."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.common.secrets
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

# Sources that are due, leased to the caller. Organisations take turns, so that one with thousands of
# feeds does not make the others wait; slow sources get only some of the places.
CLAIM = """
    WITH held AS (
        SELECT count(*) AS places, count(*) FILTER (WHERE is_slow) AS slow
        FROM finance_sentiment_sourcepolling WHERE leased_until > clock_timestamp()
    ), due AS (
        SELECT polling.id, polling.next_at, polling.is_slow,
               row_number() OVER (PARTITION BY organisation_id ORDER BY next_at) AS turn,
               row_number() OVER (PARTITION BY is_slow ORDER BY next_at) AS place
        FROM finance_sentiment_sourcepolling polling
        WHERE next_at <= clock_timestamp()
          AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ), chosen AS (
        SELECT id FROM due
        WHERE NOT is_slow OR place <= slow_places - (SELECT slow FROM held)
        ORDER BY turn, next_at
        LIMIT (SELECT greatest(0, most_places - places) FROM held)
    ), locked AS (
        SELECT polling.id FROM finance_sentiment_sourcepolling polling JOIN chosen USING (id)
        WHERE leased_until IS NULL OR leased_until < clock_timestamp()
        FOR UPDATE OF polling SKIP LOCKED
    )
    UPDATE finance_sentiment_sourcepolling polling
    SET lease_token = gen_random_uuid(), leased_until = clock_timestamp() + lease
    FROM locked WHERE polling.id = locked.id
    RETURNING polling.organisation_id, polling.source_id, polling.lease_token
"""
BY_HOOK = """
    SELECT organisation_id, id AS source_id FROM finance_sentiment_source
    WHERE hook_key = wanted AND hook_key <> '' AND archived_at IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0002_row_level_security")]

    operations = [
        migrations.CreateModel(
            name="Source",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("feed", "Feed"),
                            ("list", "List page"),
                            ("comments", "Comment page"),
                            ("hook", "Inbound webhook"),
                            ("push", "REST and files"),
                        ],
                        default="push",
                        max_length=8,
                    ),
                ),
                ("url", models.TextField(blank=True)),
                ("moved_from", models.TextField(blank=True)),
                ("source_group", models.CharField(blank=True, max_length=60)),
                (
                    "credibility",
                    models.FloatField(
                        default=0.5,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                ("language", models.CharField(blank=True, max_length=35)),
                ("enabled", models.BooleanField(default=True)),
                ("interval_seconds", models.PositiveIntegerField(default=900)),
                ("selectors", models.JSONField(blank=True, default=dict)),
                ("fetch_articles", models.BooleanField(default=False)),
                ("hook_key", models.CharField(blank=True, max_length=40)),
                ("secret", rootstock.common.secrets.EncryptedTextField(blank=True, default="")),
                ("old_secret", rootstock.common.secrets.EncryptedTextField(blank=True, default="")),
                ("old_secret_until", models.DateTimeField(blank=True, null=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SourcePolling",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("lease_token", models.UUIDField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("is_slow", models.BooleanField(default=False)),
                ("etag", models.CharField(blank=True, max_length=500)),
                ("last_modified", models.CharField(blank=True, max_length=100)),
                ("digest", models.BinaryField(max_length=32, null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                (
                    "fault",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("address", "The address is not allowed"),
                            ("unreachable", "The server cannot be reached"),
                            ("timeout", "No whole answer in time"),
                            ("protocol", "The answer is not proper HTTP"),
                            ("redirects", "Redirected too often"),
                            ("refused", "The server refuses"),
                            ("missing", "Nothing at this address"),
                            ("gone", "Taken down for good"),
                            ("busy", "Asked to come less often"),
                            ("server", "Error of the server"),
                            ("status", "Unexpected answer"),
                            ("too-large", "Too large"),
                            ("compression", "Damaged or unknown compression"),
                            ("not-a-feed", "Not a feed"),
                            ("malformed", "Not readable"),
                            ("selectors", "The selectors find nothing"),
                            ("robots", "robots.txt does not allow it"),
                            ("internal", "Could not be stored"),
                        ],
                        max_length=12,
                    ),
                ),
                ("fault_detail", models.CharField(blank=True, max_length=300)),
                ("fault_since", models.DateTimeField(null=True)),
                (
                    "notes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("moved", "Moved for good; the new address is kept"),
                                ("repaired", "Broken XML, read all the same"),
                                ("charset", "Wrong character set, guessed"),
                                ("empty", "Without any item"),
                                ("undated", "Items without a time"),
                                ("future", "Items from the future"),
                                ("refused", "Items refused"),
                                ("repeated", "Items listed twice"),
                                ("articles", "Articles that could not be read"),
                                ("more", "More items than one poll takes"),
                                ("slow", "Slow"),
                            ],
                            max_length=12,
                        ),
                        default=list,
                        size=None,
                    ),
                ),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("milliseconds", models.PositiveIntegerField(null=True)),
                ("polled_at", models.DateTimeField(null=True)),
                ("succeeded_at", models.DateTimeField(null=True)),
                ("new_at", models.DateTimeField(null=True)),
                ("recent", models.JSONField(default=list)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "source",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="polling",
                        to="finance_sentiment.source",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SourceItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("external_id", models.CharField(max_length=200)),
                ("guid_key", models.BinaryField(max_length=16, null=True)),
                ("link_key", models.BinaryField(max_length=16, null=True)),
                ("content_key", models.BinaryField(max_length=16)),
                ("published_at", models.DateTimeField()),
                ("is_undated", models.BooleanField(default=False)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="finance_sentiment.source",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RefusedItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("key", models.CharField(max_length=200)),
                ("title", models.CharField(blank=True, max_length=300)),
                ("payload", models.JSONField(default=dict)),
                ("reasons", models.JSONField(default=list)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Refused"),
                            ("taken", "Taken in"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                ("times", models.PositiveIntegerField(default=1)),
                ("last_at", models.DateTimeField()),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refused",
                        to="finance_sentiment.source",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("message_id", models.CharField(max_length=200)),
                ("answer", models.JSONField(default=dict)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="finance_sentiment.source",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="document",
            name="declared_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="document",
            name="is_undated",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="document",
            name="source_ref",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="documents",
                to="finance_sentiment.source",
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                fields=["source_ref", "-received_at"], name="finance_document_source"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_source_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(
                condition=models.Q(("hook_key", ""), _negated=True),
                fields=("hook_key",),
                name="finance_source_hook",
            ),
        ),
        migrations.AddIndex(
            model_name="refuseditem",
            index=models.Index(
                fields=["organisation", "state", "-last_at"], name="finance_refused_list"
            ),
        ),
        migrations.AddConstraint(
            model_name="refuseditem",
            constraint=models.UniqueConstraint(
                fields=("organisation", "source", "key"), name="finance_refused_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="hookdelivery",
            constraint=models.UniqueConstraint(
                fields=("organisation", "source", "message_id"), name="finance_delivery_once"
            ),
        ),
        migrations.AddIndex(
            model_name="sourceitem",
            index=models.Index(fields=["source", "guid_key"], name="finance_item_guid"),
        ),
        migrations.AddIndex(
            model_name="sourceitem",
            index=models.Index(fields=["source", "link_key"], name="finance_item_link"),
        ),
        migrations.AddConstraint(
            model_name="sourceitem",
            constraint=models.UniqueConstraint(
                fields=("organisation", "source", "external_id"), name="finance_item_once"
            ),
        ),
        migrations.AddIndex(
            model_name="sourcepolling",
            index=models.Index(
                condition=models.Q(("next_at__isnull", False)),
                fields=["next_at"],
                name="finance_polling_due",
            ),
        ),
        *[
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in ("source", "sourcepolling", "sourceitem", "refuseditem", "hookdelivery")
        ],
        LookupFunction(
            "finance_sources_claim",
            arguments="most_places bigint, slow_places bigint, lease interval",
            returns="TABLE (organisation_id uuid, source_id uuid, lease_token uuid)",
            body=CLAIM,
            writes=["finance_sentiment_sourcepolling"],
        ),
        LookupFunction(
            "finance_source_by_hook",
            arguments="wanted varchar",
            returns="TABLE (organisation_id uuid, source_id uuid)",
            body=BY_HOOK,
            reads=["finance_sentiment_source"],
        ),
    ]
