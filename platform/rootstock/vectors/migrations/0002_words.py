import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

import rootstock.tenancy.scope
from rootstock.tenancy.rls import TENANT_POLICY, EnableRowLevelSecurity, LookupFunction

# The operators of arrays are not leakproof, so under row-level security PostgreSQL would compare every row instead of
# asking the GIN index. The function asks it, and is held to the organisation and the collection by its own condition.
HAVING = f"""
    SELECT item_id, length, terms, counts FROM vectors_itemwords
    WHERE organisation_id = {TENANT_POLICY} AND collection_id = of AND terms && wanted AND terms @> required
    LIMIT most
"""  # noqa: S608 - the policy is a constant

# Every collection that is there gets its words from a worker. The owner is held to row-level security as well.
FILL = """
    ALTER TABLE vectors_collection NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE outbox_outboxmessage NO FORCE ROW LEVEL SECURITY;
    INSERT INTO outbox_outboxmessage (id, created_at, updated_at, organisation_id, topic, payload, queue, available_at,
        published_count, attempts, last_error)
    SELECT gen_random_uuid(), now(), now(), organisation_id, 'vectors.words', jsonb_build_object('collection', id),
        'default', now(), 0, 0, ''
    FROM vectors_collection;
    ALTER TABLE vectors_collection FORCE ROW LEVEL SECURITY;
    ALTER TABLE outbox_outboxmessage FORCE ROW LEVEL SECURITY;
"""


def organisation(**options: object) -> models.ForeignKey:
    return models.ForeignKey(
        default=rootstock.tenancy.scope.current_organisation_id,
        editable=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to="tenancy.organisation",
        **options,
    )


def collection(**options: object) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to="vectors.collection",
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("tenancy", "0003_slug_taken"),
        ("outbox", "0001_initial"),
        ("vectors", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ItemWords",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="vectors.item",
                    ),
                ),
                ("organisation", organisation()),
                ("collection", collection()),
                (
                    "terms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
                    ),
                ),
                ("counts", models.BinaryField()),
                ("length", models.PositiveIntegerField()),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fastupdate=False, fields=["terms"], name="item_words_terms"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE vectors_itemwords ADD CONSTRAINT item_words_item FOREIGN KEY (item_id) "
            "REFERENCES vectors_item (id) ON DELETE CASCADE",
            migrations.RunSQL.noop,
        ),
        EnableRowLevelSecurity("vectors_itemwords"),
        migrations.CreateModel(
            name="TermCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("organisation", organisation(db_constraint=False, db_index=False)),
                ("collection", collection(db_constraint=False, db_index=False)),
                ("term", models.IntegerField()),
                ("items", models.BigIntegerField()),
                ("length", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["collection", "term"], name="term_count_of")]
            },
        ),
        EnableRowLevelSecurity("vectors_termcount"),
        LookupFunction(
            "vectors_words_having",
            arguments="of uuid, wanted integer[], required integer[], most integer",
            returns="TABLE (item_id uuid, length integer, terms integer[], counts bytea)",
            body=HAVING,
            reads=["vectors_itemwords"],
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
