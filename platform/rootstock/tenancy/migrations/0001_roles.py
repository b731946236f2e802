"""What the role of the web process may do with every table that is made from here on."""

from __future__ import annotations

from django.db import migrations

ROLES = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rootstock_app') THEN
        RAISE EXCEPTION 'the role rootstock_app does not exist: see "External PostgreSQL" in docs/operations.md';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rootstock_lookup') THEN
        RAISE EXCEPTION 'the role rootstock_lookup does not exist: see "External PostgreSQL" in docs/operations.md';
    END IF;
END $$
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    # Default privileges hold only for tables made after them, Django's own included.
    run_before = [
        ("contenttypes", "0001_initial"),
        ("auth", "0001_initial"),
        ("sessions", "0001_initial"),
        ("axes", "0001_initial"),
        ("accounts", "0001_initial"),
    ]
    operations = [
        migrations.RunSQL(ROLES, migrations.RunSQL.noop),
        migrations.RunSQL(
            [
                "GRANT USAGE ON SCHEMA public TO rootstock_app",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO rootstock_app",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public "
                "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO rootstock_app",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public "
                "GRANT USAGE, SELECT ON SEQUENCES TO rootstock_app",
            ],
            migrations.RunSQL.noop,
        ),
    ]
