"""Rules as many rows, what their detectors remember, and counts of every kind of subject."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0005_threads")]

    operations = [
        migrations.CreateModel(
            name="Rule",
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
                ("name", models.CharField(max_length=80)),
                ("enabled", models.BooleanField(default=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("all", "Everything"),
                            ("topic", "Topic"),
                            ("entity", "Entity"),
                            ("source_group", "Source"),
                            ("portfolio", "Portfolio"),
                        ],
                        default="topic",
                        max_length=16,
                    ),
                ),
                ("key", models.CharField(blank=True, max_length=200)),
                (
                    "measure",
                    models.CharField(
                        choices=[
                            ("negatives", "Negative stories: number and share"),
                            ("volume", "All stories: number"),
                            ("share", "Negative stories: share alone"),
                        ],
                        default="negatives",
                        max_length=10,
                    ),
                ),
                ("detector", models.CharField(max_length=40)),
                ("parameters", models.JSONField(blank=True, default=dict)),
                (
                    "bucket_seconds",
                    models.PositiveIntegerField(
                        choices=[
                            (5, "5 seconds"),
                            (10, "10 seconds"),
                            (60, "1 minute"),
                            (300, "5 minutes"),
                            (600, "10 minutes"),
                            (900, "15 minutes"),
                            (3600, "1 hour"),
                            (86400, "1 day"),
                        ],
                        default=60,
                    ),
                ),
                ("window", models.PositiveIntegerField()),
                ("minimum_total", models.PositiveIntegerField()),
                ("minimum_negative", models.PositiveIntegerField()),
                ("count_factor", models.FloatField()),
                ("share_gain", models.FloatField()),
                ("threshold", models.FloatField()),
                ("share_significance", models.FloatField()),
                ("pending", models.PositiveIntegerField()),
                ("clear_ratio", models.FloatField()),
                ("recovery", models.PositiveIntegerField()),
                ("minimum_firing", models.PositiveIntegerField()),
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
            name="Monitor",
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
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("all", "Everything"),
                            ("topic", "Topic"),
                            ("entity", "Entity"),
                            ("source_group", "Source"),
                            ("portfolio", "Portfolio"),
                        ],
                        max_length=16,
                    ),
                ),
                ("key", models.CharField(blank=True, max_length=200)),
                ("settled", models.JSONField(null=True)),
                ("verdict", models.JSONField(null=True)),
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
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="monitors",
                        to="finance_sentiment.rule",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="rule",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_rule_name_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="monitor",
            constraint=models.UniqueConstraint(
                fields=("organisation", "rule", "kind", "key"), name="finance_monitor_subject_once"
            ),
        ),
        migrations.DeleteModel("SurgeRule"),
        migrations.DeleteModel("TopicMonitor"),
        # Counted again from documents and stories by `buckets_rebuild`: a primary key cannot be changed in place.
        migrations.DeleteModel("TimeBucket"),
        migrations.CreateModel(
            name="TimeBucket",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organisation_id",
                        "width",
                        "start",
                        "kind",
                        "key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("all", "Everything"),
                            ("topic", "Topic"),
                            ("entity", "Entity"),
                            ("source_group", "Source"),
                            ("portfolio", "Portfolio"),
                        ],
                        max_length=16,
                    ),
                ),
                ("key", models.CharField(blank=True, max_length=200)),
                ("start", models.DateTimeField()),
                ("width", models.PositiveIntegerField()),
                ("documents", models.PositiveIntegerField(default=0)),
                ("documents_negative", models.PositiveIntegerField(default=0)),
                ("documents_neutral", models.PositiveIntegerField(default=0)),
                ("documents_positive", models.PositiveIntegerField(default=0)),
                ("stories", models.PositiveIntegerField(default=0)),
                ("stories_negative", models.PositiveIntegerField(default=0)),
                ("stories_neutral", models.PositiveIntegerField(default=0)),
                ("stories_positive", models.PositiveIntegerField(default=0)),
                ("unscored", models.PositiveIntegerField(default=0)),
                (
                    "organisation",
                    models.ForeignKey(
                        db_index=False,
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        *[
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in ("rule", "monitor", "timebucket")
        ],
    ]
