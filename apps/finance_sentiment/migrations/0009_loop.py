"""Labels of people, the documents they are asked about, and the cycles in which models learn from them."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

# Organisations whose loop is to do something by the clock.
DUE = """
    SELECT organisation_id FROM finance_sentiment_loopsettings
    WHERE next_draw_at <= clock_timestamp()
       OR (enabled AND next_cycle_at <= clock_timestamp())
"""


class Migration(migrations.Migration):
    dependencies = [
        ("finance_sentiment", "0008_desk"),
        ("jobs", "0001_initial"),
        ("modelhub", "0008_together"),
        ("tenancy", "0003_slug_taken"),
    ]

    operations = [
        migrations.CreateModel(
            name="LoopCycle",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("number", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("collecting", "Collecting labels"),
                            ("adapting", "Reading the collected text"),
                            ("training", "Training"),
                            ("checking", "Checking"),
                            ("waiting", "Waits for a person"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="collecting",
                        max_length=10,
                    ),
                ),
                ("options", models.JSONField(default=dict)),
                ("label_count", models.PositiveIntegerField(default=0)),
                ("new_labels", models.PositiveIntegerField(default=0)),
                ("document_count", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "adapt_run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.trainingrun",
                    ),
                ),
                (
                    "encoder",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
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
            name="LoopHead",
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
                    "question",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sentiment", "Sentiment"),
                            ("topic", "Topics"),
                            ("entity", "Sentiment towards an entity"),
                        ],
                        max_length=9,
                    ),
                ),
                ("model", models.CharField(max_length=120)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("deployed", "Deployed"),
                            ("passed", "Passed, not deployed"),
                            ("refused", "Refused by the gate"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("note", models.TextField(blank=True)),
                (
                    "cycle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heads",
                        to="finance_sentiment.loopcycle",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
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
                    "report",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.gatereport",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.trainingrun",
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.snapshot",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LoopSettings",
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
                ("enabled", models.BooleanField(default=False)),
                ("every_days", models.PositiveSmallIntegerField(default=7)),
                ("least_labels", models.PositiveIntegerField(default=50)),
                ("daily_candidates", models.PositiveSmallIntegerField(default=60)),
                ("adapts", models.BooleanField(default=True)),
                ("adapt_documents", models.PositiveIntegerField(default=20000)),
                ("base", models.CharField(blank=True, max_length=200)),
                ("epochs", models.FloatField(default=3.0)),
                ("deploys", models.BooleanField(default=False)),
                ("next_cycle_at", models.DateTimeField(null=True)),
                ("next_draw_at", models.DateTimeField(null=True)),
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
                "verbose_name_plural": "loop settings",
            },
        ),
        migrations.CreateModel(
            name="DocumentLabel",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("revision", models.PositiveIntegerField(default=1)),
                (
                    "question",
                    models.CharField(
                        choices=[
                            ("sentiment", "Sentiment"),
                            ("topic", "Topics"),
                            ("entity", "Sentiment towards an entity"),
                        ],
                        max_length=9,
                    ),
                ),
                ("start", models.PositiveIntegerField(default=0)),
                ("end", models.PositiveIntegerField(default=0)),
                ("surface", models.CharField(blank=True, max_length=200)),
                (
                    "values",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), default=list, size=None
                    ),
                ),
                (
                    "said",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), default=list, size=None
                    ),
                ),
                ("said_probability", models.FloatField(null=True)),
                ("version", models.CharField(blank=True, max_length=200)),
                ("agrees", models.BooleanField(null=True)),
                ("blind", models.BooleanField(default=False)),
                ("seconds", models.FloatField(null=True)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="labels",
                        to="finance_sentiment.document",
                    ),
                ),
                (
                    "entity",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="labels",
                        to="finance_sentiment.entity",
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
                    "replaces",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="finance_sentiment.documentlabel",
                    ),
                ),
                (
                    "version_ref",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["organisation", "question", "updated_at", "id"],
                        name="finance_label_change",
                    ),
                    models.Index(
                        fields=["organisation", "actor_kind", "actor_id", "-id"],
                        name="finance_label_actor",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at__isnull", True)),
                        fields=(
                            "organisation",
                            "document",
                            "question",
                            "start",
                            "end",
                            "actor_kind",
                            "actor_id",
                        ),
                        name="finance_label_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LabelCandidate",
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
                    "reason",
                    models.CharField(
                        choices=[
                            ("margin", "The model wavered"),
                            ("disagreement", "Models disagree"),
                            ("doubted", "Doubted by people"),
                            ("novel", "Unlike what was seen before"),
                            ("random", "Drawn at random"),
                        ],
                        max_length=12,
                    ),
                ),
                ("score", models.FloatField(default=0.0)),
                ("probability", models.FloatField(null=True)),
                ("rank", models.FloatField(default=0.0)),
                ("people", models.PositiveSmallIntegerField(default=1)),
                (
                    "skipped_by",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), default=list, size=None
                    ),
                ),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="candidates",
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
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at__isnull", True)),
                        fields=["organisation", "rank", "id"],
                        name="finance_candidate_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "document", "reason"), name="finance_candidate_once"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="loopcycle",
            constraint=models.UniqueConstraint(
                fields=("organisation", "number"), name="finance_cycle_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="loopcycle",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["done", "failed", "cancelled"]), _negated=True),
                fields=("organisation",),
                name="finance_cycle_running_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="loophead",
            constraint=models.UniqueConstraint(
                fields=("organisation", "cycle", "model"), name="finance_head_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="loopsettings",
            constraint=models.UniqueConstraint(
                fields=("organisation",), name="finance_loop_settings_once"
            ),
        ),
        EnableRowLevelSecurity("finance_sentiment_documentlabel"),
        EnableRowLevelSecurity("finance_sentiment_labelcandidate"),
        EnableRowLevelSecurity("finance_sentiment_loopcycle"),
        EnableRowLevelSecurity("finance_sentiment_loophead"),
        EnableRowLevelSecurity("finance_sentiment_loopsettings"),
        LookupFunction(
            "finance_loops_due",
            arguments="",
            returns="TABLE (organisation_id uuid)",
            body=DUE,
            reads=["finance_sentiment_loopsettings"],
        ),
    ]
