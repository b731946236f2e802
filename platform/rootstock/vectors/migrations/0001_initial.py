import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity

# pgvector has an index for columns of at most 2,000 dimensions; longer vectors are compared one by one.
# Row-level security is forced on the owner as well, so a space of another organisation is not there for either function.
MAKE = """
CREATE FUNCTION vectors_space_make(space uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $body$
DECLARE
    made vectors_space%ROWTYPE;
    name text := 'vectors_space_' || replace(space::text, '-', '');
    belongs text;
BEGIN
    SELECT * INTO made FROM vectors_space WHERE id = space;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such space: %', space;
    END IF;
    belongs := format('nullif(current_setting(''rootstock.organisation'', true), '''')::uuid = %L::uuid',
                      made.organisation_id);
    EXECUTE format('CREATE TABLE %I (item_id uuid PRIMARY KEY, content_hash text NOT NULL, '
                   'embedding vector(%s) NOT NULL)', name, made.dimensions);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant ON %I USING (%s) WITH CHECK (%s)', name, belongs, belongs);
    EXECUTE format('REVOKE ALL ON %I FROM rootstock_app', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO rootstock_app', name);
    IF made.dimensions <= 2000 THEN
        EXECUTE format('CREATE INDEX ON %I USING hnsw (embedding vector_ip_ops)', name);
    END IF;
END $body$
"""
DROP = """
CREATE FUNCTION vectors_space_drop(space uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM vectors_space WHERE id = space) THEN
        RAISE EXCEPTION 'no such space: %', space;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', 'vectors_space_' || replace(space::text, '-', ''));
END $body$
"""


def base_fields() -> list:
    return [
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
            "organisation",
            models.ForeignKey(
                default=rootstock.tenancy.scope.current_organisation_id,
                editable=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="tenancy.organisation",
            ),
        ),
    ]


def for_the_app(function: str) -> list[str]:
    return [
        f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {function} TO rootstock_app",
    ]


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0003_slug_taken"), ("jobs", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="EmbeddingSetting",
            fields=[*base_fields(), ("model", models.CharField(max_length=200))],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["organisation"], name="embedding_setting_once")
                ]
            },
        ),
        EnableRowLevelSecurity("vectors_embeddingsetting"),
        migrations.CreateModel(
            name="Collection",
            fields=[
                *base_fields(),
                ("name", models.CharField(max_length=120)),
                ("kind", models.CharField(default="texts", max_length=40)),
                (
                    "languages",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=10),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["organisation", "name"], name="collection_name_once"
                    )
                ]
            },
        ),
        EnableRowLevelSecurity("vectors_collection"),
        migrations.CreateModel(
            name="Item",
            fields=[
                *base_fields(),
                ("key", models.CharField(max_length=200)),
                ("text", models.TextField()),
                ("reference", models.CharField(blank=True, max_length=500)),
                ("attributes", models.JSONField(default=dict)),
                ("content_hash", models.CharField(max_length=64)),
                (
                    "collection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="vectors.collection",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["collection", "key"], name="item_key_once")
                ],
                "indexes": [models.Index(fields=["collection", "id"], name="item_by_collection")],
            },
        ),
        EnableRowLevelSecurity("vectors_item"),
        migrations.CreateModel(
            name="Space",
            fields=[
                *base_fields(),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("building", "Building"),
                            ("active", "Active"),
                            ("retired", "Retired"),
                        ],
                        default="building",
                        max_length=10,
                    ),
                ),
                ("label", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=300)),
                ("digest", models.CharField(max_length=64)),
                ("dimensions", models.PositiveIntegerField()),
                ("activated_at", models.DateTimeField(blank=True, null=True)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                (
                    "collection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="spaces",
                        to="vectors.collection",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "active")),
                        fields=("collection",),
                        name="space_active_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "building")),
                        fields=("collection",),
                        name="space_building_once",
                    ),
                    models.UniqueConstraint(
                        fields=("collection", "digest", "dimensions"), name="space_model_once"
                    ),
                ]
            },
        ),
        EnableRowLevelSecurity("vectors_space"),
        migrations.RunSQL(
            [MAKE, *for_the_app("vectors_space_make(uuid)")],
            "DROP FUNCTION vectors_space_make(uuid)",
        ),
        migrations.RunSQL(
            [DROP, *for_the_app("vectors_space_drop(uuid)")],
            "DROP FUNCTION vectors_space_drop(uuid)",
        ),
    ]
