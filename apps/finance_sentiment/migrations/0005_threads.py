"""Threads of stories, the stories' vectors, and earlier versions of documents."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import apps.finance_sentiment.models.threads
import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("finance_sentiment", "0004_entities"),
        ("tenancy", "0003_slug_taken"),
    ]

    operations = [
        migrations.CreateModel(
            name="DocumentVersion",
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
                ("revision", models.PositiveIntegerField()),
                ("title", models.TextField()),
                ("body", models.TextField(blank=True)),
                ("url", models.TextField(blank=True)),
                ("language", models.CharField(blank=True, max_length=35)),
                ("published_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="finance_sentiment.document",
                    ),
                ),
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
            name="Thread",
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
                ("title", models.TextField()),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("story_count", models.PositiveIntegerField(default=0)),
                ("document_count", models.PositiveIntegerField(default=0)),
                ("negative_count", models.PositiveIntegerField(default=0)),
                ("positive_count", models.PositiveIntegerField(default=0)),
                ("source_count", models.PositiveIntegerField(default=0)),
                (
                    "sources",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), default=list, size=None
                    ),
                ),
                (
                    "languages",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=8), default=list, size=None
                    ),
                ),
                ("corroboration", models.FloatField(default=0.0)),
                (
                    "topics",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), default=list, size=None
                    ),
                ),
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
            name="ThreadStory",
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
                ("first_seen_at", models.DateTimeField()),
                ("vector", apps.finance_sentiment.models.threads.HalfVectorField(null=True)),
                ("probability", models.FloatField(null=True)),
                (
                    "placed_by",
                    models.CharField(
                        choices=[("model", "Model"), ("person", "Person")],
                        default="model",
                        max_length=6,
                    ),
                ),
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
                    "story",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="place",
                        to="finance_sentiment.story",
                    ),
                ),
                (
                    "thread",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="places",
                        to="finance_sentiment.thread",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="documentversion",
            constraint=models.UniqueConstraint(
                fields=("document", "revision"), name="finance_version_once"
            ),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(
                fields=["organisation", "-last_seen_at", "-id"], name="finance_thread_time"
            ),
        ),
        migrations.AddIndex(
            model_name="threadstory",
            index=models.Index(
                condition=models.Q(("thread__isnull", True)),
                fields=["organisation", "id"],
                name="finance_place_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="threadstory",
            index=models.Index(fields=["organisation", "first_seen_at"], name="finance_place_time"),
        ),
        migrations.AddIndex(
            model_name="threadstory",
            index=models.Index(
                condition=models.Q(("vector__isnull", False)),
                fields=["organisation", "created_at"],
                name="finance_place_kept",
            ),
        ),
        # Vectors have norm 1, so the inner product is the cosine.
        migrations.RunSQL(
            "CREATE INDEX finance_place_vector ON finance_sentiment_threadstory"
            " USING hnsw (vector halfvec_ip_ops)",
            "DROP INDEX finance_place_vector",
        ),
        *[
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in ("thread", "threadstory", "documentversion")
        ],
    ]
