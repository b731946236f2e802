"""Words of documents for search, saved views, portfolios, prices; an index of one subject's buckets."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import TENANT_POLICY, EnableRowLevelSecurity, LookupFunction

# The operators of arrays are not leakproof, so under row-level security PostgreSQL would compare every row instead of
# asking the GIN index. The function asks it, and is held to the organisation by its own condition.
#
# Newest first, and no more work than the answer needs: the newest `walked` documents are looked at one by one, which
# is enough for what is common; then days are asked of the index, each time four times as many, until `most` are found.
# `days` are the numbers of the days from the newest to the oldest; all arrays are of such numbers.
FIND = f"""
DECLARE
    mine CONSTANT uuid := {TENANT_POLICY};
    left_over integer := most;
    got integer;
    edge record;
    first integer := 1;
    span integer := 1;
    chosen integer[];
BEGIN
    RETURN QUERY
        SELECT newest.document_id, newest.published_at
        FROM (
            SELECT each.document_id, each.published_at, each.terms
            FROM finance_sentiment_documentwords each
            WHERE each.organisation_id = mine AND each.published_at >= since
              AND (each.published_at, each.document_id) < (before_at, before_id)
            ORDER BY each.published_at DESC, each.document_id DESC LIMIT walked
        ) newest
        WHERE newest.terms @> every AND (any_of = '{{}}' OR newest.terms && any_of)
        ORDER BY newest.published_at DESC, newest.document_id DESC LIMIT most;
    GET DIAGNOSTICS got = ROW_COUNT;
    left_over := left_over - got;
    IF left_over <= 0 THEN
        RETURN;
    END IF;
    SELECT each.published_at, each.document_id INTO edge
    FROM finance_sentiment_documentwords each
    WHERE each.organisation_id = mine AND each.published_at >= since
      AND (each.published_at, each.document_id) < (before_at, before_id)
    ORDER BY each.published_at DESC, each.document_id DESC OFFSET walked - 1 LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WHILE first <= cardinality(days) LOOP
        chosen := days[first : first + span - 1];
        RETURN QUERY EXECUTE
            'WITH hits AS MATERIALIZED (
                SELECT each.document_id, each.published_at, each.organisation_id
                FROM finance_sentiment_documentwords each
                WHERE each.terms @> $1 AND each.terms && $2 AND each.terms && $3
            )
            SELECT document_id, published_at FROM hits
            WHERE organisation_id = $4 AND published_at >= $5 AND (published_at, document_id) < ($6, $7)
            ORDER BY published_at DESC, document_id DESC LIMIT $8'
        USING every, chosen, CASE WHEN any_of = '{{}}' THEN chosen ELSE any_of END, mine, since,
              edge.published_at, edge.document_id, left_over;
        GET DIAGNOSTICS got = ROW_COUNT;
        left_over := left_over - got;
        IF left_over <= 0 THEN
            RETURN;
        END IF;
        first := first + span;
        span := span * 4;
    END LOOP;
END
"""  # noqa: S608 - the policy is a constant


class Migration(migrations.Migration):
    dependencies = [
        ("finance_sentiment", "0007_alerting"),
        ("tenancy", "0003_slug_taken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DocumentWords",
            fields=[
                (
                    "document",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="finance_sentiment.document",
                    ),
                ),
                ("published_at", models.DateTimeField()),
                (
                    "terms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
                    ),
                ),
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
        migrations.CreateModel(
            name="Portfolio",
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
                        choices=[("portfolio", "Portfolio"), ("watch-list", "Watch-list")],
                        default="portfolio",
                        max_length=10,
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("description", models.TextField(blank=True)),
                ("counted_at", models.DateTimeField(null=True)),
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
            name="Holding",
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
                ("weight", models.FloatField(default=1.0)),
                (
                    "entity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="holdings",
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
                    "portfolio",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="holdings",
                        to="finance_sentiment.portfolio",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instrument_id",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.DateField()),
                ("close", models.DecimalField(decimal_places=6, max_digits=18)),
                ("volume", models.BigIntegerField(null=True)),
                (
                    "instrument",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="finance_sentiment.instrument",
                    ),
                ),
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
        migrations.CreateModel(
            name="SavedView",
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
                    "page",
                    models.CharField(
                        choices=[("search", "Search"), ("board", "Board")],
                        default="search",
                        max_length=8,
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("query", models.JSONField(blank=True, default=dict)),
                ("is_shared", models.BooleanField(default=False)),
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
                    "owner",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="timebucket",
            index=models.Index(
                fields=["organisation", "width", "kind", "key", "start"],
                name="finance_bucket_subject",
            ),
        ),
        migrations.AddIndex(
            model_name="documentwords",
            index=models.Index(
                fields=["organisation", "-published_at", "-document"], name="finance_words_time"
            ),
        ),
        migrations.AddIndex(
            model_name="documentwords",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=True,
                fields=["terms"],
                gin_pending_list_limit=512,
                name="finance_words_terms",
            ),
        ),
        migrations.AddConstraint(
            model_name="portfolio",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_portfolio_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="holding",
            constraint=models.UniqueConstraint(
                fields=("portfolio", "entity"), name="finance_holding_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="holding",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight__gt", 0.0)), name="finance_holding_weight"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(("close__gt", 0)), name="finance_price_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                fields=("organisation", "owner", "page", "name"),
                name="finance_view_once",
                nulls_distinct=False,
            ),
        ),
        migrations.RunSQL(
            "ALTER TABLE finance_sentiment_documentwords ADD CONSTRAINT finance_words_document "
            "FOREIGN KEY (document_id) REFERENCES finance_sentiment_document (id) ON DELETE CASCADE",
            migrations.RunSQL.noop,
        ),
        LookupFunction(
            "finance_documents_having",
            arguments="every integer[], any_of integer[], days integer[], since timestamptz, "
            "before_at timestamptz, before_id uuid, walked integer, most integer",
            returns="TABLE (id uuid, at timestamptz)",
            body=FIND,
            reads=["finance_sentiment_documentwords"],
            language="plpgsql",
        ),
        *(
            EnableRowLevelSecurity(f"finance_sentiment_{table}")
            for table in ("documentwords", "savedview", "portfolio", "holding", "price")
        ),
    ]
