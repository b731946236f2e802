"""Entities with their listings and names, mentions, and the taxonomy of topics."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0003_sources")]

    operations = [
        migrations.AddField(
            model_name="document",
            name="event",
            field=models.CharField(blank=True, db_default="", default="", max_length=40),
        ),
        migrations.AddField(
            model_name="document",
            name="novelty",
            field=models.FloatField(null=True),
        ),
        migrations.CreateModel(
            name="Entity",
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
                ("key", models.SlugField(allow_unicode=True, max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("company", "Company"),
                            ("product", "Product"),
                            ("person", "Person"),
                            ("place", "Place"),
                            ("ticker", "Ticker"),
                            ("organisation", "Organisation"),
                            ("other", "Other"),
                        ],
                        default="company",
                        max_length=12,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("name_zh", models.CharField(blank=True, max_length=200)),
                ("country", models.CharField(blank=True, max_length=2)),
                ("sector", models.CharField(blank=True, max_length=100)),
                (
                    "context",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
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
                "verbose_name_plural": "entities",
            },
        ),
        migrations.CreateModel(
            name="Alias",
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
                ("text", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("full", "Full name"),
                            ("short", "Short name"),
                            ("ticker", "Ticker"),
                            ("st-rename", "ST name"),
                            ("former", "Former name"),
                        ],
                        default="short",
                        max_length=10,
                    ),
                ),
                ("language", models.CharField(blank=True, max_length=8)),
                ("ambiguity", models.FloatField(default=0.0)),
                ("valid_from", models.DateField(blank=True, null=True)),
                ("valid_until", models.DateField(blank=True, null=True)),
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
                    "entity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="aliases",
                        to="finance_sentiment.entity",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "aliases",
            },
        ),
        migrations.CreateModel(
            name="Instrument",
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
                ("symbol", models.CharField(max_length=20)),
                ("exchange", models.CharField(max_length=8)),
                (
                    "listing",
                    models.CharField(
                        choices=[
                            ("ordinary", "Ordinary share"),
                            ("a", "A share"),
                            ("b", "B share"),
                            ("h", "H share"),
                            ("adr", "ADR"),
                            ("fund", "Fund"),
                            ("bond", "Bond"),
                            ("index", "Index"),
                            ("crypto", "Crypto-asset"),
                        ],
                        default="ordinary",
                        max_length=8,
                    ),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("listed_from", models.DateField(blank=True, null=True)),
                ("listed_until", models.DateField(blank=True, null=True)),
                (
                    "entity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="instruments",
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
            ],
        ),
        migrations.CreateModel(
            name="Mention",
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
                    "state",
                    models.CharField(
                        choices=[
                            ("linked", "Linked"),
                            ("review", "Waits for a decision"),
                            ("unknown", "Nobody known"),
                            ("dismissed", "No mention"),
                        ],
                        default="unknown",
                        max_length=9,
                    ),
                ),
                ("surface", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("company", "Company"),
                            ("product", "Product"),
                            ("person", "Person"),
                            ("place", "Place"),
                            ("ticker", "Ticker"),
                            ("organisation", "Organisation"),
                            ("other", "Other"),
                        ],
                        default="company",
                        max_length=12,
                    ),
                ),
                ("start", models.PositiveIntegerField()),
                ("end", models.PositiveIntegerField()),
                ("link_score", models.FloatField(default=0.0)),
                ("candidates", models.JSONField(default=list)),
                ("is_decided", models.BooleanField(default=False)),
                (
                    "sentiment",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("negative", "Negative"),
                            ("neutral", "Neutral"),
                            ("positive", "Positive"),
                        ],
                        max_length=8,
                    ),
                ),
                ("probability", models.FloatField(null=True)),
                (
                    "basis",
                    models.CharField(
                        choices=[
                            ("entity", "Read for this entity"),
                            ("document", "That of the whole document"),
                        ],
                        default="document",
                        max_length=8,
                    ),
                ),
                ("published_at", models.DateTimeField()),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mentions",
                        to="finance_sentiment.document",
                    ),
                ),
                (
                    "entity",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="mentions",
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
            ],
        ),
        migrations.CreateModel(
            name="Topic",
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
                ("slug", models.SlugField(max_length=60)),
                ("name", models.CharField(max_length=100)),
                ("name_zh", models.CharField(blank=True, max_length=100)),
                ("description", models.TextField(blank=True)),
                (
                    "terms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("built-in", "Built in"),
                            ("person", "Added by a person"),
                            ("discovered", "Discovered"),
                        ],
                        default="person",
                        max_length=10,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
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
            name="TopicProposal",
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
                    "terms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), default=list, size=None
                    ),
                ),
                (
                    "documents",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                ("size", models.PositiveIntegerField()),
                ("cohesion", models.FloatField()),
                ("first_published_at", models.DateTimeField()),
                ("last_published_at", models.DateTimeField()),
                ("model", models.CharField(max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("promoted", "Made a topic"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=9,
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
                    "topic",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="proposals",
                        to="finance_sentiment.topic",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="entity",
            constraint=models.UniqueConstraint(
                fields=("organisation", "key"), name="finance_entity_once"
            ),
        ),
        migrations.AddIndex(
            model_name="alias",
            index=models.Index(fields=["organisation", "folded"], name="finance_alias_folded"),
        ),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.UniqueConstraint(
                fields=("organisation", "entity", "folded", "kind", "valid_from"),
                name="finance_alias_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.CheckConstraint(
                condition=models.Q(("ambiguity__gte", 0.0), ("ambiguity__lte", 1.0)),
                name="finance_alias_ambiguity",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.UniqueConstraint(
                fields=("organisation", "exchange", "symbol"), name="finance_instrument_once"
            ),
        ),
        migrations.AddIndex(
            model_name="mention",
            index=models.Index(
                fields=["organisation", "entity", "-published_at"], name="finance_mention_entity"
            ),
        ),
        migrations.AddIndex(
            model_name="mention",
            index=models.Index(
                condition=models.Q(("state", "review")),
                fields=["organisation", "folded"],
                name="finance_mention_review",
            ),
        ),
        migrations.AddConstraint(
            model_name="mention",
            constraint=models.UniqueConstraint(
                fields=("document", "start", "end"), name="finance_mention_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="topic",
            constraint=models.UniqueConstraint(
                fields=("organisation", "slug"), name="finance_topic_once"
            ),
        ),
        migrations.AddIndex(
            model_name="topicproposal",
            index=models.Index(
                fields=["organisation", "state", "-size"], name="finance_proposal_state"
            ),
        ),
        migrations.CreateModel(
            name="Vocabulary",
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
                ("names_version", models.PositiveIntegerField(default=0)),
                ("topics_version", models.PositiveIntegerField(default=0)),
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
                "verbose_name_plural": "vocabularies",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation",), name="finance_vocabulary_once"
                    )
                ],
            },
        ),
        *[
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in (
                "entity",
                "instrument",
                "alias",
                "mention",
                "topic",
                "topicproposal",
                "vocabulary",
            )
        ],
    ]
