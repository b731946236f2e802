import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

CLAIM = """
    UPDATE outbox_outboxmessage m
    SET lease_token = NULL, leased_until = NULL, published_at = clock_timestamp(),
        published_count = least(m.published_count + 1, 100)
    FROM (
        SELECT d.id FROM outbox_outboxmessage d
        WHERE d.dead_at IS NULL AND d.queue = queue_name AND d.available_at <= clock_timestamp()
            AND CASE
                WHEN d.lease_token IS NOT NULL THEN d.leased_until < clock_timestamp()
                WHEN d.published_at IS NULL THEN true
                ELSE d.published_at < clock_timestamp() - publish_seconds * interval '1 second'
                    * CASE WHEN queue_empty THEN 1 ELSE power(2, least(greatest(d.published_count - 1, 0), 6)) END
            END
        ORDER BY d.available_at LIMIT most FOR UPDATE SKIP LOCKED
    ) due
    WHERE m.id = due.id
    RETURNING m.id, m.organisation_id
"""
LAG = """
    SELECT count(*) FILTER (WHERE dead_at IS NULL),
        count(*) FILTER (WHERE dead_at IS NOT NULL),
        coalesce(extract(epoch FROM clock_timestamp() - min(available_at)
            FILTER (WHERE dead_at IS NULL AND available_at <= clock_timestamp())), 0)::double precision
    FROM outbox_outboxmessage
"""
# The age is fixed here: the caller cannot make anybody's keys expire early.
EXPIRE = """
    WITH gone AS (
        DELETE FROM outbox_idempotencykey WHERE created_at < now() - interval '48 hours' RETURNING 1
    )
    SELECT count(*) FROM gone
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0002_organisations")]

    operations = [
        migrations.CreateModel(
            name="OutboxMessage",
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
                ("topic", models.CharField(max_length=100)),
                ("payload", models.JSONField()),
                ("queue", models.CharField(max_length=40)),
                ("coalesce_key", models.CharField(blank=True, max_length=200, null=True)),
                ("available_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("published_count", models.PositiveSmallIntegerField(default=0)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("last_error", models.TextField(blank=True)),
                ("dead_at", models.DateTimeField(blank=True, null=True)),
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
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("dead_at__isnull", True)),
                        fields=["queue", "available_at"],
                        name="outbox_due",
                    ),
                    models.Index(
                        condition=models.Q(("dead_at__isnull", False)),
                        fields=["organisation", "-id"],
                        name="outbox_dead",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("coalesce_key__isnull", False), ("dead_at__isnull", True)
                        ),
                        fields=("organisation", "topic", "coalesce_key"),
                        name="outbox_coalesced_once",
                    ),
                ],
            },
        ),
        EnableRowLevelSecurity("outbox_outboxmessage"),
        migrations.CreateModel(
            name="IdempotencyKey",
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
                ("key", models.CharField(max_length=255)),
                ("request_digest", models.BinaryField(max_length=32)),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("content_type", models.CharField(blank=True, max_length=100)),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(default=b"")),
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
            options={
                "indexes": [models.Index(fields=["created_at"], name="idempotency_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "key"), name="idempotency_key_once"
                    )
                ],
            },
        ),
        EnableRowLevelSecurity("outbox_idempotencykey"),
        LookupFunction(
            "outbox_claim",
            arguments="queue_name varchar, most integer, publish_seconds integer, queue_empty boolean",
            returns="TABLE (id uuid, organisation_id uuid)",
            body=CLAIM,
            writes=["outbox_outboxmessage"],
        ),
        LookupFunction(
            "outbox_lag",
            arguments="",
            returns="TABLE (pending bigint, dead bigint, lag_seconds double precision)",
            body=LAG,
            reads=["outbox_outboxmessage"],
        ),
        LookupFunction(
            "idempotency_expire",
            arguments="",
            returns="TABLE (expired bigint)",
            body=EXPIRE,
            writes=["outbox_idempotencykey"],
        ),
    ]
