"""A key can be rotated with an overlap, and bound to networks."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models

from rootstock.tenancy.rls import LookupFunction


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_api_keys")]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=43), blank=True, default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_digest",
            field=models.BinaryField(blank=True, max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_expires_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        # Its columns change, which CREATE OR REPLACE cannot do.
        migrations.RunSQL("DROP FUNCTION api_key_lookup", migrations.RunSQL.noop),
        LookupFunction(
            "api_key_lookup",
            arguments="public_prefix varchar",
            returns="TABLE (id uuid, organisation_id uuid, digest bytea, previous_digest bytea, "
            "previous_expires_at timestamptz, networks varchar[], expires_at timestamptz, "
            "revoked_at timestamptz, last_used_at timestamptz)",
            body="""
                SELECT id, organisation_id, digest, previous_digest, previous_expires_at, networks,
                       expires_at, revoked_at, last_used_at
                FROM accounts_apikey WHERE prefix = public_prefix
            """,
            reads=["accounts_apikey"],
        ),
    ]
